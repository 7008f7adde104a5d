"""Errors that are scaled by the spread or the size of the targets."""

import math
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, check_flag
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.regression.error_metric import Multioutput, check_multioutput
from multiback.metrics.regression.moment_metric import MomentMetric
from multiback.metrics.regression.moment_metric import Multioutput as WeighedMultioutput
from multiback.metrics.statistics.moments import Moments, MomentTable
from multiback.metrics.statistics.statistic import State, Tensor

Normalization = Literal["mean", "range", "std", "l2"]


@keras.saving.register_keras_serializable("multiback")
class NormalizedRootMeanSquaredError(PairMetric):
    """The root mean squared error, divided by a size of the targets (NRMSE).

    Formula: `sqrt(mean((y_true - y_pred)^2)) / size`, where the size is
    `|mean(y_true)|`, `max(y_true) - min(y_true)`, `std(y_true)` over n, or
    `sqrt(sum(y_true^2))`.

    Use it to compare errors of targets in several units. It is NaN where the size is 0,
    without data, and of a NaN. The value is that of all data, not a mean of batches,
    and is right wherever the mean of the targets lies.

    Args:
        normalization: What to divide by: "mean", "range", "std" or "l2".
        num_outputs: Number D of outputs, the length of the last axis.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean) or "raw_values" (an array of all).
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
        sample_weight: One number a sample, a row or an element, or None. For "range"
            it only says which elements count.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: torchmetrics' `NormalizedRootMeanSquaredError`, which divides by a negative
    mean as it is.

    Examples:
        One output, in two batches:

        >>> metric = NormalizedRootMeanSquaredError()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.4082

        Two outputs, one value each:

        >>> metric = NormalizedRootMeanSquaredError(
        ...     "range", num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.4714, 0.1179]
    """

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __init__(
        self,
        normalization: Normalization = "mean",
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "normalized_root_mean_squared_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if normalization not in ("mean", "range", "std", "l2"):
            raise ArgumentError(
                'normalization= wants "mean", "range", "std" or "l2", not '
                f"{normalization!r}."
            )
        check_multioutput(multioutput)
        self._moments = Moments(
            as_integer("num_outputs", num_outputs, 1),
            check_flag("ignore_nan", ignore_nan),
            extremes=normalization == "range",
        )
        super().__init__(self._moments, name=name, dtype=dtype, intervals=intervals)
        self.normalization = normalization
        self.multioutput = multioutput

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        values = self._score(self._moments.read(state))
        if self.multioutput == "raw_values":
            return values
        return namespace(values).mean(values)

    def compute_on_arrays(self, state: State) -> Any:
        """Return the metric's value for a state of NumPy arrays."""
        with np.errstate(all="ignore"):
            if self._moments.num_outputs > 1 or self.multioutput == "raw_values":
                return self.compute(state)
            return float(self._score(self._moments.of_one(state)))

    def _score(self, table: MomentTable) -> Tensor:
        """Return the error of each output."""
        squares = table.residual + table.weight * (table.bias * table.bias)
        mean = ratio(squares, table.weight, float("nan"))
        error = namespace(squares).sqrt(mean)
        return ratio(error, self._size(table), float("nan"))

    def _size(self, table: MomentTable) -> Tensor:
        if table.span is not None:
            return table.span
        xp = namespace(table.true)
        if self.normalization == "mean":
            return xp.abs(table.level)
        if self.normalization == "std":
            return xp.sqrt(ratio(table.true, table.weight, 0.0))
        return xp.sqrt(table.true + table.weight * (table.level * table.level))


@keras.saving.register_keras_serializable("multiback")
class RelativeSquaredError(MomentMetric):
    """The relative squared error: what R2 lacks to 1.

    Formula: `sum((y_true - y_pred)^2) / sum((y_true - mean(y_true))^2)`, or its root.

    Use it to compare a model with one that always predicts the mean, which has 1. It is
    NaN where targets are constant, and of fewer than two rows. The value is that of all
    data, not a mean of batches, and is right wherever the mean of the targets lies. A
    NaN gives NaN.

    Args:
        num_outputs: Number D of outputs, the length of the last axis.
        squared: Whether squares are compared; False takes the root of each output.
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

    Source: 1 less scikit-learn's `r2_score`; torchmetrics' `RelativeSquaredError`.

    Examples:
        One output:

        >>> metric = RelativeSquaredError()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> round(float(metric.result()), 4)
        0.5

        Two outputs, one value each:

        >>> metric = RelativeSquaredError(num_outputs=2, multioutput="raw_values")
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 4.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [0.5, 0.5]
    """

    direction: ClassVar[Direction | None] = "min"
    value_range = (0.0, math.inf)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        squared: bool = True,
        multioutput: WeighedMultioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "relative_squared_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        squared = check_flag("squared", squared)
        super().__init__(num_outputs, multioutput, ignore_nan, name, dtype, intervals)
        self.squared = squared

    def score(self, table: MomentTable) -> Tensor:
        """Return the error of each output."""
        squares = table.residual + table.weight * (table.bias * table.bias)
        error = ratio(squares, table.true, float("nan"))
        return error if self.squared else namespace(squares).sqrt(error)
