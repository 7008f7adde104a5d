"""Mean, sum, largest and smallest of a stream of numbers."""

import math
from typing import ClassVar

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, Metric
from multiback.metrics.intervals.interval import Interval, sum_of_words
from multiback.metrics.intervals.means import mean_interval
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.metrics.statistics.sums import Extremes, ValueSums


class Aggregate(Metric):
    """A metric of plain numbers, for your own loops.

    Whether more of them is better is not known: `direction` is None.
    """

    direction: ClassVar[Direction | None] = None
    value_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def update_state(self, values: Tensor, sample_weight: Tensor | None = None) -> None:
        """Add one batch.

        Args:
            values: Numbers of any shape.
            sample_weight: One number a row or an element, or None.
        """
        self.add_batch(values, sample_weight=sample_weight, mask=None)


@keras.saving.register_keras_serializable("multiback")
class Mean(Aggregate):
    """The weighted mean of all values.

    Formula: `sum(weight * value) / sum(weight)`.

    Use it for a loss or a reward in a loop of your own. A mean of batches of different
    sizes is right: elements count, not batches. No data, and a NaN or infinite value,
    give NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        values: Numbers of any shape, integers or floats.
        sample_weight: One number a row or an element, or None.

    Raises:
        ArgumentError: An argument is unknown, or the weights do not broadcast to the
            values.

    Source: NumPy's `average`. Keras's `Mean` is 0 of no data.

    Examples:
        Two batches of different sizes:

        >>> mean = Mean()
        >>> mean.update_state([1.0, 2.0, 3.0])
        >>> mean.update_state(6.0)
        >>> float(mean.result())
        3.0
    """

    def __init__(
        self, name: str = "mean", dtype: str | None = None, intervals: Intervals = None
    ) -> None:
        self._sums = ValueSums()
        super().__init__(self._sums, name=name, dtype=dtype, intervals=intervals)

    def compute(self, state: State) -> Tensor:
        """Return the mean of a state."""
        total, weight = self._sums.read(state)
        return ratio(total, weight, float("nan"))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean."""
        return mean_interval(sum_of_words(state["sums"]), level, positive=False)


@keras.saving.register_keras_serializable("multiback")
class Sum(Aggregate):
    """The weighted sum of all values; 0 of no data.

    Formula: `sum(weight * value)`.

    Use it to count tokens, samples or costs. It does not stop growing where float32
    would: adding 1 to 2**24 again and again counts. A NaN or infinite value gives NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.

    Call arguments:
        values: Numbers of any shape, integers or floats.
        sample_weight: One number a row or an element, or None.

    Raises:
        ArgumentError: An argument is unknown, or the weights do not broadcast to the
            values.

    Source: NumPy's `sum`, in float64.

    Examples:
        Past 2**24, where float32 stops:

        >>> total = Sum()
        >>> total.update_state(2.0**24)
        >>> for _ in range(4):
        ...     total.update_state(1.0)
        >>> float(total.result()) - 2**24
        4.0
    """

    def __init__(self, name: str = "sum", dtype: str | None = None) -> None:
        self._sums = ValueSums()
        super().__init__(self._sums, name=name, dtype=dtype)

    def compute(self, state: State) -> Tensor:
        """Return the sum of a state."""
        return self._sums.read(state)[0]


@keras.saving.register_keras_serializable("multiback")
class Max(Aggregate):
    """The largest of all values.

    Formula: `max(value)`.

    Use it for a peak, such as the largest gradient. A weight of 0 leaves a value out;
    other weights do not matter. No data, and a NaN value, give NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.

    Call arguments:
        values: Numbers of any shape, integers or floats.
        sample_weight: One number a row or an element, or None.

    Raises:
        ArgumentError: An argument is unknown, or the weights do not broadcast to the
            values.

    Source: NumPy's `max`.

    Examples:
        One batch:

        >>> largest = Max()
        >>> largest.update_state([-3.0, -1.0, -2.0])
        >>> float(largest.result())
        -1.0
    """

    def __init__(self, name: str = "max", dtype: str | None = None) -> None:
        self._extremes = Extremes()
        super().__init__(self._extremes, name=name, dtype=dtype)

    def compute(self, state: State) -> Tensor:
        """Return the largest value of a state."""
        return self._extremes.read(state)[0]


@keras.saving.register_keras_serializable("multiback")
class Min(Aggregate):
    """The smallest of all values.

    Formula: `min(value)`.

    Use it for a low, such as the smallest loss. A weight of 0 leaves a value out; other
    weights do not matter. No data, and a NaN value, give NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.

    Call arguments:
        values: Numbers of any shape, integers or floats.
        sample_weight: One number a row or an element, or None.

    Raises:
        ArgumentError: An argument is unknown, or the weights do not broadcast to the
            values.

    Source: NumPy's `min`.

    Examples:
        One batch:

        >>> smallest = Min()
        >>> smallest.update_state([3.0, 1.0, 2.0])
        >>> float(smallest.result())
        1.0
    """

    def __init__(self, name: str = "min", dtype: str | None = None) -> None:
        self._extremes = Extremes()
        super().__init__(self._extremes, name=name, dtype=dtype)

    def compute(self, state: State) -> Tensor:
        """Return the smallest value of a state."""
        return self._extremes.read(state)[1]
