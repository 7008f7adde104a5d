"""Bring labels, predictions and weights to one shape, in NumPy.

This repeats in NumPy what the metrics do with tensors, and shares no code with
them: a mistake there should show up as a difference here.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from multiback.errors import ArgumentError

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Samples:
    """All data of a metric, batch after batch.

    Attributes:
        y_true: Labels or targets, one row a sample.
        y_pred: Predictions, one row a sample.
        sample_weight: One weight a sample or an element, or None.
        batch_size: Rows in a batch; the last may be shorter.
        numbers: `y_true` holds plain numbers without predictions.
        masked: Masked elements are left out; a row is an element.
    """

    y_true: Array
    y_pred: Array
    sample_weight: Array | None
    batch_size: int
    numbers: bool = False
    masked: bool = False

    @property
    def additions(self) -> int:
        """Number of float32 additions in a row: over a batch, then over batches."""
        return self.batch_size + math.ceil(len(self.y_true) / self.batch_size)


@dataclasses.dataclass(frozen=True)
class Elements:
    """Labels and predictions of one shape, `(N,)` or `(N, columns)`."""

    labels: Array
    predictions: Array
    weights: Array | None


def as_floats(array: Array) -> Array:
    """Round to float32 as Keras does, then widen, to lose no more precision."""
    return np.asarray(np.asarray(array).astype("float32"), dtype="float64")


def counted(labels: Array, ignored: Any) -> Array:
    """Return where a label is not one of the ignored ones: an id, several, or None."""
    return np.isin(labels, [] if ignored is None else ignored, invert=True)


def sigmoid(logits: Array) -> Array:
    """Return `1 / (1 + exp(-x))` in float64 without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -np.asarray(logits, "float64"))))


def pair(samples: Samples, columns: int | None = None) -> Elements:
    """Match labels with predictions element by element.

    Their shapes may differ in a last axis of length 1. A last axis of length `columns`
    is kept.
    """
    y_true, y_pred = samples.y_true, samples.y_pred
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred = y_pred[..., 0]
    return _flatten(samples, y_true, y_pred, columns)


def classes(samples: Samples) -> Elements:
    """Return class ids: of one-hot rows and scores, the index of the largest."""
    y_true, y_pred = samples.y_true, samples.y_pred
    by_id = y_pred.dtype.kind in "iub" and y_true.ndim in (y_pred.ndim, y_pred.ndim + 1)
    predicted = y_pred if by_id else y_pred.argmax(axis=-1)
    if y_true.ndim == predicted.ndim + 1:
        y_true = y_true[..., 0] if y_true.shape[-1] == 1 else y_true.argmax(axis=-1)
    return _flatten(samples, y_true.astype("int64"), predicted.astype("int64"), None)


def _flatten(
    samples: Samples, y_true: Array, y_pred: Array, columns: int | None
) -> Elements:
    if y_true.shape != y_pred.shape:
        raise ArgumentError(
            "data: y_true and y_pred want one label a prediction, but their shapes "
            f"are {samples.y_true.shape} and {samples.y_pred.shape}; give both one "
            "shape, or class ids and one score a class."
        )
    shape = (-1,) if columns is None else (-1, columns)
    weights = samples.sample_weight
    if weights is not None:
        if weights.ndim == y_true.ndim + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        weights = weights.reshape(weights.shape + (1,) * (y_true.ndim - weights.ndim))
        weights = as_floats(np.broadcast_to(weights, y_true.shape)).reshape(shape)
    return Elements(y_true.reshape(shape), y_pred.reshape(shape), weights)
