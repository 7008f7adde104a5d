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
from multiback.metrics.numeric.arithmetic import Tensor

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
    objects = ops.arange(ops.shape(overlap)[-1], dtype="int32")
    detections = ops.arange(ops.shape(overlap)[1], dtype="int32")

    # Keras's `scan` on TensorFlow wants results of the shape of the state.
    def choose(index: Any, held: Any) -> Any:
        free, true, matched = held
        reaches = ops.take(enough, index, axis=1)[:, :, None]
        may = ops.logical_and(reaches, ops.logical_or(free, crowd))
        counted = ops.logical_and(may, ops.logical_not(ignored_truth))
        any_counted = ops.any(counted, axis=-1, keepdims=True)
        may = ops.where(any_counted, counted, may)
        any_match = ops.any(may, axis=-1, keepdims=True)
        sizes = ops.take(overlap, index, axis=1)[:, None, None]
        best = ops.argmax(ops.where(may, sizes, -1.0), axis=-1, keepdims=True)
        taken = ops.logical_and(ops.equal(objects, ops.cast(best, "int32")), any_match)
        here = ops.equal(detections, index)
        return (
            ops.logical_and(free, ops.logical_not(taken)),
            ops.logical_or(true, ops.logical_and(here, any_counted)),
            ops.logical_or(matched, ops.logical_and(here, any_match)),
        )

    free = ops.ones_like(ops.logical_or(enough[:, 0, :, None], ignored_truth))
    none = ops.zeros_like(ops.logical_and(free[..., :1], ops.equal(detections, -1)))
    held = (free, none, none)
    _, true, matched = ops.fori_loop(0, ops.shape(overlap)[1], choose, held)
    true, matched = (ops.moveaxis(x, -1, 1) for x in (true, matched))
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
