"""A histogram of scores for each class, for ranking metrics.

No binning is right for every range of scores, so every value computed from it comes
with the possible error from the order inside bins.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from multiback.metrics.inputs.batch import Batch, Given
from multiback.metrics.inputs.scores import BINARY, ScoreTask
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import is_for_xla
from multiback.metrics.numeric.by_id import count_ids, sum_by_id
from multiback.metrics.statistics.counts import LabelCells
from multiback.metrics.statistics.score_bins import (
    BITS,
    bin_ids,
    edge_table,
    number_of_bins,
)
from multiback.metrics.statistics.statistic import State

Tensor = Any
Array = np.ndarray[Any, Any]

# So many cells are computed at a time outside of a compiled step.
CHUNK = 64_000


@dataclasses.dataclass(frozen=True)
class Histogram:
    """The values of a state, one row a ranking.

    Attributes:
        negatives: `(columns, bins)` float32, from the lowest scores to the highest.
        positives: The same for label 1.
        undefined: `(columns,)`, not 0 if a score is NaN, a label unknown or a weight
            negative.
        weighted: Scalar, not 0 if batches came with weights.
        exact: True if each bin holds a single score, so scores in one bin are ties.
    """

    negatives: Tensor
    positives: Tensor
    undefined: Tensor
    weighted: Tensor
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class ScoreHistogram(LabelCells):
    """Count the scores of each class in bins.

    Args:
        task: What the scores are of: one class, or several.
        bits: One more bit doubles the number of bins; see `score_bins`.
    """

    words_of: ClassVar[dict[str, str]] = {"unusable_weight": "negative_weight"}
    negative_weights: ClassVar[bool] = False

    task: ScoreTask = BINARY
    bits: int = BITS

    @property
    def bins(self) -> int:
        """Number of bins of a ranking."""
        return number_of_bins(self.bits, logits=self.task.from_logits)

    @property
    def probabilities(self) -> bool:
        """Whether scores must be probabilities."""
        return not self.task.from_logits

    @property
    def cells(self) -> int:
        """For each ranking the bins of both classes and the NaN; and the total.

        No bin holds more than the total, so one cell shows whether any count has left
        its low word, and whether there are weights.
        """
        return self.task.columns * (2 * self.bins + 1) + 1

    def prepare(self, given: Given) -> Batch:
        """Flatten to one row an element."""
        return self.task.prepare(given)

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        if given.sample_weight is not None or keras.backend.backend() == "torch":
            return super().add(state, given)
        batch = self.prepare(given)
        placed, ids = self.places(batch)
        size = ids.shape[0]
        if isinstance(size, int) and size >= self.cells:
            return self._add_many(state, batch, placed.valid, ids)
        # A pass over all cells for each small batch takes XLA four times as long.
        odd = self.is_odd(batch)
        numbers = ops.reshape(ops.cast(placed.valid, "int32"), (-1,))
        ids = ops.where(numbers > 0, ids, ops.zeros_like(ids))
        last = ops.full((1,), self.cells - 1, dtype="int32")
        ids = ops.concatenate([ids, last])
        numbers = ops.concatenate([numbers, ops.reshape(ops.sum(numbers), (1,))])
        counts = exact.add_ids_to_count(state["counts"], ids, numbers)
        return {**state, "counts": counts}, odd

    def _add_many(
        self, state: State, batch: Batch, valid: Tensor, ids: Tensor
    ) -> tuple[State, Tensor]:
        """Add a batch of more elements than cells, with as few passes over it.

        What does not count, and what is wrong, get cells of their own: their sums would
        each be one more pass.
        """
        ids = ops.where(ops.reshape(valid, (-1,)), ids, self.cells - 1)
        binary = self.task.num_classes is None and self.task.num_labels is None
        if binary:
            ids = ops.where(batch.wrong, self.cells, ids)
        found = count_ids(ids, self.cells + 1)
        undefined, left_out, wrong = found[-3], found[-2], found[-1]
        total = ids.shape[0] - left_out - wrong
        cells = ops.concatenate([found[:-2], ops.reshape(total, (1,))])
        counts = exact.add_to_count(state["counts"], cells)
        odd = undefined + wrong > 0 if binary else self.is_odd(batch)
        return {**state, "counts": counts}, odd

    @property
    def squared(self) -> int:
        """The squared weights of the negatives and the positives of each ranking."""
        return 2 * self.task.columns

    def squares(self, batch: Batch) -> Tensor:
        """Return the sums of the squared weights of negatives and positives."""
        batch = self.task.ranked(batch)
        columns = ops.arange(self.task.columns, dtype="int32")
        ids = ops.reshape(batch.labels, (-1, self.task.columns)) + 2 * columns
        weights = ops.where(batch.valid, batch.weights, 0.0)
        valid = ops.reshape(batch.valid, (-1,))
        ids = ops.where(valid, ops.reshape(ids, (-1,)), 0)
        return sum_by_id(ids, ops.reshape(ops.square(weights), (-1,)), self.squared)

    def places(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return elements that are each 0 or 1, and the flat cell of each one.

        The cells of a ranking are bins of label 0, bins of label 1, and NaN.
        """
        scores = self.task.comparable(batch.predictions)
        batch = self.task.ranked(dataclasses.replace(batch, predictions=scores))
        undefined = ops.isnan(batch.predictions)
        scores = ops.where(
            undefined, ops.zeros_like(batch.predictions), batch.predictions
        )
        ids = bin_ids(scores, self.bits, logits=self.task.from_logits)
        ids = ids + self.bins * batch.labels
        ids = ops.where(undefined, ops.full_like(ids, 2 * self.bins), ids)
        if self.task.columns > 1:
            columns = ops.arange(self.task.columns, dtype="int32")
            ids = ids + columns * (2 * self.bins + 1)
        return batch, ops.reshape(ids, (-1,))

    def count(self, batch: Batch) -> list[Tensor]:
        """Return the cells of one ranking after the other, and their sum."""
        batch, ids = self.places(batch)
        valid = ops.reshape(batch.valid, (-1,))
        ids = ops.where(valid, ids, ops.full_like(ids, self.cells - 1))
        if batch.weights is None:
            cells = count_ids(ids, self.cells)[:-1]
        else:
            # An excluded element's weight may be NaN.
            weights = ops.where(valid, ops.reshape(batch.weights, (-1,)), 0.0)
            cells = sum_by_id(ids, weights, self.cells)[:-1]
        return [cells, ops.sum(cells)]

    def explain_labels(self) -> str:
        """Name the labels."""
        return self.task.explain_labels()

    def read(self, state: State) -> Histogram:
        """Round a state to float32."""
        weighted = exact.sum_to_float(state["weighted"])
        cells = exact.count_to_float(state["counts"]) + weighted
        table = ops.reshape(cells[:-1], (self.task.columns, 2 * self.bins + 1))
        return Histogram(
            negatives=table[:, : self.bins],
            positives=table[:, self.bins : -1],
            undefined=table[:, -1] + self.unrankable(state),
            weighted=ops.sum(ops.abs(weighted)),
        )

    def columns_in_chunks(
        self, state: State, columns: Sequence[int] | None = None
    ) -> Iterator[Array]:
        """Yield the cells of some rankings at a time, for a state of NumPy arrays.

        Each is `(k, 2 * bins + 1)`: negatives, positives and NaN of k rankings; int32,
        or float64 where there are weights or counts beyond 2**24. Chunks that fit into
        a processor's cache take a third of the time of the whole.
        """
        width = 2 * self.bins + 1
        (high, low), weighted = (
            state[key][:, :-1].reshape(2, -1, width) for key in ("counts", "weighted")
        )
        # No cell holds more than the last one.
        carried = state["counts"][0, -1] != 0 and bool(high.any())
        in_weights = state["weighted"][0, -1] != 0.0
        size = max(CHUNK // width, 1)
        for first in range(0, len(low if columns is None else columns), size):
            rows: Any = slice(first, first + size)
            if columns is not None:
                rows = list(columns[rows])
            cells = low[rows]
            if carried:
                cells = high[rows] * float(exact.COUNT_BASE) + cells
            if in_weights:
                cells = cells + weighted[0, rows].astype("float64") + weighted[1, rows]
            yield cells

    def histogram_of(self, cells: Array, state: State) -> Histogram:
        """Return the values of a chunk, as float64 arrays."""
        cells = cells.astype("float64", copy=False)
        return Histogram(
            negatives=cells[:, : self.bins],
            positives=cells[:, self.bins : -1],
            undefined=cells[:, -1] + self.unrankable(state),
            weighted=np.abs(state["weighted"][0, -1]).astype("float64"),
        )

    def edges(self, _state: State) -> Array:
        """Return the lower edge of each bin in float64, as scores, `(1, bins)`."""
        table = edge_table(self.bits, logits=self.task.from_logits)
        edges: Array = table[:-1].astype("float64")
        if self.task.from_logits and self.task.num_classes is not None:
            # Their bins are of logits, but they are shown as a softmax.
            with np.errstate(all="ignore"):
                edges = 1.0 / (1.0 + np.exp(-edges))
            edges[0] = -math.inf
        return edges[None]


def before(values: Tensor) -> Tensor:
    """Sum, for each bin, the bins before it: a prefix sum in two levels.

    One level of thousands took a third of a small step on TensorFlow. Each sum takes
    at most twice the root of the number of bins in roundings, and none below 2**24.
    Nothing is subtracted: behind a full bin the few before it would be lost.

    Args:
        values: Float tensor of shape `(columns, bins)`.
    """
    if isinstance(values, np.ndarray):
        exclusive: Array = np.zeros_like(values)
        np.cumsum(values[..., :-1], axis=-1, out=exclusive[..., 1:])
        return exclusive
    if is_for_xla():
        return sums_by_fours(values)
    columns, bins = values.shape
    width = math.isqrt(bins - 1) + 1
    values = ops.pad(values, [(0, 0), (0, -bins % width)])
    table = ops.reshape(values, (columns, -1, width))
    inside = ops.cumsum(ops.pad(table[:, :, :-1], [(0, 0), (0, 0), (1, 0)]), axis=2)
    rows = inside[:, :-1, -1] + table[:, :-1, -1]
    earlier = ops.cumsum(ops.pad(rows, [(0, 0), (1, 0)]), axis=1)
    sums = inside + ops.expand_dims(earlier, -1)
    return ops.reshape(sums, (columns, -1))[:, :bins]


def sums_by_fours(values: Tensor, *, above: bool = False) -> Tensor:
    """Sum the bins before each one, or `above` it, four at a time.

    XLA vectorises that. Its own prefix sum adds up a window for each bin: ten times as
    long. What lies above is not the whole less what lies below: beyond 2**24 such a
    difference of rounded sums is wrong where few scores lie above.
    """
    columns, bins = values.shape
    if bins == 1:
        return ops.zeros_like(values)
    order = (3, 2, 1, 0) if above else (0, 1, 2, 3)
    lanes = fours(values)
    one, two, three, four = (lanes[k] for k in order)
    second = one + two
    third = second + three
    others = sums_by_fours(third + four, above=above)
    sums = [others, others + one, others + second, others + third]
    sums = [sums[k] for k in order]
    return ops.reshape(ops.stack(sums, axis=-1), (columns, -1))[:, :bins]


def fours(values: Tensor) -> list[Tensor]:
    """Return the first, second, third and fourth of each four values of a row."""
    table = ops.pad(values, [(0, 0), (0, -values.shape[1] % 4)])
    table = ops.reshape(table, (values.shape[0], -1, 4))
    return [table[:, :, k] for k in range(4)]


def total(values: Tensor) -> Tensor:
    """Sum the bins of each column, `(columns, bins)` to `(columns,)`."""
    if isinstance(values, np.ndarray):
        return np.sum(values, axis=-1)
    return exact.sum_to_float(exact.batch_sum(values))
