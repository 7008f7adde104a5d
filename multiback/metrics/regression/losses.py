"""Mean losses with a parameter: pinball and Huber."""

import math

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.regression.error_metric import Multioutput, TermMetric


@keras.saving.register_keras_serializable("multiback")
class PinballLoss(TermMetric):
    """The pinball loss: the error of a predicted quantile.

    Formula: `mean(max(q (y_true - y_pred), (q - 1) (y_true - y_pred)))` with the
    quantile q.

    Use it for models that predict a quantile, such as the upper end of an interval. For
    the median it is half the mean absolute error. No data, and a NaN or infinite error,
    give NaN.

    Args:
        quantile: The quantile that is predicted, above 0 and below 1.
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

    Source: scikit-learn's `mean_pinball_loss`.

    Examples:
        Two batches of different sizes:

        >>> metric = PinballLoss(quantile=0.9)
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.5

        Two outputs, one value each:

        >>> metric = PinballLoss(quantile=0.9, num_outputs=2, multioutput="raw_values")
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.9, 0.05]
    """

    def __init__(
        self,
        quantile: float = 0.5,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "pinball_loss",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if not is_real(quantile) or not 0.0 < quantile < 1.0:
            raise ArgumentError(
                f"quantile= wants a number above 0 and below 1, not {quantile!r}."
            )
        super().__init__(
            "pinball",
            num_outputs,
            multioutput,
            ignore_nan,
            name,
            dtype,
            intervals,
            quantile,
        )


@keras.saving.register_keras_serializable("multiback")
class Huber(TermMetric):
    """The Huber loss: squares of small errors, sizes of large ones.

    Formula: the mean of `error^2 / 2` where `|error| <= delta` and of `delta (|error| -
    delta / 2)` elsewhere.

    Use it in place of `MeanSquaredError` where a few outliers should not decide. No
    data, and a NaN or infinite error, give NaN.

    Args:
        delta: The size of an error from which on it counts in proportion, above 0.
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

    Source: SciPy's `scipy.special.huber`; Keras's `keras.losses.Huber`.

    Examples:
        Two batches of different sizes:

        >>> metric = Huber()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.625

        Two outputs, one value each:

        >>> metric = Huber(num_outputs=2, multioutput="raw_values")
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.75, 0.25]
    """

    def __init__(
        self,
        delta: float = 1.0,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "huber",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if not is_real(delta) or not 0.0 < delta < math.inf:
            raise ArgumentError(f"delta= wants a number above 0, not {delta!r}.")
        super().__init__(
            "huber", num_outputs, multioutput, ignore_nan, name, dtype, intervals, delta
        )
