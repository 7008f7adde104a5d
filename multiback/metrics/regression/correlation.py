"""How well predictions follow their targets: R2 and correlations."""

import abc
import math
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, check_flag
from multiback.metrics.intervals.fisher import correlation_interval
from multiback.metrics.intervals.interval import (
    Interval,
    mean_of_dependent,
    sum_of_words,
)
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.moments import Moments, MomentTable
from multiback.metrics.statistics.statistic import State

Tensor = Any


Multioutput = Literal["uniform_average", "variance_weighted", "raw_values"]


class MomentMetric(PairMetric):
    """A formula over centred moments; subclasses write `score`.

    Args:
        num_outputs: Number of outputs D; more than one are scored apart.
        multioutput: How the values of several outputs become one.
        ignore_nan: Leave out elements whose target is NaN.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.
    """

    direction: ClassVar[Direction | None] = "max"

    def __init__(
        self,
        *,
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
        scores = ops.where(table.rows < 2.0, float("nan"), self.score(table))  # noqa: PLR2004 - a variance takes two
        how = self.multioutput
        if how == "variance_weighted":
            total = ops.sum(table.true)
            plain = ops.ones_like(table.true)
            weights = ops.where(ops.equal(total, 0.0), plain, table.true)
            return ops.sum(weights * scores) / ops.sum(weights)
        return scores if how == "raw_values" else ops.mean(scores)


def _explained(unexplained: Tensor, total: Tensor) -> Tensor:
    """Return 1 - a / b; of constant targets, 1 if nothing is left and else 0."""
    perfect = ops.cast(ops.equal(unexplained, 0.0), "float32")
    constant = ops.equal(total, 0.0)
    return ops.where(constant, perfect, 1.0 - ratio(unexplained, total, 0.0))


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
        super().__init__(
            num_outputs=num_outputs,
            multioutput=multioutput,
            ignore_nan=ignore_nan,
            name=name,
            dtype=dtype,
            intervals=intervals,
        )
        self.adjusted = adjusted

    def score(self, table: MomentTable) -> Tensor:
        """Return R2."""
        squares = table.residual + table.weight * ops.square(table.bias)
        score = _explained(squares, table.true)
        regressors = self.adjusted
        if not regressors:
            return score
        freedom = table.rows - 1.0 - regressors
        adjusted = 1.0 - (1.0 - score) * ratio(table.rows - 1.0, freedom, 0.0)
        return ops.where(freedom > 0.0, adjusted, float("nan"))


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
        super().__init__(
            num_outputs=num_outputs,
            multioutput=multioutput,
            ignore_nan=ignore_nan,
            name=name,
            dtype=dtype,
            intervals=intervals,
        )

    def score(self, table: MomentTable) -> Tensor:
        """Return the share."""
        return _explained(table.residual, table.true)


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
        super().__init__(
            num_outputs=num_outputs,
            multioutput=multioutput,
            ignore_nan=ignore_nan,
            name=name,
            dtype=dtype,
            intervals=intervals,
        )

    def score(self, table: MomentTable) -> Tensor:
        """Return the correlation."""
        spread = ops.sqrt(table.true) * ops.sqrt(table.predicted)
        return ops.clip(ratio(table.cross, spread, float("nan")), -1.0, 1.0)

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
        super().__init__(
            num_outputs=num_outputs,
            multioutput=multioutput,
            ignore_nan=ignore_nan,
            name=name,
            dtype=dtype,
            intervals=intervals,
        )

    def score(self, table: MomentTable) -> Tensor:
        """Return the correlation."""
        shift = table.weight * ops.square(table.bias)
        spread = table.true + table.predicted + shift
        return ops.clip(ratio(2.0 * table.cross, spread, float("nan")), -1.0, 1.0)
