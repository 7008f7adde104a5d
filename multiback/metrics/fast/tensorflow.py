"""TensorFlow kernels: operations that `keras.ops` lacks, or runs slowly in a graph.

Keras compiles with XLA only with a GPU. In a graph on the CPU each operation costs a
microsecond or two at any size, so kernels use few: a plain batch takes a fifth of the
operations of the specification. XLA fuses many small ones, and gets the specification.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from multiback.metrics.fast.numpy import WIDTH
from multiback.metrics.inputs.batch import Given, same_shape, to_scores, to_tensor
from multiback.metrics.inputs.causes import OF_LABELS
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.tensorflow import apart, is_for_xla
from multiback.metrics.statistics.counts import CountTable, score_threshold
from multiback.metrics.statistics.score_bins import SEARCHED, bin_ids, edge_table
from multiback.metrics.statistics.score_histogram import (
    ScoreHistogram,
)
from multiback.metrics.statistics.score_histogram import (
    before as before_each,
)
from multiback.metrics.statistics.statistic import PairStatistic, State
from multiback.metrics.statistics.task_counts import BinaryCounts

Tensor = Any

# So many scores of a batch pay for the start of a function that XLA compiled.
MANY = 8192
# So many cells, those of ten classes, pay for it too.
MANY_CELLS = 30_000

# Matrix products with these sum a whole row, and the columns before each column.
_ALL = np.ones((WIDTH, WIDTH))
_BEFORE = np.triu(_ALL, 1)
_BELOW = _BEFORE + np.eye(WIDTH) / 2.0


def as_arrays(state: State) -> dict[str, Any] | None:
    """View a state as NumPy arrays; None while a graph is being written."""
    if not tf.executing_eagerly():
        return None
    return {key: value.numpy() for key, value in state.items()}


def update(
    statistic: PairStatistic,
    state: State,
    *batch: Tensor,
    sample_weight: Tensor | None = None,
    mask: Tensor | None = None,
) -> State | None:
    """Return the state with one more batch without weights in it.

    None leaves a batch that is not plain to the specification: weights, shapes that do
    not fit together, a label that is ignored, a statistic without a kernel.
    """
    if sample_weight is not None or mask is not None or is_for_xla():
        return None
    if isinstance(statistic, ScoreHistogram) and _has_many_cells(statistic):
        return _update_many_cells(statistic, state, *batch)
    count = _COUNTS.get(type(statistic))
    if count is None:
        return None
    pair = _flat_pair(*batch)
    found = None if pair is None else count(statistic, state["counts"], *pair)
    if found is None:
        return None
    counts, odd = found
    unusable = statistic.note(state, Given(*batch), odd)
    return {**state, "counts": counts, "unusable": unusable}


def _flat_pair(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor] | None:
    """Flatten labels and float32 scores, or wider, if they fit."""
    pair = to_tensor(y_true, "y_true"), to_tensor(y_pred, "y_pred")
    if any(not isinstance(x, tf.Tensor) or x.shape.rank is None for x in pair):
        return None
    y_true, y_pred = pair
    longer, shorter = sorted(pair, key=lambda x: -int(x.shape.rank))
    if longer.shape.rank == shorter.shape.rank + 1 and longer.shape[-1] == 1:
        longer = longer[..., 0]
    if not same_shape(longer, shorter):
        return None
    if y_true.dtype == tf.bool:
        y_true = tf.cast(y_true, tf.int32)
    return tf.reshape(y_true, [-1]), tf.reshape(to_scores(y_pred), [-1])


def _count_binary(
    statistic: BinaryCounts, counts: Tensor, y_true: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor] | None:
    if statistic.ignore_index is not None:
        return None
    threshold = score_threshold(statistic.threshold, from_logits=statistic.from_logits)
    positive, negative = tf.equal(y_true, 1), tf.equal(y_true, 0)
    # A NaN is neither above nor below, and so a miss of either label.
    above = tf.logical_and(positive, scores > threshold)
    below = tf.logical_and(negative, scores <= threshold)
    usable = _usable(scores, from_logits=statistic.from_logits)
    rows = tf.cast(tf.stack([above, positive, below, negative, usable]), tf.int32)
    tp, positives, tn, negatives, rest = tf.unstack(tf.reduce_sum(rows, axis=1))
    cells = tf.stack([tp, negatives - tn, tn, positives - tp])
    # The sum is smaller if a label is unknown or a score is unusable.
    odd = positives + negatives + rest < 2 * tf.size(y_true)
    return exact.add_to_count(counts, cells), odd


def _usable(scores: Tensor, *, from_logits: bool) -> Tensor:
    """Return which scores are not NaN and, if required, probabilities."""
    if from_logits:
        return tf.equal(scores, scores)
    return tf.logical_and(scores >= 0.0, scores <= 1.0)


def _count_scores(
    statistic: ScoreHistogram, counts: Tensor, y_true: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor] | None:
    task, bins, length = statistic.task, statistic.bins, statistic.cells
    if (task.num_classes, task.num_labels, task.ignore_index) != (None, None, None):
        return None
    size = scores.shape[0]
    if size is not None and size >= MANY:
        return _count_many_scores(statistic, counts, y_true, scores)
    ranked = _usable(scores, from_logits=task.from_logits)
    positive, negative = tf.equal(y_true, 1), tf.equal(y_true, 0)
    scores = tf.cast(scores, tf.float32)

    def search() -> Tensor:
        # The first edge is minus infinity, and the last one infinity.
        edges = edge_table(statistic.bits, logits=task.from_logits)[None, 1:-1]
        return tf.raw_ops.UpperBound(sorted_inputs=edges, values=scores[None])[0]

    def compute() -> Tensor:
        usable = tf.where(ranked, scores, tf.zeros_like(scores))
        return bin_ids(usable, statistic.bits, logits=task.from_logits)

    if size is None:
        ids = tf.cond(tf.size(scores) <= SEARCHED, search, compute)
    else:
        ids = search() if size <= SEARCHED else compute()
    # In the low words of the flat count.
    ids = ids + tf.where(positive, length + bins, length)
    ids = tf.where(ranked, ids, length + 2 * bins)
    known = tf.cast(tf.logical_or(positive, negative), tf.int32)
    total = tf.reduce_sum(known)
    numbers = tf.concat([known, [total]], axis=0)
    ids = tf.concat([ids, [2 * length - 1]], axis=0)
    usable = tf.reduce_sum(tf.cast(ranked, tf.int32))
    odd = total + usable < 2 * tf.size(known)
    flat = tf.tensor_scatter_nd_add(tf.reshape(counts, [-1]), ids[:, None], numbers)
    counts = tf.reshape(flat, counts.shape)
    # The last cell counts all scores, so no other cell is larger.
    full = flat[-1] >= exact.COUNT_BASE
    return tf.cond(full, lambda: exact.carry(counts), lambda: counts), odd


def _count_many_scores(
    statistic: ScoreHistogram, counts: Tensor, y_true: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
    """Count a large batch: a function that XLA compiles finds the cells.

    A graph reads and writes all of the batch for each of some twenty operations.
    """
    size, length = scores.shape[0], statistic.cells
    ids = _cells_by_xla(statistic)(y_true, scores)
    no_weights = tf.zeros([0], tf.int32)
    found = tf.raw_ops.Bincount(arr=ids, size=length, weights=no_weights)
    undefined, unknown = found[-2], found[-1]
    cells = tf.concat([found[:-1], [size - unknown]], axis=0)
    return exact.add_to_count(counts, cells), undefined + unknown > 0


def _has_many_cells(statistic: ScoreHistogram) -> bool:
    if statistic.task.columns == 1 or tf.executing_eagerly():
        return False  # Outside of a graph each new shape would be compiled once.
    return statistic.cells >= MANY_CELLS


def _update_many_cells(
    statistic: ScoreHistogram, state: State, *batch: Tensor
) -> State | None:
    """Count scores of many classes as specified, in a function that XLA compiled."""
    pair = to_tensor(batch[0], "y_true"), to_tensor(batch[1], "y_pred")
    if any(not isinstance(x, tf.Tensor) or not _is_known(x) for x in pair):
        return None
    counts = tf.convert_to_tensor(state["counts"])  # It may be Keras's variable.
    counts, odd = _adding_by_xla(statistic)(counts, *pair)
    return {
        **state,
        "counts": counts,
        "unusable": statistic.note(state, Given(*batch), odd),
    }


def _is_known(tensor: Tensor) -> bool:
    return bool(tensor.shape.is_fully_defined())


@functools.cache
def _adding_by_xla(statistic: ScoreHistogram) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return a function of counts, labels and scores that adds the scores."""

    def added(counts: Tensor, *batch: Tensor) -> tuple[Tensor, Tensor]:
        after, odd = statistic.add({"counts": counts}, Given(*batch))
        return after["counts"], odd

    found: Callable[..., tuple[Tensor, Tensor]] = tf.function(added, jit_compile=True)
    return found


@functools.cache
def _cells_by_xla(statistic: ScoreHistogram) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function of labels and scores that gives the cell of each score.

    Scores with an unknown label are in the last cell.
    """
    bins, logits = statistic.bins, statistic.task.from_logits

    def cells(y_true: Tensor, scores: Tensor) -> Tensor:
        ranked = _usable(scores, from_logits=logits)
        positive, negative = tf.equal(y_true, 1), tf.equal(y_true, 0)
        usable = tf.where(ranked, scores, tf.zeros_like(scores))
        ids = bin_ids(usable, statistic.bits, logits=logits)
        ids = tf.where(ranked, ids + tf.where(positive, bins, 0), 2 * bins)
        known = tf.logical_or(positive, negative)
        return tf.where(known, ids, statistic.cells - 1)

    found: Callable[[Tensor, Tensor], Tensor] = tf.function(cells, jit_compile=True)
    return found


_COUNTS: dict[type, Callable[..., tuple[Tensor, Tensor] | None]] = {
    BinaryCounts: _count_binary,
    ScoreHistogram: _count_scores,
}


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
    words = tf.cast(state["counts"], tf.float64) * [[exact.COUNT_BASE], [1.0]]
    cells = tf.reduce_sum(words + tf.cast(state["weighted"], tf.float64), axis=0)
    invalid = tf.reduce_sum(state["unusable"][:, OF_LABELS])
    tp, fp, tn, fn = tf.unstack(cells)
    table = CountTable(tp, fp, tn, fn, tf.cast(invalid, tf.float64))
    numerator, denominator = fraction(table)
    value = tf.cast(tf.math.divide_no_nan(numerator, denominator), tf.float32)
    if zero_division != 0.0:
        value = tf.where(tf.equal(denominator, 0.0), zero_division, value)
    return tf.where(table.invalid > 0.0, float("nan"), value)


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
    many = int(state["counts"].shape[1]) >= MANY_CELLS and not is_for_xla()

    def plain(counts: Tensor) -> Tensor:
        table = tf.reshape(counts[1, :-1], (-1, 2 * bins + 1))
        parts = table[:, :bins], table[:, bins:-1]
        return value(*(tf.cast(part, tf.float32) for part in parts))

    if many:  # Few passes over the cells are what counts.
        plain = tf.function(plain, jit_compile=True)
    counts = tf.convert_to_tensor(state["counts"])  # It may be Keras's variable.
    return tf.cond(_is_odd(state, bins), apart(otherwise), lambda: plain(counts))


def _is_odd(state: State, bins: int) -> Tensor:
    """Return whether there are weights, NaN, unusable labels or 2**24 in a cell."""
    counts = state["counts"]
    table = tf.reshape(counts[1, :-1], (-1, 2 * bins + 1))
    # Not 0 for a NaN and, with the total in its last cell, for a count that has left
    # its low word.
    carried = counts[0, -1]
    if table.shape[0] > 1:  # An epoch of a thousand classes has more than 2**24 scores.
        carried = tf.cond(
            carried > 0, lambda: tf.reduce_max(counts[0, :-1]), lambda: carried
        )
    last = carried + tf.reduce_sum(table[:, -1]) + tf.reduce_sum(state["unusable"])
    weights = tf.reduce_sum(tf.abs(state["weighted"][:, -1]))
    return tf.logical_or(tf.not_equal(last, 0), tf.not_equal(weights, 0.0))


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
    # Sums of fewer than 2**24 are exact, but a GPU multiplies matrices in fewer bits.
    dtype = tf.float64 if tf.config.list_physical_devices("GPU") else tf.float32
    everything, before, below = (
        matrix.astype(dtype.as_numpy_dtype) for matrix in (_ALL, _BEFORE, _BELOW)
    )
    table = tf.reshape(counts[1, :-1], (-1, 2 * bins + 1))
    columns = int(table.shape[0])

    def padded(part: Tensor) -> Tensor:
        part = tf.cast(part, dtype)
        if bins % WIDTH**2:
            part = tf.pad(part, [(0, 0), (0, -bins % WIDTH**2)])
        return tf.reshape(part, (-1, WIDTH))

    def area_by_xla(negatives: Tensor, positives: Tensor) -> Tensor:
        lower = before_each(negatives) + negatives / 2.0
        won = tf.reduce_sum(positives * lower, axis=1)
        below_all, above_all = (
            tf.reduce_sum(part, axis=1) for part in (negatives, positives)
        )
        # A single class makes this 0 / 0.
        return average(won / (below_all * above_all), above_all, below_all)

    if columns > 1 and (is_for_xla() or int(counts.shape[1]) >= MANY_CELLS):
        return of_cells(state, bins, area_by_xla, otherwise)

    def area() -> Tensor:
        negatives, positives = padded(table[:, :bins]), padded(table[:, bins:-1])
        # The number of negatives below each bin: in earlier groups of rows, in earlier
        # rows, in earlier bins of its row, and half of its own.
        rows = tf.reshape(tf.matmul(negatives, everything[:, :1]), (-1, WIDTH))
        groups = tf.reshape(tf.matmul(rows, everything[:, :1]), (columns, -1))
        earlier = np.tri(groups.shape[1], k=-1, dtype=everything.dtype).T
        lower = tf.reshape(tf.matmul(groups, earlier), (-1, 1))
        lower = lower + tf.matmul(rows, before)
        lower = tf.matmul(negatives, below) + tf.reshape(lower, (-1, 1))
        won = tf.reshape(positives * lower, (columns, -1))
        won, above = (
            tf.reduce_sum(won, 1),
            tf.reduce_sum(tf.reshape(positives, (columns, -1)), 1),
        )
        under = tf.reduce_sum(groups, axis=1)
        # A single class makes this 0 / 0.
        areas = won / (under * above), above, under
        return average(*(tf.cast(each, tf.float32) for each in areas))

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
    up_to = [each + before_each(each) for each in (positives, negatives)]
    all_positives, all_negatives = (each[:, -1:] for each in up_to)
    hits = all_positives - up_to[0]
    seen = hits + (all_negatives - up_to[1])
    areas = tf.reduce_sum(area(positives, negatives, hits, seen), axis=-1)
    return areas, all_positives[:, 0], all_negatives[:, 0]
