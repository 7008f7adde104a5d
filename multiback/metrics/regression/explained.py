"""The share of the targets' variance that predictions explain."""

import math

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.numeric.arithmetic import Tensor, namespace, ratio
from multiback.metrics.regression.moment_metric import MomentMetric, Multioutput
from multiback.metrics.statistics.moments import MomentTable


def _explained(unexplained: Tensor, total: Tensor) -> Tensor:
    """Return 1 - a / b; of constant targets, 1 if nothing is left and else 0."""
    xp = namespace(total)
    perfect = xp.where(xp.equal(unexplained, 0.0), xp.ones_like(total), 0.0)
    constant = xp.equal(total, 0.0)
    return xp.where(constant, perfect, 1.0 - ratio(unexplained, total, 0.0))


@keras.saving.register_keras_serializable("multiback")
class R2Score(MomentMetric):
    """R2: the share of the targets' variance that the predictions explain.

    Formula: `1 - sum((y_true - y_pred)^2) / sum((y_true - mean(y_true))^2)`.

    Use it to compare models of one target whatever its unit. Of constant targets it is
    1 if every prediction is right and otherwise 0; of fewer than two rows NaN. Squares
    are float32: scale targets whose deviations are below 1e-18, which count as 0. The
    value is that of all data, not a mean of batches, and is right wherever the mean of
    the targets lies. A NaN gives NaN.

    Args:
        num_outputs: Number D of outputs, the length of the last axis.
        adjusted: Number of regressors p for the adjusted score, `1 - (1 - R2) (n - 1) /
            (n - p - 1)` with n rows; 0 for the plain one. It is NaN where n is not
            above p + 1.
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

    Source: scikit-learn's `r2_score`; torchmetrics for `adjusted`.

    Examples:
        One output:

        >>> metric = R2Score()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> round(float(metric.result()), 4)
        0.5

        Two outputs, one value each:

        >>> metric = R2Score(num_outputs=2, multioutput="raw_values")
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 4.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [0.5, 0.5]
    """

    value_range = (-math.inf, 1.0)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        adjusted: int = 0,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "r2_score",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        adjusted = as_integer("adjusted", adjusted, 0)
        super().__init__(num_outputs, multioutput, ignore_nan, name, dtype, intervals)
        self.adjusted = adjusted

    def score(self, table: MomentTable) -> Tensor:
        """Return R2."""
        squares = table.residual + table.weight * (table.bias * table.bias)
        score = _explained(squares, table.true)
        regressors = self.adjusted
        if not regressors:
            return score
        freedom = table.rows - 1.0 - regressors
        adjusted = 1.0 - (1.0 - score) * ratio(table.rows - 1.0, freedom, 0.0)
        xp = namespace(freedom)
        return xp.where(freedom > 0.0, adjusted, float("nan"))


@keras.saving.register_keras_serializable("multiback")
class ExplainedVariance(MomentMetric):
    """Explained variance: the share of the targets' variance that is not in the errors.

    Formula: `1 - var(y_true - y_pred) / var(y_true)`.

    Use it in place of `R2Score` where a constant error should cost nothing. Of constant
    targets it is 1 if the errors are constant and otherwise 0; of fewer than two rows
    NaN. The value is that of all data, not a mean of batches, and is right wherever the
    mean of the targets lies. A NaN gives NaN.

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

    Source: scikit-learn's `explained_variance_score`.

    Examples:
        One output:

        >>> metric = ExplainedVariance()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> round(float(metric.result()), 4)
        0.6667

        Two outputs, one value each:

        >>> metric = ExplainedVariance(num_outputs=2, multioutput="raw_values")
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 4.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [0.6667, 0.6667]
    """

    value_range = (-math.inf, 1.0)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "explained_variance",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(num_outputs, multioutput, ignore_nan, name, dtype, intervals)

    def score(self, table: MomentTable) -> Tensor:
        """Return the share."""
        return _explained(table.residual, table.true)
