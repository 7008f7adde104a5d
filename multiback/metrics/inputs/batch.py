"""Bring labels, predictions, weights and masks to one shape and dtype.

Everything here decides on shapes and dtypes, which are known while tracing, and
never on values. Labels become int32, scores float32 or wider; nothing casts
labels to the dtype of the predictions, where bfloat16 would merge class ids.
"""

import dataclasses
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.task import Ids, as_classes, as_tuple

Tensor = Any

# The smallest int32, which is not a label of any task.
NO_LABEL = -(2**31)
INT32 = (-(2**31), 2**31 - 1)


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch, flattened to one row an element.

    Attributes:
        labels: int32, `(N,)` or `(N, L)`.
        predictions: `(N,)` or `(N, L)` scores; for classes, `(N,)` int32 ids.
        hopeless: Boolean like `predictions`: the prediction is NaN, or no class.
        valid: Boolean like `labels`: the element counts.
        wrong: Boolean like `labels`: the element should count, but its label is
            not one that the task knows.
        weights: float32 like `labels`, or None.
        shape: The labels' shape before they were flattened, None where unknown.
        raw_labels: The labels as they were given, like `labels`.
        one_hot: They have one more axis, of one-hot rows.
        scores: Scores whose value matters, `(N,)`, `(N, L)` or `(N, C)`; None where
            only a decision does.
        by_id: The predictions were given as class ids.
        targets: The shares of the classes or of class 1, where labels may be soft.
    """

    labels: Tensor
    predictions: Tensor
    hopeless: Tensor
    valid: Tensor
    wrong: Tensor
    weights: Tensor | None
    shape: tuple[int | None, ...]
    raw_labels: Tensor
    one_hot: bool = False
    scores: Tensor | None = None
    by_id: bool = False
    targets: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Given:
    """The unchanged inputs of a metric; False in the mask leaves out."""

    y_true: Tensor
    y_pred: Tensor
    sample_weight: Tensor | None = None
    mask: Tensor | None = None

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return labels and predictions as tensors."""
        return to_tensor(self.y_true, "y_true"), to_tensor(self.y_pred, "y_pred")


def _dtype(x: Tensor) -> str:
    return str(keras.backend.standardize_dtype(x.dtype))


def to_tensor(x: Tensor, name: str, *, labels: bool = True) -> Tensor:
    """Convert an array of numbers, the argument of that name.

    A label that int32 cannot hold becomes its largest or smallest one; other numbers
    become floats.
    """
    try:
        if _is_too_wide(x):
            x = np.asarray(x)
            x = np.clip(x, *INT32).astype("int32") if labels else x.astype("float32")
        tensor = ops.convert_to_tensor(x)
        dtype = _dtype(tensor)
    except (OverflowError, RuntimeError):
        if not isinstance(x, int | list | tuple):
            raise
        # A list of integers, which Keras makes int32, holds one that is larger.
        return to_tensor(np.asarray(x), name, labels=labels)
    except (TypeError, ValueError) as error:
        raise _no_numbers(x, name) from error
    if dtype == "string" or "complex" in dtype:
        raise _no_numbers(x, name)
    return tensor


def _is_too_wide(x: Any) -> bool:
    """Return whether the backend has no such integers.

    JAX would keep the lower 32 bits, and so take 2**32 + 1 for 1; PyTorch raises.
    """
    if ops.is_tensor(x):
        return False
    dtype = str(getattr(x, "dtype", ""))
    return dtype == "uint64" or (dtype == "int64" and keras.backend.backend() == "jax")


def _no_numbers(x: Any, name: str) -> ArgumentError:
    return ArgumentError(
        f"{name} wants real numbers of one shape, not {type(x).__name__} "
        f"{str(x)[:40]!r}."
    )


def is_float(x: Tensor) -> bool:
    """Return whether a tensor holds floats."""
    return "float" in _dtype(x)


def to_scores(y_pred: Tensor) -> Tensor:
    """Cast predictions to float32 unless they are wider already."""
    return y_pred if _dtype(y_pred) == "float64" else ops.cast(y_pred, "float32")


def squeeze_last(x: Tensor) -> Tensor:
    """Drop the last axis."""
    return ops.squeeze(x, axis=-1)


def shapes_differ(y_true: Tensor, y_pred: Tensor, wanted: str) -> ArgumentError:
    """Return the error that names both shapes."""
    return ArgumentError(
        f"y_true has shape {tuple(y_true.shape)} and y_pred has shape "
        f"{tuple(y_pred.shape)}; {wanted}"
    )


def same_shape(a: Tensor, b: Tensor) -> bool:
    """Return whether two shapes agree, as far as they are known while tracing."""
    return len(a.shape) == len(b.shape) and all(
        m is None or n is None or m == n for m, n in zip(a.shape, b.shape, strict=True)
    )


def like_elements(x: Tensor, labels: Tensor, name: str) -> Tensor:
    """Broadcast weights or a mask over the trailing axes of the labels."""
    x = to_tensor(x, name, labels=False)
    rank = len(labels.shape)
    if len(x.shape) == rank + 1 and x.shape[-1] == 1:
        x = squeeze_last(x)
    fits = len(x.shape) <= rank and all(
        m in (1, None) or n is None or m == n
        for m, n in zip(x.shape, labels.shape, strict=False)
    )
    if not fits:
        raise ArgumentError(
            f"{name} has shape {tuple(x.shape)}, which does not fit the "
            f"{tuple(labels.shape)} that it is for; give one number a sample or one "
            "an element."
        )
    for _ in range(rank - len(x.shape)):
        x = ops.expand_dims(x, -1)
    return ops.broadcast_to(x, ops.shape(labels))


class Labels(NamedTuple):
    """int32 labels, which of them are wrong, and the labels as they were given."""

    ids: Tensor
    wrong: Tensor
    raw: Tensor


def finish(
    given: Given,
    found: Labels,
    predictions: Tensor,
    hopeless: Tensor,
    ignore_index: Ids,
    shape: tuple[int, ...] = (-1,),
) -> Batch:
    """Apply mask, weights and `ignore_index`, then flatten everything to `shape`."""
    labels, wrong, raw = found
    counts = ops.ones_like(labels, dtype="bool")
    for label in as_tuple(ignore_index) or ():
        counts = ops.logical_and(counts, ops.not_equal(labels, label))
    if given.mask is not None:
        mask = like_elements(given.mask, labels, "mask")
        counts = ops.logical_and(counts, ops.cast(mask, "bool"))
    weights = None
    if given.sample_weight is not None:
        weights = ops.cast(
            like_elements(given.sample_weight, labels, "sample_weight"), "float32"
        )
        # An element without weight may have any label.
        counts = ops.logical_and(counts, ops.not_equal(weights, 0.0))
        weights = ops.reshape(weights, shape)
    one_hot = len(raw.shape) > len(labels.shape)
    rows = (*shape, raw.shape[-1]) if one_hot else shape
    return Batch(
        labels=ops.reshape(labels, shape),
        predictions=ops.reshape(predictions, shape),
        hopeless=ops.reshape(hopeless, shape),
        valid=ops.reshape(ops.logical_and(counts, ops.logical_not(wrong)), shape),
        wrong=ops.reshape(ops.logical_and(counts, wrong), shape),
        weights=weights,
        shape=tuple(labels.shape),
        raw_labels=ops.reshape(raw, rows),
        one_hot=one_hot,
    )


def to_labels(y_true: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return int32 labels, and which of them are not classes."""
    if "uint" in _dtype(y_true) and keras.backend.backend() == "jax":
        # JAX has no int64 to go through, and warns where one is asked for.
        y_true = ops.minimum(y_true, min(INT32[1], np.iinfo(_dtype(y_true)).max))
    elif _dtype(y_true) in {"int64", "uint32", "uint64"}:
        # A cast to int32 alone would take 2**32 + 1 for 1.
        y_true = ops.clip(ops.cast(y_true, "int64"), *INT32)
    labels = ops.cast(y_true, "int32")
    if is_float(y_true):
        # Neither 0.5 nor NaN is 0, which may be the ignored label.
        whole = ops.equal(ops.cast(labels, y_true.dtype), y_true)
        labels = ops.where(whole, labels, NO_LABEL)
    return labels, ops.logical_or(labels < 0, labels >= num_classes)


def two_class_batch(
    given: Given, ignore_index: Ids, num_labels: int | None, *, soft: bool = False
) -> Batch:
    """Prepare elements that are each 0 or 1: binary and multilabel tasks.

    Args:
        given: Labels 0 or 1, of any shape; `(..., num_labels)` for multilabel. Scores
            of the same shape. For a binary task either one may have a last axis of
            length 1 that the other lacks.
        ignore_index: Elements with this label are left out.
        num_labels: Length of the last axis; None for a binary task.
        soft: A label may be any number in [0, 1]; the batch then has `targets`.
    """
    y_true, y_pred = given.tensors()
    if num_labels is None:
        if len(y_true.shape) == len(y_pred.shape) + 1 and y_true.shape[-1] == 1:
            y_true = squeeze_last(y_true)
        elif len(y_pred.shape) == len(y_true.shape) + 1 and y_pred.shape[-1] == 1:
            y_pred = squeeze_last(y_pred)
        wanted = 'task="binary" wants one score a label.'
        if len(y_pred.shape) > 1 and y_pred.shape[-1] not in (1, None):
            wanted += f" For classes, pass {as_classes(y_pred.shape[-1])}."
    else:
        wanted = f'task="multilabel" wants (..., {num_labels}) for both.'
    if not same_shape(y_true, y_pred) or (
        num_labels is not None
        and (
            not len(y_true.shape)
            or {y_true.shape[-1], y_pred.shape[-1]} != {num_labels}
        )
    ):
        raise shapes_differ(y_true, y_pred, wanted)
    labels, wrong = to_labels(y_true, 2)
    scores = to_scores(y_pred)
    targets = None
    shape = (-1,) if num_labels is None else (-1, num_labels)
    if soft and is_float(y_true):
        share = to_scores(y_true)
        wrong = ops.logical_not(ops.logical_and(share >= 0.0, share <= 1.0))
        targets = ops.reshape(share, shape)
    found = Labels(labels, wrong, y_true)
    batch = finish(given, found, scores, ops.isnan(scores), ignore_index, shape)
    return dataclasses.replace(batch, scores=batch.predictions, targets=targets)


@dataclasses.dataclass(frozen=True)
class Values:
    """Numbers of one batch, one row an element.

    Attributes:
        columns: Tensors of one shape, `(N,)` or `(N, D)`, float32 or float64; 0
            where an element does not count.
        weights: The same shape and dtype, 0 where an element does not count, or
            None where each counts once.
    """

    columns: tuple[Tensor, ...]
    weights: Tensor | None


def value_batch(
    columns: tuple[Tensor, ...],
    sample_weight: Tensor | None,
    mask: Tensor | None,
    *,
    num_outputs: int | None = None,
    ignore_nan: bool = False,
) -> Values:
    """Prepare numbers: one tensor of values, or targets and predictions.

    Args:
        columns: One tensor, or `(y_true, y_pred)`, of one shape up to a last
            axis of length 1.
        sample_weight: One number a sample or an element, or None.
        mask: Like `sample_weight`; False leaves out.
        num_outputs: Length D of the last axis, which then stays; None flattens
            everything.
        ignore_nan: Leave out elements whose target, the first column, is NaN.

    Raises:
        ArgumentError: The shapes do not fit together.
    """
    tensors = _paired(columns, num_outputs)
    wide = any(_dtype(tensor) == "float64" for tensor in tensors)
    dtype = "float64" if wide else "float32"
    flat = (-1,) if num_outputs is None else (-1, num_outputs)
    like = tensors[0] if num_outputs != 1 else tensors[0][..., 0]
    weights = None
    if sample_weight is not None:
        weights = like_elements(sample_weight, like, "sample_weight")
        weights = ops.reshape(ops.cast(weights, dtype), flat)
    if mask is not None:
        counts = ops.reshape(like_elements(mask, like, "mask"), flat)
        kept = ops.cast(counts, dtype)
        weights = kept if weights is None else ops.where(kept > 0, weights, 0.0)
    cast = [ops.reshape(ops.cast(tensor, dtype), flat) for tensor in tensors]
    if ignore_nan:
        missing = ops.isnan(cast[0])
        kept = ops.ones_like(cast[0]) if weights is None else weights
        weights = ops.where(missing, 0.0, kept)
    if weights is not None:
        # An element that does not count may be NaN.
        cast = [ops.where(ops.equal(weights, 0.0), 0.0, column) for column in cast]
    return Values(tuple(cast), weights)


def _paired(columns: tuple[Tensor, ...], num_outputs: int | None) -> list[Tensor]:
    """Give one tensor, or targets and predictions, one shape."""
    names = ("values",) if len(columns) == 1 else ("y_true", "y_pred")
    tensors = [
        to_tensor(x, name, labels=False) for x, name in zip(columns, names, strict=True)
    ]
    first, last = tensors[0], tensors[-1]
    if len(first.shape) == len(last.shape) + 1 and first.shape[-1] == 1:
        tensors[0] = squeeze_last(first)
    elif len(last.shape) == len(first.shape) + 1 and last.shape[-1] == 1:
        tensors[-1] = squeeze_last(last)
    if num_outputs == 1 and (len(tensors[0].shape) <= 1 or tensors[0].shape[-1] != 1):
        tensors = [ops.expand_dims(tensor, -1) for tensor in tensors]
    wanted = "one prediction a target is wanted: reshape one, for nothing broadcasts."
    if num_outputs is not None:
        wanted = (
            f"num_outputs={num_outputs} wants (..., {num_outputs}) for both; pass "
            "num_outputs= as the length of the last axis, or flatten both."
        )
    fits = same_shape(tensors[0], tensors[-1])
    several = num_outputs == 1 and len(first.shape) == len(last.shape) > 1
    if several and first.shape[-1] != 1:
        fits = False
    if not fits or (num_outputs is not None and tensors[0].shape[-1] != num_outputs):
        raise shapes_differ(first, last, wanted)
    return tensors
