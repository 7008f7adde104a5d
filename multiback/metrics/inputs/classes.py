"""Bring class ids, one-hot rows and class scores to one shape and dtype."""

import dataclasses
from typing import Any

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.batch import (
    Batch,
    Given,
    Labels,
    finish,
    is_float,
    same_shape,
    shapes_differ,
    squeeze_last,
    to_labels,
    to_scores,
)
from multiback.metrics.inputs.task import Ids

Tensor = Any

# Class shares in bfloat16 add up to 1 only approximately.
SHARES_OFF = 2.0**-6


def _classes_differ(y_true: Tensor, y_pred: Tensor, num_classes: int) -> ArgumentError:
    return shapes_differ(
        y_true,
        y_pred,
        f'task="multiclass" with num_classes={num_classes} wants class ids (...), or '
        f"one-hot (..., {num_classes}), for y_true and scores (..., {num_classes}), "
        "or integer class ids (...), for y_pred.",
    )


def class_batch(
    given: Given, ignore_index: Ids, num_classes: int, *, float_ids: bool = False
) -> Batch:
    """Prepare elements that each belong to one of `num_classes` classes.

    Args:
        given: Labels are class ids of shape `(...)` or `(..., 1)`, or one-hot rows of
            shape `(..., num_classes)`. Predictions are scores of shape
            `(..., num_classes)`, whose first largest counts; or class ids of shape
            `(...)` or, beside one-hot rows or ids of shape `(..., 1)`, one-hot rows.
        ignore_index: Elements with this label are left out.
        num_classes: Number of classes.
        float_ids: Take whole floats that are not scores for class ids.
    """
    y_true, y_pred = given.tensors()
    by_id = True
    if _are_one_hot(y_true, y_pred, num_classes):
        predictions, one_hot = _from_one_hot(y_pred)
        hopeless = ops.logical_not(one_hot)
    elif _are_ids(y_true, y_pred, num_classes, float_ids=float_ids):
        predictions, hopeless = to_labels(y_pred, num_classes)
    else:
        if not len(y_pred.shape) or y_pred.shape[-1] != num_classes:
            raise _classes_differ(y_true, y_pred, num_classes)
        scores, by_id = to_scores(y_pred), False
        predictions = first_largest(scores)
        hopeless = ops.any(ops.isnan(scores), axis=-1)
    found = _class_labels(y_true, y_pred, predictions, num_classes)
    batch = finish(given, found, predictions, hopeless, ignore_index)
    return dataclasses.replace(batch, by_id=by_id)


def rounded_batch(given: Given, ignore_index: Ids, num_classes: int) -> Batch:
    """Prepare elements whose class a model predicts as one number.

    Labels are as for `class_batch`; predictions are numbers of shape `(...)` or
    `(..., 1)`, rounded to the nearest class, a half to the even one.
    """
    y_true, y_pred = given.tensors()
    if len(y_pred.shape) > 1 and y_pred.shape[-1] == 1:
        y_pred = squeeze_last(y_pred)
    numbers = to_scores(y_pred)
    missing = ops.isnan(numbers)
    nearest = ops.round(ops.where(missing, 0.0, numbers))
    predictions = ops.cast(ops.clip(nearest, 0.0, num_classes - 1.0), "int32")
    found = _class_labels(y_true, y_pred, predictions, num_classes)
    return finish(given, found, predictions, missing, ignore_index)


def _are_one_hot(y_true: Tensor, y_pred: Tensor, num_classes: int) -> bool:
    """Return whether predictions are one-hot rows, beside such rows or `(..., 1)` ids.

    By their shapes alone: the meaning of a number must not change from batch to batch.
    """
    return (
        not is_float(y_pred)
        and len(y_pred.shape) > 1
        and len(y_true.shape) == len(y_pred.shape)
        and y_pred.shape[-1] == num_classes
        and y_true.shape[-1] in (1, num_classes)
    )


def _are_ids(
    y_true: Tensor, y_pred: Tensor, num_classes: int, *, float_ids: bool
) -> bool:
    """Return whether predictions are class ids and not scores."""
    rank = len(y_pred.shape)
    if is_float(y_pred):
        has_scores = rank and y_pred.shape[-1] in (num_classes, None)
        return float_ids and not has_scores
    return len(y_true.shape) in (rank, rank + 1)


def _from_one_hot(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the int32 ids of rows, and which rows are one-hot."""
    if is_float(rows):
        ids = ops.argmax(rows, axis=-1)
    else:
        ids = ops.argmax(ops.cast(rows, "int32"), axis=-1)  # Not of bool on JAX.
    ones = ops.equal(rows, ops.ones_like(rows))
    zeros = ops.equal(rows, ops.zeros_like(rows))
    one_hot = ops.logical_and(
        ops.all(ops.logical_or(ones, zeros), axis=-1),
        ops.equal(ops.sum(ops.cast(ones, "int32"), axis=-1), 1),
    )
    return ops.cast(ids, "int32"), one_hot


def first_largest(scores: Tensor) -> Tensor:
    """Return the int32 index of the first largest score of each row."""
    if keras.backend.backend() == "torch":
        return ops.cast(ops.argmax(scores, axis=-1), "int32")
    # XLA's argmax takes two to four times as long, because it does not vectorise.
    last = scores.shape[-1] - 1
    # Without `initial` Keras refuses an empty batch on TensorFlow.
    best = ops.max(scores, axis=-1, keepdims=True, initial=-float("inf"))
    largest = ops.equal(scores, best)
    # If the largest is NaN, no score equals it.
    index = ops.where(largest, ops.arange(last + 1, dtype="int32"), last)
    return ops.min(index, axis=-1, initial=last)


def _is_one_hot(y_true: Tensor, predictions: Tensor, num_classes: int) -> bool:
    return (
        len(y_true.shape) == len(predictions.shape) + 1
        and y_true.shape[-1] == num_classes
    )


def top_k_batch(given: Given, ignore_index: Ids, num_classes: int, top_k: int) -> Batch:
    """Prepare elements whose label may be anywhere among the best `top_k` scores.

    As for `class_batch`, with scores of shape `(..., num_classes)`; equal ones rank by
    index. The predictions are True where the label is among the best.
    """
    y_true, y_pred = given.tensors()
    if not len(y_pred.shape) or y_pred.shape[-1] != num_classes or not is_float(y_pred):
        raise _classes_differ(y_true, y_pred, num_classes)
    scores = to_scores(y_pred)
    some_class = ops.cast(scores[..., 0], "int32")
    found = _class_labels(y_true, y_pred, some_class, num_classes)
    known = ops.expand_dims(ops.clip(found.ids, 0, num_classes - 1), -1)
    own = ops.take_along_axis(scores, known, axis=-1)
    before = ops.arange(num_classes, dtype="int32") < known
    better = ops.logical_or(
        scores > own, ops.logical_and(ops.equal(scores, own), before)
    )
    rank = ops.sum(ops.cast(better, "int32"), axis=-1)
    hopeless = ops.any(ops.isnan(scores), axis=-1)
    among = ops.logical_and(rank < top_k, ops.logical_not(hopeless))
    return finish(given, found, among, hopeless, ignore_index)


def hit_batch(given: Given, ignore_index: Ids, num_classes: int) -> Batch:
    """Prepare elements for which only a hit or a miss of their class matters.

    As for `class_batch`; the predictions are True where they are right.
    """
    y_true, y_pred = given.tensors()
    if _are_ids(y_true, y_pred, num_classes, float_ids=False):
        batch = class_batch(given, ignore_index, num_classes)
        hit = ops.logical_and(
            ops.equal(batch.labels, batch.predictions),
            ops.logical_not(batch.hopeless),
        )
        return dataclasses.replace(batch, predictions=hit)
    if not len(y_pred.shape) or y_pred.shape[-1] != num_classes:
        raise _classes_differ(y_true, y_pred, num_classes)
    scores = to_scores(y_pred)
    some_class = ops.cast(scores[..., 0], "int32")
    found = _class_labels(y_true, y_pred, some_class, num_classes)
    known = ops.expand_dims(ops.clip(found.ids, 0, num_classes - 1), -1)
    own = ops.take_along_axis(scores, known, axis=-1)
    earlier = ops.arange(num_classes, dtype="int32") < known
    # A NaN is not below any score, nor is any score below it.
    worse = ops.logical_or(
        scores < own, ops.logical_and(scores <= own, ops.logical_not(earlier))
    )
    hopeless = ops.any(ops.isnan(scores), axis=-1)
    return finish(given, found, ops.all(worse, axis=-1), hopeless, ignore_index)


def score_batch(
    given: Given, ignore_index: Ids, num_classes: int, *, soft: bool = False
) -> Batch:
    """Prepare elements with the scores of all classes, `(N, num_classes)`.

    As for `class_batch`, with scores of shape `(..., num_classes)`. With `soft`, float
    rows of labels may be shares that add up to 1; the batch then has `targets`.
    """
    y_true, y_pred = given.tensors()
    if not len(y_pred.shape) or y_pred.shape[-1] != num_classes or not is_float(y_pred):
        raise _classes_differ(y_true, y_pred, num_classes)
    scores = to_scores(y_pred)
    one_score = ops.isnan(scores[..., 0])
    found = _class_labels(y_true, y_pred, one_score, num_classes)
    targets = None
    if soft and is_float(found.raw) and len(found.raw.shape) > len(found.ids.shape):
        targets = to_scores(found.raw)
        inside = ops.all(ops.logical_and(targets >= 0.0, targets <= 1.0), axis=-1)
        off = ops.abs(ops.sum(targets, axis=-1) - 1.0)
        wrong = ops.logical_not(ops.logical_and(inside, off <= SHARES_OFF))
        found = found._replace(wrong=wrong)
        targets = ops.reshape(targets, (-1, num_classes))
    batch = finish(given, found, one_score, one_score, ignore_index)
    scores = ops.reshape(scores, (-1, num_classes))
    return dataclasses.replace(
        batch, predictions=scores, scores=scores, targets=targets
    )


def _class_labels(
    y_true: Tensor, y_pred: Tensor, predictions: Tensor, num_classes: int
) -> Labels:
    """Return labels like `predictions`."""
    if len(y_true.shape) == len(predictions.shape) + 1 and y_true.shape[-1] == 1:
        y_true = squeeze_last(y_true)
    if _is_one_hot(y_true, predictions, num_classes):
        labels, one_hot = _from_one_hot(y_true)
        wrong = ops.logical_not(one_hot)
    else:
        labels, wrong = to_labels(y_true, num_classes)
    if not same_shape(labels, predictions):
        raise _classes_differ(y_true, y_pred, num_classes)
    return Labels(labels, wrong, y_true)
