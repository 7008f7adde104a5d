"""Check streamed metrics against torchmetrics and scikit-learn.

>>> import numpy as np
>>> from multiback.metrics import Recall
>>> y_true, y_pred = np.array([0, 1, 1, 1]), np.array([0.2, 0.9, 0.4, 0.8])
>>> report = crosscheck(Recall(), (y_true, y_pred))
>>> report.ok, report["recall"].verdict
(True, 'agrees')
"""

from .audit import audit
from .check import crosscheck
from .exported import as_torchmetric
from .findings import Audit, Finding
from .hosted import as_keras
from .report import Report, Row
from .testing import assert_agrees
from .training import CrossCheck

__all__ = [
    "Audit",
    "CrossCheck",
    "Finding",
    "Report",
    "Row",
    "as_keras",
    "as_torchmetric",
    "assert_agrees",
    "audit",
    "crosscheck",
]
