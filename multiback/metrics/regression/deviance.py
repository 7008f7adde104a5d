"""Deviances and distances of predictions from their targets."""

import math

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.numeric.arithmetic import Tensor, namespace, where_any
from multiback.metrics.regression.error_metric import Multioutput, TermMetric


@keras.saving.register_keras_serializable("multiback")
class TweedieDeviance(TermMetric):
    """The mean deviance of a Tweedie distribution: normal, Poisson, gamma and others.

    Formula: the mean of `(y_true - y_pred)^2` for a power of 0, `2 (y_true log(y_true /
    y_pred) - y_true + y_pred)` for 1, `2 (log(y_pred / y_true) + y_true / y_pred - 1)`
    for 2, and for any other power p of `2 (max(y_true, 0)^(2-p) / ((1-p)(2-p)) - y_true
    y_pred^(1-p) / (1-p) + y_pred^(2-p) / (2-p))`.

    Use it for models of counts (power 1), of amounts (2), or of amounts with many zeros
    (between 1 and 2). Predictions must be above 0, unless the power is 0; targets must
    be at least 0 for powers from 1, and above 0 from 2. Any other makes the value NaN.
    No data, and a NaN or infinite error, give NaN.

    Args:
        power: The power p of the variance: 0 is normal, 1 Poisson, 2 gamma, 3 inverse
            Gaussian. Between 0 and 1 there is no distribution.
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

    Source: scikit-learn's `mean_tweedie_deviance`.

    Examples:
        Two batches of different sizes:

        >>> metric = TweedieDeviance(power=1)
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.525

        Two outputs, one value each:

        >>> metric = TweedieDeviance(power=1, num_outputs=2, multioutput="raw_values")
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.7726, 0.1891]
    """

    def __init__(
        self,
        power: float = 0.0,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "tweedie_deviance",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if not is_real(power) or not math.isfinite(power) or 0.0 < power < 1.0:
            raise ArgumentError(
                "power= wants a number that is not between 0 and 1, not "
                f"{power!r}: 0 is normal, 1 Poisson, 2 gamma."
            )
        super().__init__(
            "tweedie",
            num_outputs,
            multioutput,
            ignore_nan,
            name,
            dtype,
            intervals,
            power,
        )


@keras.saving.register_keras_serializable("multiback")
class MinkowskiDistance(TermMetric):
    """The Minkowski distance of all predictions from their targets.

    Formula: `sum(|y_true - y_pred|^p)^(1 / p)`, over all data.

    Use it for the distance of whole vectors; it grows with the number of elements. p =
    1 is the Manhattan distance, p = 2 the Euclidean one. No data, and a NaN or infinite
    error, give NaN.

    Args:
        p: The power, at least 1.
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

    Source: torchmetrics' `MinkowskiDistance`; SciPy's
    `scipy.spatial.distance.minkowski`.

    Examples:
        Two batches of different sizes:

        >>> metric = MinkowskiDistance(p=3)
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        2.1544

        Two outputs, one value each:

        >>> metric = MinkowskiDistance(p=3, num_outputs=2, multioutput="raw_values")
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [2.0, 1.0]
    """

    is_mean = False

    def __init__(
        self,
        p: float = 2.0,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "minkowski_distance",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if not is_real(p) or not 1.0 <= p < math.inf:
            raise ArgumentError(f"p= wants a number of at least 1, not {p!r}.")
        super().__init__(
            "power", num_outputs, multioutput, ignore_nan, name, dtype, intervals, p
        )

    def score(self, total: Tensor, weight: Tensor) -> Tensor:
        """Return the distance of each output."""
        root = namespace(total).power(total, 1.0 / self._terms.parameter)
        return where_any(root, weight)
