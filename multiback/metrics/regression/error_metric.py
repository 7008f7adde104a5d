"""What all metrics that average one error term an element share."""

import math
from typing import Any, ClassVar, Literal

import numpy as np

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, check_flag
from multiback.metrics.intervals.interval import (
    Interval,
    mean_of_dependent,
    sum_of_words,
)
from multiback.metrics.intervals.means import mean_interval
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.statistics.error_terms import ErrorTerms, Kind
from multiback.metrics.statistics.statistic import State, Tensor

Multioutput = Literal["uniform_average", "raw_values"]


def check_multioutput(multioutput: Any) -> None:
    """Raise unless `multioutput` is known."""
    if multioutput not in ("uniform_average", "raw_values"):
        raise ArgumentError(
            'multioutput= wants "uniform_average" or "raw_values", not '
            f"{multioutput!r}."
        )


class TermMetric(PairMetric):
    """A formula over the sum of error terms: their mean, unless a subclass says more.

    `kind` is the formula of a term, and `parameter` the number in it, if it has one.
    """

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    # The value is a function of the mean term, which has an interval.
    is_mean: ClassVar[bool] = True

    def __init__(
        self,
        kind: Kind,
        num_outputs: int,
        multioutput: Multioutput,
        ignore_nan: bool,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
        parameter: float = 0.0,
    ) -> None:
        num_outputs = as_integer("num_outputs", num_outputs, 1)
        check_multioutput(multioutput)
        ignore_nan = check_flag("ignore_nan", ignore_nan)
        self._terms = ErrorTerms(
            kind,
            float(parameter),
            None if num_outputs == 1 else num_outputs,
            ignore_nan,
        )
        super().__init__(self._terms, name=name, dtype=dtype, intervals=intervals)
        self.multioutput = multioutput

    def score(self, total: Tensor, weight: Tensor) -> Tensor:
        """Return one value an output, from sums of terms and of weights: the mean."""
        return ratio(total, weight, float("nan"))

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        total, weight = self._terms.read(state)
        if self._terms.sized:
            weight = self._terms.read_sizes(state)
        values = self.score(total, weight)
        if self.multioutput == "raw_values":
            return values
        return namespace(values).mean(values)

    def compute_on_arrays(self, state: State) -> Any:
        """Return the metric's value for a state of NumPy arrays."""
        sums = state["sums"]
        if self.multioutput == "raw_values" or sums.shape[-1] > 1:
            return self.compute(state)
        # Numbers take less time than arrays of one.
        total, weight = sums[0, :2, 0] + sums[1, :2, 0]
        if self._terms.sized:
            weight = state["sizes"][:, 0].sum()
        return float(self.score(total, weight))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean term; of several outputs' the longest."""
        if not self.is_mean:
            return super().interval_on_arrays(state, level)
        each = mean_interval(sum_of_words(state["sums"]), level, positive=True)
        if self.multioutput == "raw_values":
            return each
        return mean_of_dependent(each, np.ones(np.size(each.value)))
