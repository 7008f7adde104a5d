"""How far up the relevant items of a query are."""

from typing import Literal

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.retrieval.query_metric import QueryMetric


@keras.saving.register_keras_serializable("multiback")
class NDCG(QueryMetric):
    """Normalised discounted cumulative gain (NDCG), averaged over queries.

    Formula: the mean over queries of `DCG / best DCG`, where DCG is the sum over the k
    best items of `gain / log2(1 + rank)`.

    Use it where relevance has grades, and the first places matter most. Items of equal
    scores share the mean of their places' discounts, as in scikit-learn: the value is
    the mean over all orders of them. A NaN score makes the value NaN.

    Args:
        k: Number of best items of a query that count; None takes all.
        gain: What a relevance r is worth: "linear" is r, "exponential" is `2^r - 1`.
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

    Source: scikit-learn's `ndcg_score`; torchmetrics' `RetrievalNormalizedDCG`, which
    breaks ties by position; Järvelin and Kekäläinen, Cumulated gain-based evaluation of
    IR techniques (2002).

    Examples:
        Two queries, of four items and of three:

        >>> metric = NDCG(k=3)
        >>> metric.update_state(
        ...     [[1, 0, 0, 1], [0, 1, 0, -1]],
        ...     [[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]],
        ... )
        >>> round(float(metric.result()), 4)
        0.622

        Grades of relevance:

        >>> metric = NDCG(gain="exponential")
        >>> metric.update_state([[3, 0, 2]], [[0.2, 0.5, 0.3]])
        >>> round(float(metric.result()), 4)
        0.6064
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        gain: Literal["linear", "exponential"] = "linear",
        zero_division: float = 0.0,
        ignore_index: int | None = -1,
        name: str = "ndcg",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if gain not in ("linear", "exponential"):
            raise ArgumentError(f'gain= wants "linear" or "exponential", not {gain!r}.')
        super().__init__(
            "ndcg", k, zero_division, ignore_index, name, dtype, intervals, gain=gain
        )


@keras.saving.register_keras_serializable("multiback")
class MeanReciprocalRank(QueryMetric):
    """Mean reciprocal rank (MRR) of the first relevant item of each query.

    Formula: the mean over queries of `1 / rank` of the best-ranked relevant item, and 0
    where that is beyond k.

    Use it where one relevant item is searched, such as an answer. Items of equal scores
    rank as the last of them, as in scikit-learn's
    `label_ranking_average_precision_score`: a tie never looks better than any order of
    its items. A NaN score makes the value NaN.

    Args:
        k: Number of best items of a query that count; None takes all.
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

    Source: torchmetrics' `RetrievalMRR`.

    Examples:
        Two queries, of four items and of three:

        >>> metric = MeanReciprocalRank()
        >>> metric.update_state(
        ...     [[1, 0, 0, 1], [0, 1, 0, -1]],
        ...     [[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]],
        ... )
        >>> round(float(metric.result()), 4)
        0.75
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        zero_division: float = 0.0,
        ignore_index: int | None = -1,
        name: str = "mean_reciprocal_rank",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "reciprocal rank", k, zero_division, ignore_index, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class MeanAveragePrecisionAtK(QueryMetric):
    """Mean average precision at k (MAP), averaged over queries.

    Formula: the mean over queries of `sum(precision at the rank of each relevant item
    among the k best) / min(k, relevant items)`.

    Use it where all relevant items should rank high, and relevance has no grades. Items
    of equal scores rank as the last of them, as in scikit-learn's
    `label_ranking_average_precision_score`: a tie never looks better than any order of
    its items. A NaN score makes the value NaN. For boxes in images it is another
    metric.

    Args:
        k: Number of best items of a query that count; None takes all.
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

    Source: scikit-learn's `average_precision_score` of each query, for k of None;
    torchmetrics' `RetrievalMAP` divides by the relevant items among the k best instead.

    Examples:
        Two queries, of four items and of three:

        >>> metric = MeanAveragePrecisionAtK()
        >>> metric.update_state(
        ...     [[1, 0, 0, 1], [0, 1, 0, -1]],
        ...     [[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.0]],
        ... )
        >>> round(float(metric.result()), 4)
        0.625
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        zero_division: float = 0.0,
        ignore_index: int | None = -1,
        name: str = "mean_average_precision_at_k",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "average precision", k, zero_division, ignore_index, name, dtype, intervals
        )
