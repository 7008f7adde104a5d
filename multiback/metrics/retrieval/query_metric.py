"""What all metrics that average one score a query share."""

import math
from typing import Any, ClassVar

from multiback.metrics.base.averaging import check_zero_division
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.intervals.interval import Interval, sum_of_words
from multiback.metrics.intervals.means import mean_in_range
from multiback.metrics.retrieval.query_scores import Gain, Kind, QueryScores
from multiback.metrics.statistics.statistic import State, Tensor


class QueryMetric(PairMetric):
    """The mean over queries of a score of each.

    Without `k` all items count; `gain` is what a relevance is worth, for "ndcg"; with
    `binary` a label is 0 or 1, and nothing else.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        kind: Kind,
        k: int | None,
        zero_division: float,
        ignore_index: int | None,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
        *,
        gain: Gain = "linear",
        binary: bool = False,
    ) -> None:
        check_zero_division(zero_division)
        if ignore_index is not None:
            ignore_index = as_integer("ignore_index", ignore_index, -(2**24))
        self._queries = QueryScores(
            kind,
            None if k is None else as_integer("k", k, 1),
            gain,
            None if math.isnan(zero_division) else float(zero_division),
            ignore_index,
            binary,
        )
        super().__init__(self._queries, name=name, dtype=dtype, intervals=intervals)

    def compute(self, state: State) -> Tensor:
        """Return the mean of a state."""
        return self._queries.read(state)

    def compute_on_arrays(self, state: State) -> Any:
        """Return the mean of a state of NumPy arrays."""
        return float(self.compute(state))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean over queries."""
        return mean_in_range(sum_of_words(state["sums"]), level, self.value_range)
