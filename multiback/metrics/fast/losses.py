"""Add up hinge losses of a batch in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.metrics.fast.numpy import (
    known_ids,
    positives_and_scores,
    without_ignored,
)
from multiback.metrics.fast.values import in_sums
from multiback.metrics.statistics.losses import LossSums

Array = npt.NDArray[Any]


def sum_losses(losses: LossSums, y_true: Array, y_pred: Array) -> list[Any] | None:
    """Add up the hinge losses of a batch; None for other losses."""
    if losses.kind not in ("hinge", "squared_hinge"):
        return None
    n = losses.num_classes
    with np.errstate(all="ignore"):
        lead = (
            _lead_of_two(losses, y_true, y_pred)
            if n is None
            else _lead_of_several(losses, y_true, y_pred, n)
        )
        if lead is None:
            return None
        loss = np.subtract(1.0, lead, out=lead)
        # NumPy takes long for a maximum with one number. A NaN stays.
        loss *= loss > 0.0
        if losses.kind == "squared_hinge":
            loss *= loss
        rows = in_sums(loss)
    return None if rows is None else [rows]


def _lead_of_two(losses: LossSums, y_true: Array, y_pred: Array) -> Array | None:
    pair = positives_and_scores(y_true, y_pred, losses.ignore_index)
    if pair is None:
        return None
    positive, scores = pair
    sign = positive.astype(scores.dtype)
    sign *= 2.0
    sign -= 1.0
    sign *= scores
    return sign.reshape(-1)


def _lead_of_several(
    losses: LossSums, y_true: Array, y_pred: Array, n: int
) -> Array | None:
    shape = y_pred.shape[:-1]
    plain = y_pred.dtype.kind == "f" and y_pred.ndim > 1 and y_pred.size
    if not plain or y_pred.shape[-1] != n or y_true.shape not in (shape, (*shape, 1)):
        return None
    if y_pred.dtype.char not in "fd":
        y_pred = y_pred.astype(np.float32)
    labels, scores = without_ignored(
        y_true.reshape(-1), y_pred.reshape(-1, n), losses.ignore_index
    )
    ids = known_ids(labels, n)
    if ids is None or not len(ids):
        return None
    rows = np.arange(len(ids))
    own, others = scores[rows, ids], scores.copy()
    others[rows, ids] = -np.inf
    lead: Array = own - others.max(axis=1)  # NaN where a score is.
    return lead
