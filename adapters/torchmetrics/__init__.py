"""Check streamed metrics against torchmetrics and scikit-learn.

>>> import numpy as np
>>> from multiback.metrics import Recall
>>> y_true, y_pred = np.array([0, 1, 1, 1]), np.array([0.2, 0.9, 0.4, 0.8])
>>> report = crosscheck(Recall(), (y_true, y_pred))
>>> report.ok, report["recall"].verdict
(True, 'agrees')

Where things are:

`crosscheck` (checking/check.py) streams (streaming, from_metrics, from_models, masks),
compares with the libraries (compare, verdict) and reports (report); `CrossCheck`
(training.py) does it in `fit`, `assert_agrees` (testing.py) in tests.

Each library's name of a metric is in translation/ (keras, torchmetrics), by multiback's
names (spec); unmatched.py lists what only one library has; `equivalents`
(equivalents.py) makes the metric objects of the others. Their values are in
oracles/table.py, a line a class: counts, keras_counts, confusion, matching, samplewise
for decided classes (scores, decisions), ranking, areas for curves, probabilistic,
regression, aggregates for numbers; equivalent.py says what an equivalent is. arrays,
columns, inputs bring arrays to one shape; libraries.py loads the others when they are
needed.

`audit` (auditing/audit.py) runs the checks of inputs, sums and names, on the context of
one metric, and returns findings; translation/source.py writes the line to change.

`as_keras` (to_keras/) wraps a metric by `multiback.adapters.bridge`; `as_torchmetric`
(to_torchmetrics/) is the other direction. Only jax.py and torch.py import those
frameworks.
"""

from multiback.adapters.torchmetrics.auditing.audit import audit
from multiback.adapters.torchmetrics.auditing.findings import Audit, Finding
from multiback.adapters.torchmetrics.checking.check import crosscheck
from multiback.adapters.torchmetrics.checking.report import Report, Row
from multiback.adapters.torchmetrics.checking.testing import assert_agrees
from multiback.adapters.torchmetrics.checking.training import CrossCheck
from multiback.adapters.torchmetrics.to_keras.as_keras import as_keras
from multiback.adapters.torchmetrics.to_torchmetrics.as_torchmetric import (
    as_torchmetric,
)
from multiback.adapters.torchmetrics.translation.equivalents import (
    Equivalents,
    equivalents,
)

__all__ = [
    "Audit",
    "CrossCheck",
    "Equivalents",
    "Finding",
    "Report",
    "Row",
    "as_keras",
    "as_torchmetric",
    "assert_agrees",
    "audit",
    "crosscheck",
    "equivalents",
]
