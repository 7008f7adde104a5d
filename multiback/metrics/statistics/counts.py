"""True and false positives and negatives, counted exactly.

Unweighted updates count in integers; weighted ones add up in compensated
float32. Which of the two a batch takes is known while tracing, and a result
reads both, so that weights cost nothing to those who give none.

A NaN score never counts as a hit: the element is counted as a miss of its
label. A label that the task does not know makes every result NaN.
"""

import abc
import dataclasses
import math

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.statistic import LabelStatistic, State, Tensor


@dataclasses.dataclass(frozen=True)
class CountTable:
    """The values of a state: float32 tensors of shape `(columns,)`.

    A column is a class, a label, or the positive class of a binary task. `invalid` is a
    scalar, the number of elements whose label the task does not know.
    """

    tp: Tensor
    fp: Tensor
    tn: Tensor
    fn: Tensor
    invalid: Tensor


class LabelCells(LabelStatistic):
    """Accumulate any number of counts.

    The state is "counts", a count of `exact` of each cell; "weighted" and "squares",
    sums of `exact` of the weights of each cell and of their squares, which give the
    effective number of rows; and "unusable".
    """

    @property
    @abc.abstractmethod
    def cells(self) -> int:
        """Number of counts."""

    @property
    def squared(self) -> int:
        """Number of sums of squared weights."""
        return self.cells

    @property
    def probabilities(self) -> bool:
        """Whether the value depends on scores that are to lie in [0, 1]."""
        return False

    @abc.abstractmethod
    def count(self, batch: Batch) -> list[Tensor]:
        """Return the counts of a batch, weighted if it has weights."""

    def tally(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return all counts of a batch, and whether a value is unusable."""
        parts = [ops.reshape(part, (-1,)) for part in self.count(batch)]
        return ops.concatenate(parts), self.is_odd(batch)

    def squares(self, batch: Batch) -> Tensor:
        """Return the sums of the squared weights of a batch."""
        weights = batch.weights
        squared = None if weights is None else ops.square(weights)
        return self.tally(dataclasses.replace(batch, weights=squared))[0]

    def init(self) -> State:
        """Return the state of no data."""
        return {
            "counts": ops.zeros((2, self.cells), dtype="int32"),
            "weighted": ops.zeros((2, self.cells), dtype="float32"),
            "squares": ops.zeros((2, self.squared), dtype="float32"),
            "unusable": self.no_causes(),
        }

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch = self.prepare(given)
        cells, odd = self.tally(batch)
        if batch.weights is None:
            return {**state, "counts": exact.add_to_count(state["counts"], cells)}, odd
        return {
            **state,
            "weighted": exact.add_to_sum(state["weighted"], cells),
            "squares": exact.add_to_sum(state["squares"], self.squares(batch)),
        }, odd

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        return {
            "counts": exact.merge_counts(a["counts"], b["counts"]),
            "weighted": exact.merge_sums(a["weighted"], b["weighted"]),
            "squares": exact.merge_sums(a["squares"], b["squares"]),
            "unusable": exact.merge_counts(a["unusable"], b["unusable"]),
        }


class Counts(LabelCells):
    """Accumulate tp, fp, tn and fn for each column; `count` returns the four."""

    @property
    @abc.abstractmethod
    def columns(self) -> int:
        """Number of columns."""

    @property
    def cells(self) -> int:
        """Four cells a column."""
        return 4 * self.columns

    def read(self, state: State) -> CountTable:
        """Round a state to float32."""
        cells = exact.count_to_float(state["counts"]) + exact.sum_to_float(
            state["weighted"]
        )
        table = namespace(cells).reshape(cells, (4, self.columns))
        return CountTable(table[0], table[1], table[2], table[3], self.invalid(state))


def score_threshold(threshold: float, *, from_logits: bool) -> float:
    """Move the threshold to the unit of the scores, which leaves them exact."""
    if not from_logits:
        return threshold
    if threshold in (0.0, 1.0):
        return -math.inf if threshold == 0.0 else math.inf
    return math.log(threshold) - math.log1p(-threshold)
