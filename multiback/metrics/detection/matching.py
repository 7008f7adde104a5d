"""Which detection finds which object: COCO's greedy matching, on `keras.ops`.

Within an image and a class, the detections choose in the order of their confidence.
Each takes the free object that it overlaps most, if it reaches the threshold: one that
counts before one that is ignored, and of equals the last one. A loop over the
detections does this for all images, classes, thresholds and areas together.
"""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from multiback.metrics.detection.boxes import COORDINATES

Tensor = Any

# Thresholds of the overlap, in twentieths: 0.50, 0.55, ..., 0.95. An overlap of whole
# numbers that equals one is found exactly.
TWENTIETHS = tuple(range(10, 20))
IOUS = len(TWENTIETHS)
# Smallest and largest area in pixels: all, small, medium, large.
AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))
MOST = 100  # Detections a class in an image that are looked at.


@dataclasses.dataclass(frozen=True)
class Matches:
    """What detections found, by falling confidence in each image.

    Attributes:
        scores: `(B, M)` float32.
        classes: `(B, M)` int32; any where `counts` is False.
        counts: `(B, M)` boolean: a detection, and not padding.
        rank: `(B, M)` int32, 0 for the best of its class in its image.
        true: `(B, M, T, A)` boolean: it found an object.
        ignored: The same: it is neither right nor wrong.
    """

    scores: Tensor
    classes: Tensor
    counts: Tensor
    rank: Tensor
    true: Tensor
    ignored: Tensor


def areas_of(boxes: Tensor) -> Tensor:
    """Return the area of corners `(..., 4)`."""
    left, top, right, bottom = ops.unstack(boxes, COORDINATES, axis=-1)
    return (right - left) * (bottom - top)


def out_of_range(boxes: Tensor) -> Tensor:
    """Return for each box which of `AREAS` it is not in, `(..., A)`."""
    low, high = map(ops.convert_to_tensor, np.array(AREAS, "float32").T.copy())
    size = ops.expand_dims(areas_of(boxes), -1)
    return ops.logical_or(size < low, size > high)


def by_confidence(found: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Sort packed detections of each image by falling confidence, padding last."""
    keys = ops.where(counts, -found[..., -1], float("inf"))
    order = ops.argsort(keys, axis=1)
    counts = ops.take_along_axis(ops.cast(counts, "int32"), order, axis=1)
    wide = ops.broadcast_to(ops.expand_dims(order, -1), ops.shape(found))
    return ops.take_along_axis(found, wide, axis=1), ops.cast(counts, "bool")


def match(
    truths: Tensor, real: Tensor, crowd: Tensor, found: Tensor, counts: Tensor
) -> Matches:
    """Match the detections of each image with its objects.

    Args:
        truths: Packed objects with corners, `(B, N, 6)`, N at least 1.
        real: `(B, N)` boolean: an object, and not padding.
        crowd: `(B, N)` boolean: a region that any number of detections may match.
        found: Packed detections with corners, `(B, M, 6)`, M at least 1.
        counts: `(B, M)` boolean: a detection, and not padding.
    """
    found, counts = by_confidence(found, counts)
    classes = found[..., COORDINATES]
    overlap, enough = _overlaps(truths, real, crowd, found, counts)
    ignored_truth = _last(
        ops.logical_or(out_of_range(truths[..., :4]), crowd[..., None])
    )
    crowd = crowd[:, None, None]
    # Of equal overlaps COCO takes the last object, and argmax the first.
    overlap, enough, ignored_truth, crowd = (
        ops.flip(x, axis=-1) for x in (overlap, enough, ignored_truth, crowd)
    )
    ignored_truth = ignored_truth[:, None]  # (B, 1, A, N)
    places = ops.arange(ops.shape(overlap)[-1], dtype="int32")

    def choose(free: Tensor, one: tuple[Tensor, Tensor]) -> Any:
        overlap, enough = one
        may = ops.logical_and(enough[:, :, None], ops.logical_or(free, crowd))
        counted = ops.logical_and(may, ops.logical_not(ignored_truth))
        true = ops.any(counted, axis=-1, keepdims=True)
        may = ops.where(true, counted, may)
        matched = ops.any(may, axis=-1, keepdims=True)
        best = ops.argmax(ops.where(may, overlap[:, None, None], -1.0), axis=-1)
        chosen = ops.cast(best, "int32")[..., None] == places
        free = ops.logical_and(free, ops.logical_not(ops.logical_and(chosen, matched)))
        return free, ops.stack([true[..., 0], matched[..., 0]])

    free = ops.ones_like(ops.logical_or(enough[:, 0, :, None], ignored_truth))
    each = (ops.moveaxis(overlap, 1, 0), ops.moveaxis(enough, 1, 0))
    _, found_each = ops.scan(choose, free, each)  # (M, 2, B, T, A)
    true, matched = (ops.moveaxis(found_each[:, k], 0, 1) for k in range(2))
    other_size = out_of_range(found[..., :COORDINATES])[:, :, None]
    ignored = ops.where(matched, ops.logical_not(true), other_size)
    return Matches(
        found[..., -1],
        ops.cast(ops.where(counts, classes, 0.0), "int32"),
        counts,
        _rank(classes, counts),
        true,
        ignored,
    )


def _last(values: Tensor) -> Tensor:
    return ops.swapaxes(values, -1, -2)


def _overlaps(
    truths: Tensor, real: Tensor, crowd: Tensor, found: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Return IoUs `(B, M, N)`, and which thresholds they reach, `(B, M, T, N)`."""
    a, b = found[:, :, None], truths[:, None]
    low = ops.maximum(a[..., :2], b[..., :2])
    high = ops.minimum(a[..., 2:4], b[..., 2:4])
    sides = ops.maximum(high - low, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    own = areas_of(found[..., :4])[:, :, None]
    either = own + areas_of(truths[..., :4])[:, None] - shared
    # A crowd is a region: what matters is how much of the detection lies in it.
    either = ops.where(crowd[:, None], own, either)
    same = ops.equal(a[..., COORDINATES], b[..., COORDINATES])
    same = ops.logical_and(same, ops.logical_and(counts[:, :, None], real[:, None]))
    same = ops.logical_and(same, shared > 0.0)
    overlap = ops.where(same, shared / ops.where(same, either, 1.0), 0.0)
    levels = ops.convert_to_tensor(np.array(TWENTIETHS, "float32")[:, None])
    enough = shared[:, :, None] * 20.0 >= levels * either[:, :, None]
    return overlap, ops.logical_and(enough, same[:, :, None])


def _rank(classes: Tensor, counts: Tensor) -> Tensor:
    """Return how many detections of the same class and image come before each."""
    same = ops.equal(classes[:, :, None], classes[:, None])
    same = ops.logical_and(same, counts[:, None])
    places = ops.arange(ops.shape(classes)[1], dtype="int32")
    before = places[None, :] < places[:, None]
    return ops.sum(ops.cast(ops.logical_and(same, before), "int32"), axis=-1)
