"""What all metrics over centred moments share."""

import abc
import math
from typing import Any, ClassVar, Literal

import numpy as np

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, check_flag
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.moments import Moments, MomentTable
from multiback.metrics.statistics.statistic import State, Tensor

Multioutput = Literal["uniform_average", "variance_weighted", "raw_values"]


class MomentMetric(PairMetric):
    """A formula over centred moments of each output; subclasses write `score`."""

    direction: ClassVar[Direction | None] = "max"

    def __init__(
        self,
        num_outputs: int,
        multioutput: Multioutput,
        ignore_nan: bool,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        num_outputs = as_integer("num_outputs", num_outputs, 1)
        if multioutput not in ("uniform_average", "variance_weighted", "raw_values"):
            raise ArgumentError(
                'multioutput= wants "uniform_average", "variance_weighted" or '
                f'"raw_values", not {multioutput!r}.'
            )
        ignore_nan = check_flag("ignore_nan", ignore_nan)
        self._moments = Moments(num_outputs, ignore_nan)
        super().__init__(self._moments, name=name, dtype=dtype, intervals=intervals)
        self.multioutput = multioutput

    @abc.abstractmethod
    def score(self, table: MomentTable) -> Tensor:
        """Return one value an output, for data of at least two rows."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        table = self._moments.read(state)
        xp = namespace(table.true)
        scores = xp.where(table.rows < 2.0, float("nan"), self.score(table))  # noqa: PLR2004 - a variance takes two
        how = self.multioutput
        if how == "variance_weighted":
            total = xp.sum(table.true)
            plain = xp.ones_like(table.true)
            weights = xp.where(xp.equal(total, 0.0), plain, table.true)
            return xp.sum(weights * scores) / xp.sum(weights)
        return scores if how == "raw_values" else xp.mean(scores)

    def compute_on_arrays(self, state: State) -> Any:
        """Return the metric's value for a state of NumPy arrays."""
        with np.errstate(all="ignore"):
            if self._moments.num_outputs > 1 or self.multioutput == "raw_values":
                return self.compute(state)
            one = self._moments.of_one(state)
            return math.nan if one.rows < 2.0 else float(self.score(one))  # noqa: PLR2004 - see above
