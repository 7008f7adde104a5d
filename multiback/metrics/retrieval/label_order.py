"""How the labels of rows are ranked, in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def in_order(relevant: Array, scores: Array) -> Array:
    """Return which labels `(rows, labels)` hold, from the best score to the worst.

    Of equal scores those that do not hold come first. Integers in the order of the
    scores, float32 without NaN, with the label as their last bit, sort in a tenth of
    the time of pairs.
    """
    bits = (scores + np.float32(0.0)).view(np.int32)  # Of -0 and 0 the same.
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    keys = bits.astype(np.int64)
    keys *= -2
    keys += relevant
    keys.sort(axis=1)
    keys &= 1
    return keys


def coverage(held: Array) -> Array:
    """Return the place of the last label that holds, 0 where none does."""
    places = np.arange(1, held.shape[1] + 1)
    found: Array = (held * places).max(axis=1)
    return found.astype(np.float32)


def ranking_loss(held: Array) -> Array:
    """Return the share of pairs in the wrong order, 0 where there are none."""
    before = np.cumsum(1 - held, axis=1)
    true = held.sum(axis=1)
    wrong, pairs = (held * before).sum(axis=1), true * before[:, -1]
    share: Array = wrong / np.maximum(pairs, 1)
    return share.astype(np.float32)
