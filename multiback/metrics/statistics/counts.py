"""True and false positives and negatives, counted exactly.

Unweighted updates count in integers; weighted ones add up in compensated
float32. Which of the two a batch takes is known while tracing, and a result
reads both, so that weights cost nothing to those who give none.

A NaN score never counts as a hit: the element is counted as a miss of its
label. A label that the task does not know makes every result NaN, and outside
of a compiled step it raises.
"""

import abc
import dataclasses
import math
from typing import Any

from keras import ops

from multiback.metrics.inputs.batch import Batch
from multiback.metrics.inputs.unknown_labels import explain_unknown
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.statistic import LabelStatistic, State

Tensor = Any


@dataclasses.dataclass(frozen=True)
class CountTable:
    """What a state says: float32 tensors of shape `(columns,)`.

    A column is a class, a label, or the positive class of a binary task.

    Attributes:
        tp: True positives.
        fp: False positives.
        tn: True negatives.
        fn: False negatives.
        invalid: Scalar, number of elements whose label the task does not know.
    """

    tp: Tensor
    fp: Tensor
    tn: Tensor
    fn: Tensor
    invalid: Tensor


class LabelCells(LabelStatistic):
    """Accumulate any number of counts, and invalid labels."""

    @property
    @abc.abstractmethod
    def cells(self) -> int:
        """Number of counts."""

    @abc.abstractmethod
    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Bring a batch to one shape."""

    @abc.abstractmethod
    def count(self, batch: Batch) -> list[Tensor]:
        """Return the counts of a batch, weighted if it has weights."""

    @abc.abstractmethod
    def explain_labels(self) -> str:
        """Say which labels the task knows."""

    def tally(self, batch: Batch) -> Tensor:
        """Return all counts of a batch, the last that of invalid labels."""
        dtype = "int32" if batch.weights is None else "float32"
        invalid = ops.sum(ops.cast(batch.wrong, dtype))
        return ops.concatenate(
            [ops.reshape(part, (-1,)) for part in (*self.count(batch), invalid)]
        )

    def init(self) -> State:
        """Return the state of no data."""
        shape = (2, self.cells + 1)
        return {
            "counts": ops.zeros(shape, dtype="int32"),
            "weighted": ops.zeros(shape, dtype="float32"),
        }

    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        batch = self.prepare(y_true, y_pred, sample_weight, mask)
        cells = self.tally(batch)
        if batch.weights is None:
            return {**state, "counts": exact.add_to_count(state["counts"], cells)}
        return {**state, "weighted": exact.add_to_sum(state["weighted"], cells)}

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        return {
            "counts": exact.merge_counts(a["counts"], b["counts"]),
            "weighted": exact.merge_sums(a["weighted"], b["weighted"]),
        }

    def invalid(self, state: State) -> Tensor:
        """Return how many elements had a label that the task does not know."""
        last = {key: words[:, -1] for key, words in state.items()}
        return exact.count_to_float(last["counts"]) + exact.sum_to_float(
            last["weighted"]
        )

    def explain_invalid(self, y_true: Tensor, y_pred: Tensor) -> str:
        """Say which labels of a batch are wrong."""
        batch = self.prepare(y_true, y_pred, None, None)
        return explain_unknown(batch, y_true, self.explain_labels())


class Counts(LabelCells):
    """Accumulate tp, fp, tn and fn for each column; `count` returns the four."""

    @property
    @abc.abstractmethod
    def columns(self) -> int:
        """Number of columns."""

    @property
    def cells(self) -> int:
        """Four a column."""
        return 4 * self.columns

    def read(self, state: State) -> CountTable:
        """Round a state to float32."""
        cells = exact.count_to_float(state["counts"]) + exact.sum_to_float(
            state["weighted"]
        )
        table = namespace(cells).reshape(cells[:-1], (4, self.columns))
        return CountTable(table[0], table[1], table[2], table[3], cells[-1])


def score_threshold(threshold: float, *, from_logits: bool) -> float:
    """Move the threshold to where the scores are, which leaves them exact."""
    if not from_logits:
        return threshold
    if threshold in (0.0, 1.0):
        return -math.inf if threshold == 0.0 else math.inf
    return math.log(threshold) - math.log1p(-threshold)
