"""Errors as shares of the targets: MAPE, SMAPE and WMAPE."""

from typing import ClassVar

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.regression.error_metric import Multioutput, TermMetric


@keras.saving.register_keras_serializable("multiback")
class MeanAbsolutePercentageError(TermMetric):
    """The mean absolute percentage error (MAPE), as a share.

    Formula: `mean(|y_true - y_pred| / max(|y_true|, 2^-52))`.

    Use it where an error counts in proportion to its target. It is a share: 0.05 is 5
    percent. A target of 0 makes it huge, as in scikit-learn; take
    `WeightedMeanAbsolutePercentageError` where there are any. No data, and a NaN or
    infinite error, give NaN.

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

    Source: scikit-learn's `mean_absolute_percentage_error`. Keras's metric of that name
    is 100 times as much; torchmetrics divides by no less than 1.17e-6.

    Examples:
        Two batches of different sizes:

        >>> metric = MeanAbsolutePercentageError()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.3

        Two outputs, one value each:

        >>> metric = MeanAbsolutePercentageError(
        ...     num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.25, 0.25]
    """

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "mean_absolute_percentage_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "percentage", num_outputs, multioutput, ignore_nan, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class SymmetricMeanAbsolutePercentageError(TermMetric):
    """The symmetric mean absolute percentage error (SMAPE), as a share.

    Formula: `mean(2 |y_true - y_pred| / (|y_true| + |y_pred|))`.

    Use it in place of `MeanAbsolutePercentageError` where targets may be 0. It is a
    share of at most 2; an element with two zeros has no error. No data, and a NaN or
    infinite error, give NaN.

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

    Source: torchmetrics' `SymmetricMeanAbsolutePercentageError`; Makridakis, Accuracy
    measures, International Journal of Forecasting 9 (1993).

    Examples:
        Two batches of different sizes:

        >>> metric = SymmetricMeanAbsolutePercentageError()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.3121

        Two outputs, one value each:

        >>> metric = SymmetricMeanAbsolutePercentageError(
        ...     num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.3333, 0.2]
    """

    value_range: ClassVar[tuple[float, float]] = (0.0, 2.0)

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "symmetric_mean_absolute_percentage_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "symmetric percentage",
            num_outputs,
            multioutput,
            ignore_nan,
            name,
            dtype,
            intervals,
        )


@keras.saving.register_keras_serializable("multiback")
class WeightedMeanAbsolutePercentageError(TermMetric):
    """The weighted mean absolute percentage error (WMAPE), as a share.

    Formula: `sum(|y_true - y_pred|) / sum(|y_true|)`, over all data.

    Use it where the sum of the errors counts in proportion to the sum of the targets,
    as in the demand for goods, some of them rarely sold. It is NaN where all targets
    are 0, without data, and of a NaN or infinite error.

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

    Source: torchmetrics' `WeightedMeanAbsolutePercentageError`; scikit-learn's
    `mean_absolute_error` over the mean of `|y_true|`.

    Examples:
        Two batches of different sizes:

        >>> metric = WeightedMeanAbsolutePercentageError()
        >>> metric.update_state([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
        >>> metric.update_state([5.0], [6.0])
        >>> round(float(metric.result()), 4)
        0.3333

        Two outputs, one value each:

        >>> metric = WeightedMeanAbsolutePercentageError(
        ...     num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state([[1.0, 2.0], [4.0, 8.0]], [[1.0, 3.0], [2.0, 8.0]])
        >>> [round(float(value), 4) for value in metric.result()]
        [0.4, 0.1]
    """

    is_mean = False

    def __init__(
        self,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "weighted_mean_absolute_percentage_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "weighted percentage",
            num_outputs,
            multioutput,
            ignore_nan,
            name,
            dtype,
            intervals,
        )
