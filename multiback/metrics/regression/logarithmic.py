"""Errors of logarithms: MSLE and RMSLE."""

import keras
import numpy as np

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import PairMetric
from multiback.metrics.intervals.interval import Interval
from multiback.metrics.intervals.means import root
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.regression.error_metric import Multioutput, TermMetric
from multiback.metrics.statistics.statistic import State, Tensor


@keras.saving.register_keras_serializable("multiback")
class MeanSquaredLogarithmicError(TermMetric):
    """The mean squared logarithmic error (MSLE).

    Formula: `mean((log(1 + y_true) - log(1 + y_pred))^2)`.

    Use it for counts and prices over several powers of ten, where the ratio matters.
    Targets and predictions must be above -1; any other makes the value NaN. No data,
    and a NaN or infinite error, give NaN.

    Args:
        num_outputs: Number D of outputs, the length of the last axis, each with a value
            of its own. 1 takes all elements of any shape together.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean) or "raw_values" (an array of all).
        ignore_nan: Leave out elements whose target is NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets, integers or floats: of any shape, or `(..., D)`.
        y_pred: Predictions of the same shape. For one output either one may have a last
            axis of length 1 that the other lacks; nothing else broadcasts.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `mean_squared_log_error`. Keras takes numbers below 0 for 0.

    Examples:
        Two batches of different sizes:

        >>> metric = MeanSquaredLogarithmicError()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.0919

        Two outputs, one value each:

        >>> metric = MeanSquaredLogarithmicError(
        ...     num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.1305, 0.0414]
    """

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "mean_squared_logarithmic_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "logarithmic", num_outputs, multioutput, ignore_nan, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class RootMeanSquaredLogarithmicError(TermMetric):
    """The root of the mean squared logarithmic error (RMSLE), over all data.

    Formula: `sqrt(mean((log(1 + y_true) - log(1 + y_pred))^2))`.

    Use it in place of `MeanSquaredLogarithmicError` for a number that is near the
    relative error. Targets and predictions must be above -1; any other makes the value
    NaN. No data, and a NaN or infinite error, give NaN.

    Args:
        num_outputs: Number D of outputs, the length of the last axis, each with a value
            of its own. 1 takes all elements of any shape together.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean) or "raw_values" (an array of all).
        ignore_nan: Leave out elements whose target is NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets, integers or floats: of any shape, or `(..., D)`.
        y_pred: Predictions of the same shape. For one output either one may have a last
            axis of length 1 that the other lacks; nothing else broadcasts.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `root_mean_squared_log_error`.

    Examples:
        Two batches of different sizes:

        >>> metric = RootMeanSquaredLogarithmicError()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.3031

        Two outputs, one value each:

        >>> metric = RootMeanSquaredLogarithmicError(
        ...     num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.3612, 0.2034]
    """

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "root_mean_squared_logarithmic_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "logarithmic", num_outputs, multioutput, ignore_nan, name, dtype, intervals
        )

    def score(self, total: Tensor, weight: Tensor) -> Tensor:
        """Return the root of the mean of each output."""
        return namespace(total).sqrt(ratio(total, weight, float("nan")))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the root of the interval of the mean square."""
        if np.shape(state["sums"])[-1] > 1:  # A mean of roots is no root of a mean.
            return PairMetric.interval_on_arrays(self, state, level)
        return root(super().interval_on_arrays(state, level))
