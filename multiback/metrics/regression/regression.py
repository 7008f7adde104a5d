"""Errors of predicted numbers: MSE, RMSE and MAE."""

import math
from typing import Any, ClassVar

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import check_flag
from multiback.metrics.intervals.interval import Interval, sum_of_words
from multiback.metrics.intervals.means import mean_interval, root
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.metrics.statistics.sums import ErrorSums


class ErrorMetric(PairMetric):
    """A mean over the errors of all elements; NaN of no data."""

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __init__(
        self, sums: ErrorSums, name: str, dtype: str | None, intervals: Intervals = None
    ) -> None:
        super().__init__(sums, name=name, dtype=dtype, intervals=intervals)
        self.sums = sums

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        total, weight = self.sums.read(state)
        return ratio(total, weight, float("nan"))

    def compute_on_arrays(self, state: State) -> Any:
        """Return the metric's value for a state of NumPy arrays."""
        return self.compute(state)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean error."""
        return mean_interval(sum_of_words(state["sums"]), level, positive=True)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), "ignore_nan": self.sums.ignore_nan}


@keras.saving.register_keras_serializable("multiback")
class MeanSquaredError(ErrorMetric):
    """The mean squared error (MSE).

    Formula: `mean((y_true - y_pred)^2)`.

    Use it where large errors matter most. Errors are computed in float32, or in float64
    where an argument is float64 and the backend has it. No data, and a NaN or infinite
    error, give NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        ignore_nan: Leave out elements whose target is NaN.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets of any shape, integers or floats.
        y_pred: Predictions of the same shape. Either one may have a last axis of length
            1 that the other lacks; nothing else broadcasts.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `mean_squared_error`.

    Examples:
        Two batches of different sizes:

        >>> metric = MeanSquaredError()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        >>> metric.update_state([4.0], [6.0])
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self,
        name: str = "mean_squared_error",
        dtype: str | None = None,
        *,
        ignore_nan: bool = False,
        intervals: Intervals = None,
    ) -> None:
        sums = ErrorSums("squared", check_flag("ignore_nan", ignore_nan))
        super().__init__(sums, name=name, dtype=dtype, intervals=intervals)


@keras.saving.register_keras_serializable("multiback")
class RootMeanSquaredError(ErrorMetric):
    """The root of the mean squared error (RMSE), over all data.

    Formula: `sqrt(mean((y_true - y_pred)^2))`.

    Use it in place of `MeanSquaredError` to have the targets' unit. Errors are computed
    in float32, or in float64 where an argument is float64 and the backend has it. No
    data, and a NaN or infinite error, give NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        ignore_nan: Leave out elements whose target is NaN.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets of any shape, integers or floats.
        y_pred: Predictions of the same shape. Either one may have a last axis of length
            1 that the other lacks; nothing else broadcasts.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `root_mean_squared_error`.

    Examples:
        Two batches of different sizes:

        >>> metric = RootMeanSquaredError()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        >>> metric.update_state([4.0], [6.0])
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self,
        name: str = "root_mean_squared_error",
        dtype: str | None = None,
        *,
        ignore_nan: bool = False,
        intervals: Intervals = None,
    ) -> None:
        sums = ErrorSums("squared", check_flag("ignore_nan", ignore_nan))
        super().__init__(sums, name=name, dtype=dtype, intervals=intervals)

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        total, weight = self.sums.read(state)
        return namespace(total).sqrt(ratio(total, weight, float("nan")))

    def compute_on_arrays(self, state: State) -> Any:
        """Return the metric's value for a state of NumPy arrays."""
        return self.compute(state)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the root of the interval of the mean square."""
        return root(super().interval_on_arrays(state, level))


@keras.saving.register_keras_serializable("multiback")
class MeanAbsoluteError(ErrorMetric):
    """The mean absolute error (MAE).

    Formula: `mean(|y_true - y_pred|)`.

    Use it where single large errors should not decide. Errors are computed in float32,
    or in float64 where an argument is float64 and the backend has it. No data, and a
    NaN or infinite error, give NaN.

    Args:
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        ignore_nan: Leave out elements whose target is NaN.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets of any shape, integers or floats.
        y_pred: Predictions of the same shape. Either one may have a last axis of length
            1 that the other lacks; nothing else broadcasts.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `mean_absolute_error`.

    Examples:
        Two batches of different sizes:

        >>> metric = MeanAbsoluteError()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        >>> metric.update_state([4.0], [6.0])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self,
        name: str = "mean_absolute_error",
        dtype: str | None = None,
        *,
        ignore_nan: bool = False,
        intervals: Intervals = None,
    ) -> None:
        sums = ErrorSums("absolute", check_flag("ignore_nan", ignore_nan))
        super().__init__(sums, name=name, dtype=dtype, intervals=intervals)
