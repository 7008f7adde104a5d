"""The curves behind ranking metrics, as arrays to be drawn, on the host in float64."""

import numbers
from typing import Any, NamedTuple

import numpy as np

from multiback.errors import ArgumentError

Array = np.ndarray[Any, Any]


class ROCCurve(NamedTuple):
    """Points of a receiver operating characteristic, from (0, 0) to (1, 1).

    Attributes:
        false_positive_rate: Share of the negatives above each threshold.
        true_positive_rate: Share of the positives above each threshold.
        thresholds: From infinity down; `score > threshold` makes the point.
    """

    false_positive_rate: Array
    true_positive_rate: Array
    thresholds: Array


class PrecisionRecallCurve(NamedTuple):
    """Points of precision against recall, from the lowest threshold up.

    Attributes:
        precision: Share of positives above each threshold; a last one of 1.
        recall: Share of the positives that is above; a last one of 0.
        thresholds: One fewer; `score > threshold` makes the point.
    """

    precision: Array
    recall: Array
    thresholds: Array


def pick_column(column: int | None, columns: int) -> int:
    """Return the index of a ranking, the only one if none is given."""
    if column is None and columns == 1:
        return 0
    whole = isinstance(column, numbers.Integral)
    if column is None or not whole or not -columns <= column < columns:
        raise ArgumentError(
            f"column= wants which of {columns} classes or labels, from 0 to "
            f"{columns - 1}, not {column!r}."
        )
    return column % columns


def as_threshold(edges: Array) -> Array:
    """Return the largest float32 below each edge, so that `score > threshold` has it.

    A score on the edge is then above the threshold, even if float32 scores lie further
    apart than the bins.
    """
    with np.errstate(all="ignore"):
        rounded = edges.astype("float32")
    with np.errstate(all="ignore"):  # nextafter underflows near 0.
        below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded < edges, rounded, below).astype("float64")


def _above(
    positives: Array, negatives: Array, edges: Array
) -> tuple[Array, Array, Array]:
    """Return true and false positives and the threshold, from the highest score."""
    held = np.flatnonzero(positives + negatives)[::-1]
    tp, fp = np.cumsum(positives[held]), np.cumsum(negatives[held])
    return tp, fp, as_threshold(edges[held])


def roc_points(positives: Array, negatives: Array, edges: Array) -> ROCCurve:
    """Return the curve of counts by bins; NaN where a class is missing."""
    tp, fp, thresholds = _above(positives, negatives, edges)
    with np.errstate(all="ignore"):
        fpr, tpr = (
            np.append(0.0, each) / (each[-1] if each.size else 0.0) for each in (fp, tp)
        )
    return ROCCurve(fpr, tpr, np.append(np.inf, thresholds))


def precision_recall_points(
    positives: Array, negatives: Array, edges: Array
) -> PrecisionRecallCurve:
    """Return the curve of counts by bins; NaN without positives."""
    tp, fp, thresholds = _above(positives, negatives, edges)
    with np.errstate(all="ignore"):
        precision = tp / (tp + fp)
        recall = tp / (tp[-1] if tp.size else 0.0)
    return PrecisionRecallCurve(
        np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0), thresholds[::-1]
    )
