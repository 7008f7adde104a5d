"""Bring class ids, one-hot rows and class scores to one shape and dtype."""

import dataclasses
from typing import Any

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.batch import (
    Batch,
    finish,
    is_float,
    same_shape,
    shapes_differ,
    squeeze_last,
    to_labels,
    to_scores,
    to_tensor,
)
from multiback.metrics.inputs.task import Ids

Tensor = Any


def _classes_differ(y_true: Tensor, y_pred: Tensor, num_classes: int) -> ArgumentError:
    return shapes_differ(
        y_true,
        y_pred,
        f'task="multiclass" with num_classes={num_classes} wants class ids (...), or '
        f"one-hot (..., {num_classes}), for y_true and scores (..., {num_classes}), "
        "or integer class ids (...), for y_pred.",
    )


def class_batch(
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    *,
    ignore_index: Ids,
    num_classes: int,
) -> Batch:
    """Prepare elements that each belong to one of `num_classes` classes.

    Args:
        y_true: Class ids of shape `(...)` or `(..., 1)`, or one-hot rows of shape
            `(..., num_classes)`.
        y_pred: Scores of shape `(..., num_classes)`, of which the first largest
            counts, or integer class ids of shape `(...)`.
        sample_weight: One number a sample or an element, or None.
        mask: Like `sample_weight`; False leaves out.
        ignore_index: Elements with this label are left out.
        num_classes: Number of classes.

    Returns:
        A batch of shape `(N,)` whose predictions are class ids.

    Raises:
        ArgumentError: The shapes do not fit together.
    """
    y_true, y_pred = to_tensor(y_true, "y_true"), to_tensor(y_pred, "y_pred")
    rank = len(y_pred.shape)
    by_id = not is_float(y_pred) and len(y_true.shape) in (rank, rank + 1)
    if by_id:
        predictions, hopeless = to_labels(y_pred, num_classes)
    else:
        if not len(y_pred.shape) or y_pred.shape[-1] != num_classes:
            raise _classes_differ(y_true, y_pred, num_classes)
        scores = to_scores(y_pred)
        predictions = first_largest(scores)
        hopeless = ops.any(ops.isnan(scores), axis=-1)
    labels, wrong = _class_labels(y_true, y_pred, predictions, num_classes)
    return finish(
        labels,
        predictions,
        wrong,
        hopeless,
        sample_weight=sample_weight,
        mask=mask,
        ignore_index=ignore_index,
        shape=(-1,),
    )


def first_largest(scores: Tensor) -> Tensor:
    """Return the int32 index of the first largest score of each row."""
    if keras.backend.backend() == "torch":
        return ops.cast(ops.argmax(scores, axis=-1), "int32")
    # XLA's argmax takes two to four times as long, for it does not vectorise.
    last = scores.shape[-1] - 1
    # Without `initial` Keras refuses an empty batch on TensorFlow.
    best = ops.max(scores, axis=-1, keepdims=True, initial=-float("inf"))
    largest = ops.equal(scores, best)
    # Where the largest is NaN nothing equals it.
    index = ops.where(largest, ops.arange(last + 1, dtype="int32"), last)
    return ops.min(index, axis=-1, initial=last)


def _is_one_hot(y_true: Tensor, predictions: Tensor, num_classes: int) -> bool:
    return (
        len(y_true.shape) == len(predictions.shape) + 1
        and y_true.shape[-1] == num_classes
    )


def top_k_batch(
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    *,
    ignore_index: Ids,
    num_classes: int,
    top_k: int,
) -> Batch:
    """Prepare elements whose label may be anywhere among the best `top_k` scores.

    Args:
        y_true: As for `class_batch`.
        y_pred: Scores of shape `(..., num_classes)`.
        sample_weight: One number a sample or an element, or None.
        mask: Like `sample_weight`; False leaves out.
        ignore_index: Elements with this label are left out.
        num_classes: Number of classes.
        top_k: How many of the best scores count. Equal scores rank by index.

    Returns:
        A batch of shape `(N,)` whose predictions are True where the label is
        among the best.

    Raises:
        ArgumentError: The shapes do not fit together.
    """
    y_true, y_pred = to_tensor(y_true, "y_true"), to_tensor(y_pred, "y_pred")
    if not len(y_pred.shape) or y_pred.shape[-1] != num_classes or not is_float(y_pred):
        raise _classes_differ(y_true, y_pred, num_classes)
    scores = to_scores(y_pred)
    some_class = ops.cast(scores[..., 0], "int32")
    labels, wrong = _class_labels(y_true, y_pred, some_class, num_classes)
    known = ops.expand_dims(ops.clip(labels, 0, num_classes - 1), -1)
    own = ops.take_along_axis(scores, known, axis=-1)
    before = ops.arange(num_classes, dtype="int32") < known
    better = ops.logical_or(
        scores > own, ops.logical_and(ops.equal(scores, own), before)
    )
    rank = ops.sum(ops.cast(better, "int32"), axis=-1)
    return finish(
        labels,
        rank < top_k,
        wrong,
        ops.any(ops.isnan(scores), axis=-1),
        sample_weight=sample_weight,
        mask=mask,
        ignore_index=ignore_index,
        shape=(-1,),
    )


def hit_batch(
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    *,
    ignore_index: Ids,
    num_classes: int,
) -> Batch:
    """Prepare elements of which it matters only whether their class was predicted.

    Args:
        y_true: As for `class_batch`.
        y_pred: As for `class_batch`.
        sample_weight: One number a sample or an element, or None.
        mask: Like `sample_weight`; False leaves out.
        ignore_index: Elements with this label are left out.
        num_classes: Number of classes.

    Returns:
        A batch of shape `(N,)` whose predictions are True where they are right.

    Raises:
        ArgumentError: The shapes do not fit together.
    """
    y_true, y_pred = to_tensor(y_true, "y_true"), to_tensor(y_pred, "y_pred")
    rank = len(y_pred.shape)
    if not is_float(y_pred) and len(y_true.shape) in (rank, rank + 1):
        batch = class_batch(
            y_true,
            y_pred,
            sample_weight,
            mask,
            ignore_index=ignore_index,
            num_classes=num_classes,
        )
        hit = ops.logical_and(
            ops.equal(batch.labels, batch.predictions),
            ops.logical_not(batch.hopeless),
        )
        return dataclasses.replace(batch, predictions=hit)
    if not rank or y_pred.shape[-1] != num_classes:
        raise _classes_differ(y_true, y_pred, num_classes)
    scores = to_scores(y_pred)
    some_class = ops.cast(scores[..., 0], "int32")
    labels, wrong = _class_labels(y_true, y_pred, some_class, num_classes)
    known = ops.expand_dims(ops.clip(labels, 0, num_classes - 1), -1)
    own = ops.take_along_axis(scores, known, axis=-1)
    earlier = ops.arange(num_classes, dtype="int32") < known
    # A NaN is not below any score, nor is any score below it.
    worse = ops.logical_or(
        scores < own, ops.logical_and(scores <= own, ops.logical_not(earlier))
    )
    return finish(
        labels,
        ops.all(worse, axis=-1),
        wrong,
        ops.zeros_like(labels, dtype="bool"),
        sample_weight=sample_weight,
        mask=mask,
        ignore_index=ignore_index,
        shape=(-1,),
    )


def score_batch(
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None,
    mask: Tensor | None,
    *,
    ignore_index: Ids,
    num_classes: int,
) -> Batch:
    """Prepare elements whose scores of all classes are wanted.

    Args:
        y_true: As for `class_batch`.
        y_pred: Scores of shape `(..., num_classes)`.
        sample_weight: One number a sample or an element, or None.
        mask: Like `sample_weight`; False leaves out.
        ignore_index: Elements with this label are left out.
        num_classes: Number of classes.

    Returns:
        A batch of shape `(N,)` whose predictions are `(N, num_classes)` scores.

    Raises:
        ArgumentError: The shapes do not fit together.
    """
    y_true, y_pred = to_tensor(y_true, "y_true"), to_tensor(y_pred, "y_pred")
    if not len(y_pred.shape) or y_pred.shape[-1] != num_classes or not is_float(y_pred):
        raise _classes_differ(y_true, y_pred, num_classes)
    scores = to_scores(y_pred)
    one_score = ops.isnan(scores[..., 0])
    labels, wrong = _class_labels(y_true, y_pred, one_score, num_classes)
    batch = finish(
        labels,
        one_score,
        wrong,
        one_score,
        sample_weight=sample_weight,
        mask=mask,
        ignore_index=ignore_index,
        shape=(-1,),
    )
    return dataclasses.replace(
        batch, predictions=ops.reshape(scores, (-1, num_classes))
    )


def _class_labels(
    y_true: Tensor, y_pred: Tensor, predictions: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Return int32 labels like `predictions`, and where they are no class."""
    if len(y_true.shape) == len(predictions.shape) + 1 and y_true.shape[-1] == 1:
        y_true = squeeze_last(y_true)
    if _is_one_hot(y_true, predictions, num_classes):
        labels = ops.cast(ops.argmax(y_true, axis=-1), "int32")
        ones = ops.equal(y_true, ops.ones_like(y_true))
        zeros = ops.equal(y_true, ops.zeros_like(y_true))
        one_hot = ops.logical_and(
            ops.all(ops.logical_or(ones, zeros), axis=-1),
            ops.equal(ops.sum(ops.cast(ones, "int32"), axis=-1), 1),
        )
        wrong = ops.logical_not(one_hot)
    else:
        labels, wrong = to_labels(y_true, num_classes)
    if not same_shape(labels, predictions):
        raise _classes_differ(y_true, y_pred, num_classes)
    return labels, wrong
