"""Correlations of predictions and targets."""

import keras
import numpy as np

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.intervals.fisher import correlation_interval
from multiback.metrics.intervals.interval import (
    Interval,
    mean_of_dependent,
    sum_of_words,
)
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.regression.moment_metric import MomentMetric, Multioutput
from multiback.metrics.statistics.moments import MomentTable
from multiback.metrics.statistics.statistic import State, Tensor


@keras.saving.register_keras_serializable("multiback")
class PearsonCorrelation(MomentMetric):
    """Pearson's correlation of targets and predictions.

    Formula: `cov(y_true, y_pred) / (std(y_true) std(y_pred))`.

    Use it where predictions should follow the targets on a line, whatever its slope and
    offset. NaN where targets or predictions are constant, and of fewer than two rows.
    The value is that of all data, not a mean of batches, and is right wherever the mean
    of the targets lies. A NaN gives NaN.

    Args:
        num_outputs: Number D of outputs, the length of the last axis.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean), "variance_weighted" (mean by the variance of the targets) or
            "raw_values" (an array of all).
        ignore_nan: Leave out elements whose target is NaN; each output then has rows of
            its own.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the state stays exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets `(..., D)`, integers or floats; for one output also `(...)`.
        y_pred: Predictions of the same shape. For one output either one may have a last
            axis of length 1 that the other lacks.
        sample_weight: One number a sample, a row or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: SciPy's `pearsonr`. Keras averages the value of each batch instead.

    Examples:
        One output:

        >>> metric = PearsonCorrelation()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> round(float(metric.result()), 4)
        0.982

        Two outputs, one value each:

        >>> metric = PearsonCorrelation(num_outputs=2, multioutput="raw_values")
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 4.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [0.982, 0.866]
    """

    value_range = (-1.0, 1.0)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "pearson_correlation",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(num_outputs, multioutput, ignore_nan, name, dtype, intervals)

    def score(self, table: MomentTable) -> Tensor:
        """Return the correlation."""
        xp = namespace(table.true)
        spread = xp.sqrt(table.true) * xp.sqrt(table.predicted)
        return xp.clip(ratio(table.cross, spread, float("nan")), -1.0, 1.0)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return Fisher's interval; of a mean over outputs the longest possible."""
        table = sum_of_words(state["moments"])
        weight, squares, true, predicted, cross = table[[1, 2, 6, 7, 8]]
        with np.errstate(all="ignore"):
            values = cross / (np.sqrt(true) * np.sqrt(predicted))
            rows = weight**2 / squares
        each = correlation_interval(np.clip(values, -1.0, 1.0), rows, level)
        if self.multioutput == "raw_values":
            return each
        weights = np.ones_like(true)
        if self.multioutput == "variance_weighted" and np.sum(true) != 0.0:
            weights = true
        return mean_of_dependent(each, weights)


@keras.saving.register_keras_serializable("multiback")
class ConcordanceCorrelation(MomentMetric):
    """Lin's concordance: the correlation, less what a shift or a scale costs.

    Formula: `2 cov / (var_true + var_pred + (mean_true - mean_pred)^2)`, with variances
    over n.

    Use it to compare two ways to measure the same. NaN where targets and predictions
    are one constant, and of fewer than two rows. The value is that of all data, not a
    mean of batches, and is right wherever the mean of the targets lies. A NaN gives
    NaN.

    Args:
        num_outputs: Number D of outputs, the length of the last axis.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean), "variance_weighted" (mean by the variance of the targets) or
            "raw_values" (an array of all).
        ignore_nan: Leave out elements whose target is NaN; each output then has rows of
            its own.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the state stays exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets `(..., D)`, integers or floats; for one output also `(...)`.
        y_pred: Predictions of the same shape. For one output either one may have a last
            axis of length 1 that the other lacks.
        sample_weight: One number a sample, a row or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: Lin, A concordance correlation coefficient to evaluate reproducibility,
    Biometrics 45 (1989). torchmetrics takes variances over n - 1, which makes the shift
    weigh less.

    Examples:
        One output:

        >>> metric = ConcordanceCorrelation()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> round(float(metric.result()), 4)
        0.8571

        Two outputs, one value each:

        >>> metric = ConcordanceCorrelation(num_outputs=2, multioutput="raw_values")
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 4.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [0.8571, 0.6667]
    """

    value_range = (-1.0, 1.0)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "concordance_correlation",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(num_outputs, multioutput, ignore_nan, name, dtype, intervals)

    def score(self, table: MomentTable) -> Tensor:
        """Return the correlation."""
        shift = table.weight * (table.bias * table.bias)
        spread = table.true + table.predicted + shift
        values = ratio(2.0 * table.cross, spread, float("nan"))
        return namespace(spread).clip(values, -1.0, 1.0)
