"""How many relevant items are among the best k of a query."""

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.retrieval.query_metric import QueryMetric


@keras.saving.register_keras_serializable("multiback")
class PrecisionAtK(QueryMetric):
    """Precision at k: the share of the k best items that are relevant.

    Formula: the mean over queries of `relevant items among the k best / k`.

    Use it where k places are shown and each should hold a relevant item. It divides by
    k also where a query has fewer items. Items of equal scores rank as the last of
    them, as in scikit-learn's `label_ranking_average_precision_score`: a tie never
    looks better than any order of its items. A NaN score makes the value NaN.

    Args:
        k: Number of best items of a query that count.
        zero_division: Value of a query without relevant items: 0, 1, or NaN, which
            leaves the query out.
        ignore_index: The label of padding, which is left out; None where there is no
            padding. A query that is all padding leaves the mean.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Relevance of each item, `(queries, items)`, integers or floats: relevant
            where it is above 0.
        y_pred: Scores of the items, `(queries, items)`, of any float dtype: the higher,
            the better the rank.
        sample_weight: One number a query, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: torchmetrics' `RetrievalPrecision`.

    Examples:
        Two queries, of four items and of three:

        >>> metric = PrecisionAtK(k=2)
        >>> metric.update_state(
        ...     [[1, 0, 0, 1], [0, 1, 0, -1]],
        ...     [[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]],
        ... )
        >>> round(float(metric.result()), 4)
        0.5
    """

    def __init__(
        self,
        k: int,
        *,
        zero_division: float = 0.0,
        ignore_index: int | None = -1,
        name: str = "precision_at_k",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "precision", k, zero_division, ignore_index, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class RecallAtK(QueryMetric):
    """Recall at k: the share of the relevant items that are among the k best.

    Formula: the mean over queries of `relevant items among the k best / relevant
    items`.

    Use it for the first stage of a search, after which another model ranks what was
    found. Items of equal scores rank as the last of them, as in scikit-learn's
    `label_ranking_average_precision_score`: a tie never looks better than any order of
    its items. A NaN score makes the value NaN.

    Args:
        k: Number of best items of a query that count.
        zero_division: Value of a query without relevant items: 0, 1, or NaN, which
            leaves the query out.
        ignore_index: The label of padding, which is left out; None where there is no
            padding. A query that is all padding leaves the mean.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Relevance of each item, `(queries, items)`, integers or floats: relevant
            where it is above 0.
        y_pred: Scores of the items, `(queries, items)`, of any float dtype: the higher,
            the better the rank.
        sample_weight: One number a query, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: torchmetrics' `RetrievalRecall`.

    Examples:
        Two queries, of four items and of three:

        >>> metric = RecallAtK(k=2)
        >>> metric.update_state(
        ...     [[1, 0, 0, 1], [0, 1, 0, -1]],
        ...     [[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]],
        ... )
        >>> round(float(metric.result()), 4)
        0.75
    """

    def __init__(
        self,
        k: int,
        *,
        zero_division: float = 0.0,
        ignore_index: int | None = -1,
        name: str = "recall_at_k",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "recall", k, zero_division, ignore_index, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class HitRate(QueryMetric):
    """Hit rate at k: the share of queries with a relevant item among the k best.

    Formula: the mean over queries of 1 where a relevant item is among the k best, else
    0.

    Use it where one good recommendation is enough. Items of equal scores rank as the
    last of them, as in scikit-learn's `label_ranking_average_precision_score`: a tie
    never looks better than any order of its items. A NaN score makes the value NaN.

    Args:
        k: Number of best items of a query that count.
        zero_division: Value of a query without relevant items: 0, 1, or NaN, which
            leaves the query out.
        ignore_index: The label of padding, which is left out; None where there is no
            padding. A query that is all padding leaves the mean.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Relevance of each item, `(queries, items)`, integers or floats: relevant
            where it is above 0.
        y_pred: Scores of the items, `(queries, items)`, of any float dtype: the higher,
            the better the rank.
        sample_weight: One number a query, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: torchmetrics' `RetrievalHitRate`.

    Examples:
        Two queries, of four items and of three:

        >>> metric = HitRate(k=1)
        >>> metric.update_state(
        ...     [[1, 0, 0, 1], [0, 1, 0, -1]],
        ...     [[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]],
        ... )
        >>> round(float(metric.result()), 4)
        0.5
    """

    def __init__(
        self,
        k: int,
        *,
        zero_division: float = 0.0,
        ignore_index: int | None = -1,
        name: str = "hit_rate",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__("hit", k, zero_division, ignore_index, name, dtype, intervals)
