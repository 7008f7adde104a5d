"""How the labels of each row are ranked."""

import math
from typing import ClassVar

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction
from multiback.metrics.retrieval.query_metric import QueryMetric


@keras.saving.register_keras_serializable("multiback")
class LabelRankingAveragePrecision(QueryMetric):
    """Label ranking average precision (LRAP), averaged over rows.

    Formula: the mean over rows and their true labels of the share of true labels among
    those with at least that label's score.

    Use it for tagging: each row has some true labels of many, and these should have the
    best scores. Items of equal scores rank as the last of them, as in scikit-learn's
    `label_ranking_average_precision_score`: a tie never looks better than any order of
    its items. A row without a true label has 1. A NaN score makes the value NaN.

    Args:
        ignore_index: A label that marks padding, such as -1, which is left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of each row, `(rows, labels)`: 0 or 1, of any integer, boolean or
            float dtype.
        y_pred: Scores of the labels, `(rows, labels)`, of any float dtype.
        sample_weight: One number a row, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `label_ranking_average_precision_score`.

    Examples:
        Two rows of three labels:

        >>> metric = LabelRankingAveragePrecision()
        >>> metric.update_state(
        ...     [[1, 0, 0], [0, 0, 1]], [[0.75, 0.5, 1.0], [1.0, 0.2, 0.1]]
        ... )
        >>> round(float(metric.result()), 4)
        0.4167
    """

    def __init__(
        self,
        *,
        ignore_index: int | None = None,
        name: str = "label_ranking_average_precision",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "average precision",
            None,
            1.0,
            ignore_index,
            name,
            dtype,
            intervals,
            binary=True,
        )


@keras.saving.register_keras_serializable("multiback")
class CoverageError(QueryMetric):
    """Coverage error: how many of the best labels hold all true ones.

    Formula: the mean over rows of the largest rank of a true label.

    Use it for tagging, to see how long a list of suggestions must be. Its best value is
    the mean number of true labels. Labels of equal scores rank as the last of them. A
    row without a true label has 0. A NaN score makes the value NaN.

    Args:
        ignore_index: A label that marks padding, such as -1, which is left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of each row, `(rows, labels)`: 0 or 1, of any integer, boolean or
            float dtype.
        y_pred: Scores of the labels, `(rows, labels)`, of any float dtype.
        sample_weight: One number a row, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `coverage_error`.

    Examples:
        Two rows of three labels:

        >>> metric = CoverageError()
        >>> metric.update_state(
        ...     [[1, 0, 0], [0, 0, 1]], [[0.75, 0.5, 1.0], [1.0, 0.2, 0.1]]
        ... )
        >>> round(float(metric.result()), 4)
        2.5
    """

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __init__(
        self,
        *,
        ignore_index: int | None = None,
        name: str = "coverage_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "coverage", None, 0.0, ignore_index, name, dtype, intervals, binary=True
        )


@keras.saving.register_keras_serializable("multiback")
class LabelRankingLoss(QueryMetric):
    """Label ranking loss: the share of pairs of labels in the wrong order.

    Formula: the mean over rows of `pairs whose false label has at least the true one's
    score / pairs`.

    Use it for tagging, in place of `LabelRankingAveragePrecision` where all places
    matter alike. A row without a true label, or without a false one, has 0. A NaN score
    makes the value NaN.

    Args:
        ignore_index: A label that marks padding, such as -1, which is left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of each row, `(rows, labels)`: 0 or 1, of any integer, boolean or
            float dtype.
        y_pred: Scores of the labels, `(rows, labels)`, of any float dtype.
        sample_weight: One number a row, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `label_ranking_loss`.

    Examples:
        Two rows of three labels:

        >>> metric = LabelRankingLoss()
        >>> metric.update_state(
        ...     [[1, 0, 0], [0, 0, 1]], [[0.75, 0.5, 1.0], [1.0, 0.2, 0.1]]
        ... )
        >>> round(float(metric.result()), 4)
        0.75
    """

    direction: ClassVar[Direction | None] = "min"

    def __init__(
        self,
        *,
        ignore_index: int | None = None,
        name: str = "label_ranking_loss",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "ranking loss", None, 0.0, ignore_index, name, dtype, intervals, binary=True
        )
