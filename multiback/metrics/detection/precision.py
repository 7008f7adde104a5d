"""COCO's average precision from counts of right and wrong detections.

The precision at a recall is the best one at that recall or a larger one, and the
average is over the recalls 0, 0.01, ..., 1. With j right detections of n objects,
`h(j)` of these 101 recalls are reached. So the average is the sum over detections, by
falling confidence, of the best precision from there on times the growth of `h`.

Everything works on NumPy arrays and on tensors.
"""

import numpy as np
from keras import ops

from multiback.metrics.numeric.arithmetic import Tensor, namespace, ratio

LEVELS = 101
# pycocotools takes recalls from `np.linspace`, which rounds these up: a recall j / n
# that equals the exact level is then below it.
_ROUNDED_UP = np.linspace(0.0, 1.0, LEVELS) > np.arange(LEVELS) / 100.0


def cast(values: Tensor, dtype: str) -> Tensor:
    """Cast an array or a tensor."""
    return (
        values.astype(dtype)
        if isinstance(values, np.ndarray)
        else ops.cast(values, dtype)
    )


def levels_reached(right: Tensor, objects: Tensor) -> Tensor:
    """Return how many of the 101 recalls are reached, int32.

    `right` of `objects` were found, both int32; shapes broadcast.
    """
    xp = namespace(right)
    whole = 100 * right
    objects = xp.maximum(objects, 1)
    # Keras tries metrics on a state without contents, whose numbers are arbitrary.
    level = xp.clip(xp.floor_divide(whole, objects), 0, LEVELS - 1)
    equal = xp.equal(level * objects, whole)
    table = _ROUNDED_UP.astype("int32")
    rounded = xp.take(table if xp is np else ops.convert_to_tensor(table), level)
    reached = level + 1 - xp.where(equal, rounded, 0)
    return xp.where(right > 0, reached, 0)


def of_bins(true: Tensor, false: Tensor, objects: Tensor, share: str) -> Tensor:
    """Return the average precision of detections in bins, float32 `(K, T)`.

    Args:
        true: `(K, T, bins)` int32, the right ones from the lowest scores to the
            highest.
        false: The wrong ones.
        objects: `(K,)` int32, how many objects there are.
        share: Which order within a bin: "best", "worst", or "mean" for the expected
            place of the last right one.
    """
    xp = namespace(true)
    true, false = (xp.flip(x, axis=-1) for x in (true, false))
    right = _cumulate(true, -1)
    wrong = cast(_cumulate(false, -1) - false, "float32")
    if share == "worst":
        wrong = wrong + cast(false, "float32")
    elif share == "mean":
        number = cast(true, "float32")
        wrong = wrong + cast(false, "float32") * number / (number + 1.0)
    found = cast(right, "float32")
    values = ratio(found, found + wrong, 0.0)
    best = _best_from_here(values)
    objects = objects[:, None, None]
    growth = levels_reached(right, objects) - levels_reached(right - true, objects)
    return xp.sum(best * cast(growth, "float32"), axis=-1) / LEVELS


def of_sorted(true: Tensor, false: Tensor, classes: Tensor, objects: Tensor) -> Tensor:
    """Return the average precision of each class, float32 `(K, T)`.

    The detections are sorted by class `(D,)`, then by falling confidence: `(D, T)`
    int32, 1 where one is right or wrong. What is behind the last class is no detection.
    """
    xp = namespace(true)
    number = objects.shape[0]
    here = xp.equal(classes[None], xp.arange(number, dtype="int32")[:, None])
    here = cast(here, "int32")
    sizes = cast(xp.sum(here, axis=1), "int32")
    known = xp.clip(classes, 0, number - 1)
    starts = xp.take(_cumulate(sizes, 0) - sizes, known)
    right, wrong = (_within(x, starts) for x in (true, false))
    found = cast(right, "float32")
    values = ratio(found, found + cast(wrong, "float32"), 0.0)
    best = xp.transpose(_best_from_here(xp.transpose(values), classes))
    of_class = xp.take(objects, known)[:, None]
    growth = levels_reached(right, of_class) - levels_reached(right - true, of_class)
    terms = best * cast(growth, "float32")
    return xp.matmul(cast(here, "float32"), terms) / LEVELS


def _best_from_here(values: Tensor, classes: Tensor | None = None) -> Tensor:
    """Return the largest of each value `(..., D)` and those behind it, in its class.

    Each step looks twice as far; Keras's `associative_scan` does not compile by XLA on
    TensorFlow. Values are not negative, classes `(D,)` sorted, or all one.
    """
    xp = namespace(values)
    ahead = 1
    while ahead < values.shape[-1]:
        edges = [(0, 0)] * (len(values.shape) - 1)
        later = xp.pad(values[..., ahead:], [*edges, (0, ahead)])
        if classes is not None:
            of_later = xp.pad(classes[ahead:] + 1, [(0, ahead)]) - 1
            later = xp.where(xp.equal(classes, of_later), later, 0.0)
        values = xp.maximum(values, later)
        ahead *= 2
    return values


def _cumulate(values: Tensor, axis: int) -> Tensor:
    return cast(namespace(values).cumsum(values, axis=axis), "int32")


def _within(values: Tensor, starts: Tensor) -> Tensor:
    """Add up `(D, T)` from the start of each one's class."""
    xp = namespace(values)
    total = _cumulate(values, 0)
    before = xp.pad(total, [(1, 0), (0, 0)])
    return total - xp.take(before, starts, axis=0)
