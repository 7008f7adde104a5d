"""Errors of predicted numbers: MSE, RMSE and MAE."""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import check_flag
from multiback.metrics.statistics.statistic import State
from multiback.metrics.statistics.sums import ErrorSums

Tensor = Any


class ErrorMetric(PairMetric):
    """A mean over the errors of all elements; NaN of no data.

    Args:
        sums: What is added up.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do.

    Call arguments:
        y_true: Targets of any shape.
        y_pred: Predictions of the same shape. Either one may have a last axis of
            length 1 that the other lacks; nothing else broadcasts.
        sample_weight: One number a sample or an element, or None.

    Errors are computed in float32, or in float64 where an argument is float64 and
    the backend has it. A NaN or infinite error gives NaN and a warning; with
    `ignore_nan=True` an element whose target is NaN does not count.
    """

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __init__(self, sums: ErrorSums, name: str, dtype: str | None = None) -> None:
        super().__init__(sums, name=name, dtype=dtype)
        self.sums = sums

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), "ignore_nan": self.sums.ignore_nan}


@keras.saving.register_keras_serializable("multiback")
class MeanSquaredError(ErrorMetric):
    """The mean of `(y_true - y_pred)^2`.

    Arguments and shapes are those of `ErrorMetric`.

    Source: scikit-learn's `mean_squared_error`.

    Example:
    >>> metric = MeanSquaredError()
    >>> metric.update_state([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0])
    >>> float(metric.result())
    1.0
    """

    def __init__(
        self,
        name: str = "mean_squared_error",
        dtype: str | None = None,
        *,
        ignore_nan: bool = False,
    ) -> None:
        sums = ErrorSums("squared", check_flag("ignore_nan", ignore_nan))
        super().__init__(sums, name=name, dtype=dtype)

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        total, weight = self.sums.read(state)
        return ratio(total, weight, float("nan"))


@keras.saving.register_keras_serializable("multiback")
class RootMeanSquaredError(ErrorMetric):
    """The square root of the mean of `(y_true - y_pred)^2` over all data.

    Arguments and shapes are those of `ErrorMetric`.

    Source: scikit-learn's `root_mean_squared_error`.

    Example:
    >>> metric = RootMeanSquaredError()
    >>> metric.update_state([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0])
    >>> float(metric.result())
    1.0
    """

    def __init__(
        self,
        name: str = "root_mean_squared_error",
        dtype: str | None = None,
        *,
        ignore_nan: bool = False,
    ) -> None:
        sums = ErrorSums("squared", check_flag("ignore_nan", ignore_nan))
        super().__init__(sums, name=name, dtype=dtype)

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        total, weight = self.sums.read(state)
        return ops.sqrt(ratio(total, weight, float("nan")))


@keras.saving.register_keras_serializable("multiback")
class MeanAbsoluteError(ErrorMetric):
    """The mean of `|y_true - y_pred|`.

    Arguments and shapes are those of `ErrorMetric`.

    Source: scikit-learn's `mean_absolute_error`.

    Example:
    >>> metric = MeanAbsoluteError()
    >>> metric.update_state([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        name: str = "mean_absolute_error",
        dtype: str | None = None,
        *,
        ignore_nan: bool = False,
    ) -> None:
        sums = ErrorSums("absolute", check_flag("ignore_nan", ignore_nan))
        super().__init__(sums, name=name, dtype=dtype)

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        total, weight = self.sums.read(state)
        return ratio(total, weight, float("nan"))
