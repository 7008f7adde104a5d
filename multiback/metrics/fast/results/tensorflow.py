"""What a step of TensorFlow computes from a state, with XLA and in a graph.

In a graph each operation costs a microsecond or two at any size. XLA fuses many small
ones, and a graph leaves passes over many cells to it.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from multiback.metrics.fast.results.areas import precision_areas, won_pairs
from multiback.metrics.inputs.causes import CAUSES, OF_LABELS
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.tensorflow import apart, is_for_xla
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.statistic import State

Tensor = Any

# So many cells, those of ten classes, pay for a function that XLA compiled.
MANY_CELLS = 30_000

# In full, as an operation that broadcasts takes five times as long.
_BASES = np.array([[float(exact.COUNT_BASE)] * 4, [1.0] * 4])
_INVALID = np.zeros((2, len(CAUSES)), "int32")
_INVALID[:, OF_LABELS] = -1


def ratio_of_two_classes(
    state: State,
    fraction: Callable[[CountTable], tuple[Tensor, Tensor]],
    zero_division: float,
) -> Tensor | None:
    """Return a ratio of the counts of a binary task.

    Args:
        state: That of `BinaryCounts`.
        fraction: Gives numerator and denominator, by arithmetic alone.
        zero_division: Value where the denominator is 0.
    """
    if is_for_xla():
        return None
    # Several metrics of one state have equal operations up to the four counts, which a
    # graph runs once.
    words = tf.cast(state["counts"], tf.float64) * _BASES
    cells = tf.reduce_sum(words + tf.cast(state["weighted"], tf.float64), axis=0)
    # The root of a negative number is NaN; `where` takes 4 us.
    invalid = tf.reduce_sum(state["unusable"] * _INVALID)
    cells = cells + tf.sqrt(tf.cast(invalid, tf.float64))
    tp, fp, tn, fn = tf.unstack(cells)
    numerator, denominator = fraction(CountTable(tp, fp, tn, fn, 0.0))
    value = tf.cast(tf.math.divide_no_nan(numerator, denominator), tf.float32)
    if zero_division != 0.0:
        value = tf.where(tf.equal(denominator, 0.0), zero_division, value)
    return value


def of_cells(
    state: State,
    bins: int,
    value: Callable[[Tensor, Tensor], Tensor],
    otherwise: Callable[[], Tensor],
) -> Tensor:
    """Return a value of the counts of one ranking, or of several.

    Args:
        state: State of a `ScoreHistogram`.
        bins: Number of bins.
        value: Computes the value from float32 negatives and positives,
            `(columns, bins)`, if no cell has 2**24 scores and no score a weight.
        otherwise: Computes the value of any other state, in a branch of its own.
    """
    # It may hold Keras's variables.
    state = {key: tf.convert_to_tensor(part) for key, part in state.items()}

    def plain(state: State) -> Tensor:
        table = tf.reshape(state["counts"][1, :-1], (-1, 2 * bins + 1))
        parts = table[:, :bins], table[:, bins:-1]
        return value(*(tf.cast(part, tf.float32) for part in parts))

    def both(state: State) -> tuple[Tensor, Tensor]:
        return _is_odd(state, bins), plain(state)

    if int(state["counts"].shape[1]) >= MANY_CELLS and not is_for_xla():
        # Few operations and few passes over the cells are what counts.
        odd, found = tf.function(both, jit_compile=True)(state)
        return tf.cond(odd, apart(otherwise), lambda: found)
    odd = _is_odd(state, bins)
    return tf.cond(odd, apart(otherwise), lambda: plain(state))


def _is_odd(state: State, bins: int) -> Tensor:
    """Return whether there are weights, unusable values or 2**24 in a cell."""
    counts, weighted = state["counts"], state["weighted"]
    # The total is in the last cell, so it shows a count that has left its low word.
    last = int(counts.shape[1]) - 1
    carried = tf.gather_nd(counts, [0, last])
    if last > 2 * bins + 1:  # Many classes have 2**24 in all.
        carried = tf.cond(
            carried > 0,
            apart(lambda: tf.reduce_max(exact.carry(counts)[0, :-1])),
            lambda: carried,
        )
    # A NaN is unusable, and weights of rankings are not negative.
    found = carried + tf.reduce_sum(state["unusable"])
    weights = tf.gather_nd(weighted, [0, last])
    return tf.not_equal(tf.cast(found, tf.float32) + weights, 0.0)


def roc_area(
    state: State,
    bins: int,
    average: Callable[[Tensor, Tensor, Tensor], Tensor],
    otherwise: Callable[[], Tensor],
) -> Tensor:
    """Return the area under the ROC curve of one ranking, or the average of several.

    Args:
        state: That of a `ScoreHistogram`.
        bins: Number of bins.
        average: Gives the value of areas, positives and negatives, each `(columns,)`.
        otherwise: Computes the area of other states than those of fewer than 2**24
            scores without weights, in a separate branch.
    """
    counts = state["counts"]
    columns = int(counts.shape[1]) // (2 * bins + 1)

    def area_by_xla(negatives: Tensor, positives: Tensor) -> Tensor:
        below_all, above_all, won = won_pairs(negatives, positives)
        # A single class makes this 0 / 0.
        return average(won / (below_all * above_all), above_all, below_all)

    if columns > 1 and (is_for_xla() or int(counts.shape[1]) >= MANY_CELLS):
        return of_cells(state, bins, area_by_xla, otherwise)

    def area() -> Tensor:
        return average(*_areas(counts, columns, bins))

    return tf.cond(_is_odd(state, bins), apart(otherwise), area)


def areas_of_bins(
    positives: Tensor, negatives: Tensor, area: Callable[..., Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the areas under precision-recall curves, positives and negatives.

    Args:
        positives: Of each bin, `(columns, bins)`.
        negatives: The same.
        area: Gives the area of bins of positives, negatives, positives above and all
            above them.
    """
    if is_for_xla():
        return precision_areas(
            positives, negatives, lambda areas: tf.reduce_sum(areas, axis=1)
        )
    both = tf.concat([positives, negatives], axis=0)
    above = _sums_above(both)
    hits, others = tf.split(above, 2)
    areas = tf.reduce_sum(area(positives, negatives, hits, hits + others), axis=-1)
    all_positives, all_negatives = tf.split(both[:, 0] + above[:, 0], 2)
    return areas, all_positives, all_negatives


def _sums_above(values: Tensor) -> Tensor:
    """Sum the bins above each one, `(columns, bins)`, in two levels."""
    columns, bins = values.shape
    width = math.isqrt(bins - 1) + 1
    table = tf.pad(values, [(0, 0), (0, -bins % width)])
    table = tf.reshape(table, (columns, -1, width))
    inside = tf.cumsum(table, axis=2, exclusive=True, reverse=True)
    rows = table[:, :, 0] + inside[:, :, 0]
    later = tf.cumsum(rows, axis=1, exclusive=True, reverse=True)
    return tf.reshape(inside + later[:, :, None], (columns, -1))[:, :bins]


@functools.cache
def _width(bins: int) -> int:
    """Return the width of the rows of bins, one that fits if there is one."""
    return next((n for n in range(20, 48) if bins % n == 0), 32)


def _areas(counts: Tensor, columns: int, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the area of each ranking, its positives and its negatives.

    A positive wins over the negatives in earlier rows of bins, and in earlier bins of
    its row, and over half of those of its bin.
    """
    width = _width(bins)
    rows = -(-bins // width)
    # Sums of fewer than 2**24 are exact, but a GPU multiplies matrices in fewer bits.
    dtype = tf.float64 if tf.config.list_physical_devices("GPU") else tf.float32
    of_float = dtype.as_numpy_dtype
    cells = counts[1, : 2 * bins]
    if columns > 1:
        cells = tf.reshape(counts[1, :-1], (columns, -1))[:, :-1]
    cells = tf.reshape(tf.cast(cells, dtype), (2 * columns, bins))
    if bins < rows * width:
        cells = tf.pad(cells, [(0, 0), (0, rows * width - bins)])
    shape = (2, rows, width) if columns == 1 else (columns, 2, rows, width)
    negatives, positives = tf.unstack(tf.reshape(cells, shape), axis=-3)
    wins = np.triu(np.ones((width, width), of_float), 1) + np.eye(width) / 2.0
    pairs = tf.matmul(negatives, positives, transpose_a=True)
    within = tf.reduce_sum(pairs * wins.astype(of_float), axis=(-2, -1))
    ones = np.ones((width, 1), of_float)
    sums = tf.matmul(tf.reshape(cells, (-1, width)), ones)
    of_rows = tf.reshape(sums, (columns, 2, rows))
    negatives, positives = tf.unstack(of_rows, axis=1)
    earlier = tf.cumsum(negatives, axis=1, exclusive=True)
    across = tf.reduce_sum(earlier * positives, axis=1)
    under, above = tf.unstack(tf.reduce_sum(of_rows, axis=2), axis=1)
    # A single class makes this 0 / 0.
    areas = (within + across) / (under * above)
    found = (tf.cast(part, tf.float32) for part in (areas, above, under))
    return tuple(found)
