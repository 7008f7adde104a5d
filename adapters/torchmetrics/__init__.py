"""Check streamed metrics against torchmetrics and scikit-learn.

>>> import numpy as np
>>> from multiback.metrics import Recall
>>> y_true, y_pred = np.array([0, 1, 1, 1]), np.array([0.2, 0.9, 0.4, 0.8])
>>> report = crosscheck(Recall(), (y_true, y_pred))
>>> report.ok, report["recall"].verdict
(True, 'agrees')

Where things are:

`crosscheck` (check.py) streams (streaming, subjects, subjects_of_models, masks), asks
the libraries (judging, verdict) and reports (report); `CrossCheck` (training.py) does
it in `fit`, `assert_agrees` (testing.py) in tests.

What the libraries call a metric is in in_keras and in_torchmetrics, in multiback's
words (meaning), and in alone.py what only one has; `equivalents` (equivalents.py) makes
the others' metric objects from them. What they compute is in table.py, a line a class:
counts, keras_counts, confusion, matching, samplewise for decided classes (scores,
decisions), ranking, areas for curves, probabilistic, regression, aggregates for
numbers; equivalent.py says what an equivalent is. arrays, columns, inputs bring arrays
to one shape; libraries.py loads the others when they are needed.

`audit` (audit.py) looks for lies_of_inputs, lies_of_sums and lies_of_names, by the
evidence of one metric, and returns findings; spelling.py writes the line to change.

`as_keras` (hosted.py; results, rebuild) hosts a metric by `multiback.adapters.bridge`;
`as_torchmetric` (exported.py; functional, torch) is the way back. jax.py and torch.py
alone import those frameworks, keras_private.py alone Keras's private names.
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
