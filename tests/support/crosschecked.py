"""Crosscheck one metric on the real data of `tests/adapters/conftest.py`."""

import numpy as np

from multiback.adapters.torchmetrics import crosscheck

# What each task of the real data needs.
SIZES = {
    "binary": {},
    "multiclass": {"num_classes": 10},
    "multilabel": {"num_labels": 5},
}
TASKS = tuple(SIZES)
AVERAGES = ("micro", "macro", "weighted", None)


def only(metric, data, batch_size=400, shuffles=0):
    """Return the row of the report."""
    (row,) = crosscheck(metric, data, batch_size=batch_size, shuffles=shuffles)
    return row


def assert_agrees(row, *, torchmetrics=True):
    """Assert that scikit-learn, and torchmetrics where it can, give the value."""
    assert row.verdict == "agrees", row
    assert row.sklearn is not None, row
    assert (row.torchmetrics is not None) == torchmetrics, row
    size = max(1, np.max(np.abs(row.sklearn)))
    assert row.difference < 1e-6 * size, row


def logit(p):
    """Return the logits of probabilities, in float32."""
    p = np.clip(p.astype("float64"), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p)).astype("float32")
