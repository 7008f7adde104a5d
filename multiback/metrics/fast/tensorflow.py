"""TensorFlow kernels: operations that `keras.ops` lacks, or runs slowly in a graph.

Keras compiles with XLA only with a GPU. In a graph on the CPU each operation costs a
microsecond or two at any size, so kernels use few: a plain batch takes a fifth of the
operations of the specification. XLA fuses many small ones, and gets the specification.
"""

import dataclasses
import functools
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from multiback.metrics.fast.results.tensorflow import MANY_CELLS
from multiback.metrics.inputs.batch import Given, same_shape, to_scores, to_tensor
from multiback.metrics.inputs.scores import BINARY
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.tensorflow import apart, is_for_xla
from multiback.metrics.statistics.counts import score_threshold
from multiback.metrics.statistics.score_bins import SEARCHED, bin_ids, edge_table
from multiback.metrics.statistics.score_histogram import ScoreHistogram
from multiback.metrics.statistics.statistic import PairStatistic, State
from multiback.metrics.statistics.task_counts import BinaryCounts

Tensor = Any
Array = np.ndarray[Any, Any]

# So many scores of a batch pay for the start of a function that XLA compiled.
MANY = 8192
# So many scores a row of a batch of unknown length are taken to be no small batch.
WIDE = 16


def as_arrays(state: State) -> dict[str, Any] | None:
    """View a state as NumPy arrays; None while a graph is being written."""
    if not tf.executing_eagerly():
        return None
    return {key: value.numpy() for key, value in state.items()}


# By graph, for each variable by its id: the variable, the name of what was read from
# it, and how many operations had written to it.
_READ: weakref.WeakKeyDictionary[Any, dict[int, tuple[Any, str, int]]]
_READ = weakref.WeakKeyDictionary()


def read(variables: Mapping[str, Any]) -> State:
    """Return the values of Keras's variables, those of a graph once until they change.

    The metrics of a group then have equal operations, which a graph runs once.
    """
    return {key: _read(variable.value) for key, variable in variables.items()}


def _read(variable: Tensor) -> Tensor:
    plain = isinstance(variable, tf.Variable) and not tf.distribute.has_strategy()
    if tf.executing_eagerly() or not plain:
        return tf.convert_to_tensor(variable)
    graph = tf.compat.v1.get_default_graph()
    reads = _READ.setdefault(graph, {})
    if id(variable) in reads:
        same, name, writers = reads[id(variable)]
        value = graph.get_tensor_by_name(name)
        if same() is variable and _writers(value) == writers:
            return value
    value = tf.convert_to_tensor(variable)
    if value.op.type == "ReadVariableOp":
        held = weakref.ref(variable)
        reads[id(variable)] = held, value.name, _writers(value)
    return value


def _writers(value: Tensor) -> int:
    """Count the operations that may have written to the variable of a value."""
    users = value.op.inputs[0].consumers()
    return sum(user.type != "ReadVariableOp" for user in users)


def add_in_xla(
    statistic: Any,
    add: Callable[..., None],
    variables: Mapping[str, Any],
    batch: tuple[Tensor, ...],
) -> bool:
    """Let XLA compile the update of many classes in a graph, with the assignment.

    A graph copies all counts where they leave a function that XLA compiled.

    Returns:
        Whether it was done: shapes have to be known.
    """
    if not isinstance(statistic, ScoreHistogram) or not _has_many_cells(statistic):
        return False
    plain = all(isinstance(each.value, tf.Variable) for each in variables.values())
    if is_for_xla() or tf.distribute.has_strategy() or not plain:
        return False
    if not all(isinstance(each, tf.Tensor) and _is_known(each) for each in batch):
        return False
    tf.function(add, jit_compile=True, autograph=False)(*batch)
    return True


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
    counting = _COUNTING.get(type(statistic))
    pair = None if counting is None else _pair(*batch)
    if counting is None or pair is None or not counting.is_plain(statistic):
        return None

    def counted() -> tuple[Tensor, Tensor]:
        y_true, scores = (tf.reshape(part, [-1]) for part in pair)
        counts, odd = counting.any_batch(statistic, state["counts"], y_true, scores)
        return counts, statistic.note(state, Given(*batch), odd)

    small = _as_small(*pair)
    if small is None:
        counts, unusable = counted()
    else:
        plain, rare = counting.small_batch(statistic, state["counts"], small)
        # One branch for all that is rare: a graph passes what it does not take.
        counts, unusable = tf.cond(
            rare, apart(counted), lambda: (plain, state["unusable"])
        )
    return {**state, "counts": counts, "unusable": unusable}


def _pair(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return labels and float32 scores, or wider, of one shape, if they fit."""
    pair = to_tensor(y_true, "y_true"), to_tensor(y_pred, "y_pred")
    if any(not isinstance(x, tf.Tensor) or x.shape.rank is None for x in pair):
        return None
    y_true, y_pred = pair
    if y_true.shape.rank == y_pred.shape.rank + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    elif y_pred.shape.rank == y_true.shape.rank + 1 and y_pred.shape[-1] == 1:
        y_pred = y_pred[..., 0]
    if not same_shape(y_true, y_pred):
        return None
    if y_true.dtype == tf.bool:
        y_true = tf.cast(y_true, tf.int32)
    return y_true, to_scores(y_pred)


@dataclasses.dataclass(frozen=True)
class _Small:
    """A batch that few operations count, if it is small.

    Attributes:
        values: float32 `(2, N)`, the scores and the labels; cut where N is not known.
        size: N: a number, or a tensor.
    """

    values: Tensor
    size: Tensor

    def places(self, edges: Array) -> Tensor:
        """Return how many edges of its row each value reaches; NaN reaches all."""
        return tf.raw_ops.UpperBound(sorted_inputs=edges, values=self.values)

    def most(self, found: Tensor) -> Tensor:
        """Return how many are found, or fewer than there are if it is not small."""
        return found if isinstance(self.size, int) else tf.minimum(found, SEARCHED)


def _as_small(y_true: Tensor, scores: Tensor) -> _Small | None:
    """Return a batch of up to `SEARCHED` scores, as far as is known while tracing."""
    known = [size or 1 for size in scores.shape]
    if math.prod(known) > (SEARCHED if None not in scores.shape else WIDE):
        return None
    if tf.float64 in (y_true.dtype, scores.dtype):
        return None
    values = tf.stack([scores, tf.cast(y_true, tf.float32)])
    values = tf.reshape(values, (2, -1))
    size = values.shape[1]
    if size is None:
        return _Small(values[:, : SEARCHED + 1], tf.size(scores))
    return _Small(values, size)


# The smallest float32 above 1, which probabilities do not reach.
_ABOVE_ONE = np.nextafter(np.float32(1.0), np.float32(2.0))


def _edges(of_scores: list[float] | Array) -> Array:
    """Return edges of scores and of labels; a label of 0 reaches 1 and one of 1 three.

    Denormals are 0 to some devices.
    """
    tiny = float(np.finfo("float32").tiny)
    of_labels = [0.0, tiny, 1.0, _ABOVE_ONE]
    edges = np.full((2, max(len(of_scores), len(of_labels))), math.inf, "float32")
    edges[0, : len(of_scores)] = of_scores
    edges[1, : len(of_labels)] = of_labels
    denormal = (np.abs(edges) < tiny) & (edges != 0.0)
    edges[denormal] = np.where(edges[denormal] > 0.0, tiny, 0.0)
    return edges


@functools.cache
def _edges_of_cases(statistic: BinaryCounts) -> Array:
    """Return edges of negative and of positive scores, which reach one and two."""
    logits = statistic.from_logits
    threshold = np.float32(score_threshold(statistic.threshold, from_logits=logits))
    above = np.nextafter(threshold, np.float32(math.inf))
    return _edges([-math.inf, above, math.inf] if logits else [0.0, above, _ABOVE_ONE])


# Of values with four edges: five places of scores for each of five places of labels.
_TWO_PLACES = np.array([[1, 5]], "int32")
# True positives, false positives, true negatives and false negatives.
_CASES = np.array([17, 7, 6, 16], "int32")
_NO_CASES = np.zeros(4, "int32")


def _small_binary(
    statistic: BinaryCounts, counts: Tensor, batch: _Small
) -> tuple[Tensor, Tensor]:
    """Return the counts with a small batch, and whether any batch's way is needed."""
    places = tf.matmul(_TWO_PLACES, batch.places(_edges_of_cases(statistic)))
    no_weights = tf.zeros([0], tf.int32)
    found = tf.raw_ops.Bincount(arr=places, size=25, weights=no_weights)
    cells = tf.gather(found, _CASES)
    after = counts + tf.stack([_NO_CASES, cells])
    # Fewer are found if a label is unknown or a score unusable.
    odd = batch.most(tf.reduce_sum(cells)) < batch.size
    return after, tf.logical_or(odd, tf.reduce_max(after) >= exact.COUNT_BASE)


@functools.cache
def _edges_of_bins(statistic: ScoreHistogram) -> Array:
    """Return edges of the bins; the first bin reaches one."""
    logits = statistic.task.from_logits
    # The first edge is minus infinity, and the last one infinity.
    inner = edge_table(statistic.bits, logits=logits)[1:-1]
    if logits:
        return _edges(np.concatenate([[-math.inf], inner, [math.inf]]))
    return _edges(np.concatenate([[0.0], np.minimum(inner, _ABOVE_ONE), [_ABOVE_ONE]]))


@functools.cache
def _cells_of_places(statistic: ScoreHistogram) -> Array:
    """Return the cell of each place, and the last cell; 0 and 0 for what is odd.

    They are in the low words of the flat count. A place is
    `score + (bins + 2) * label`.
    """
    bins, length = statistic.bins, statistic.cells
    cells = np.zeros((4, bins + 2, 2), "int32")
    for label, place in enumerate((1, 3)):
        first = length + label * bins
        cells[place, 1:-1, 0] = np.arange(first, first + bins)
        cells[place, 1:-1, 1] = 2 * length - 1
    return np.concatenate([cells.reshape(-1, 2), [[0, 0]]]).astype("int32")


def _small_scores(
    statistic: ScoreHistogram, counts: Tensor, batch: _Small
) -> tuple[Tensor, Tensor]:
    """Return the counts with a small batch, and whether any batch's way is needed."""
    table = _cells_of_places(statistic)
    digits = np.array([[1], [statistic.bins + 2]], "int32")
    places = batch.places(_edges_of_bins(statistic))
    places = tf.matmul(places, digits, transpose_a=True)
    cells = tf.gather(table, tf.minimum(places, len(table) - 1))
    cells = tf.reshape(cells, (-1, 1))
    flat = tf.reshape(counts, (-1, 1))
    flat = tf.tensor_scatter_nd_add(flat, cells, tf.ones_like(cells))
    # No cell has more than the last one.
    total = tf.gather_nd(flat, [2 * statistic.cells - 1, 0])
    rare = tf.logical_or(tf.reduce_min(cells) < 1, total >= exact.COUNT_BASE)
    if not isinstance(batch.size, int):
        rare = tf.logical_or(rare, batch.size > SEARCHED)
    return tf.reshape(flat, counts.shape), rare


def _count_binary(
    statistic: BinaryCounts, counts: Tensor, y_true: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
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
) -> tuple[Tensor, Tensor]:
    bins, length = statistic.bins, statistic.cells
    size = scores.shape[0]
    if size is not None and size >= MANY:
        return _count_many_scores(statistic, counts, y_true, scores)
    logits = statistic.task.from_logits
    ranked = _usable(scores, from_logits=logits)
    positive, negative = tf.equal(y_true, 1), tf.equal(y_true, 0)
    scores = tf.cast(scores, tf.float32)
    usable = tf.where(ranked, scores, tf.zeros_like(scores))
    ids = bin_ids(usable, statistic.bits, logits=logits)
    ids = ids + tf.where(positive, bins, 0)
    ids = tf.where(ranked, ids, 2 * bins)
    known = tf.cast(tf.logical_or(positive, negative), tf.int32)
    total = tf.reduce_sum(known)
    numbers = tf.concat([known, [total]], axis=0)
    ids = tf.concat([ids, [length - 1]], axis=0)
    usable = tf.reduce_sum(tf.cast(ranked, tf.int32))
    odd = total + usable < 2 * tf.size(known)
    return exact.add_ids_to_count(counts, ids, numbers), odd


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


@dataclasses.dataclass(frozen=True)
class _Counting:
    """How a graph counts batches of a statistic without weights.

    Attributes:
        is_plain: Whether it counts those of this statistic.
        small_batch: Counts a small one, and says if it is not plain.
        any_batch: Counts any, and says if a value may be unusable.
    """

    is_plain: Callable[[Any], bool]
    small_batch: Callable[[Any, Tensor, _Small], tuple[Tensor, Tensor]]
    any_batch: Callable[..., tuple[Tensor, Tensor]]


_COUNTING: dict[type, _Counting] = {
    BinaryCounts: _Counting(
        lambda statistic: statistic.ignore_index is None, _small_binary, _count_binary
    ),
    ScoreHistogram: _Counting(
        lambda statistic: (
            dataclasses.replace(statistic.task, from_logits=False) == BINARY
        ),
        _small_scores,
        _count_scores,
    ),
}
