"""One score a query, of how its items are ranked."""

import dataclasses
from typing import Any, Literal

import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.batch import (
    Given,
    like_elements,
    same_shape,
    shapes_differ,
    to_scores,
)
from multiback.metrics.inputs.causes import count_each
from multiback.metrics.numeric import ranks
from multiback.metrics.numeric.arithmetic import Tensor, ratio
from multiback.metrics.retrieval import label_order
from multiback.metrics.statistics.row_means import RowMeans, weights_of_rows

Kind = Literal[
    "average precision",
    "coverage",
    "hit",
    "ndcg",
    "precision",
    "ranking loss",
    "recall",
    "reciprocal rank",
]
Gain = Literal["linear", "exponential"]


@dataclasses.dataclass(frozen=True)
class Items:
    """The items of each query, `(Q, K)`.

    Attributes:
        relevance: float32, 0 where an item does not count.
        scores: float32, minus infinity where an item does not count.
        counts: Boolean: neither padding, masked nor in a row without weight.
        wrong: Boolean: it counts, and its label cannot be used.
        nan_label: Boolean: of these, the label is NaN.
        gone: Boolean: it counts, and its score is NaN.
    """

    relevance: Tensor
    scores: Tensor
    counts: Tensor
    wrong: Tensor
    nan_label: Tensor
    gone: Tensor


@dataclasses.dataclass(frozen=True)
class Ranked:
    """The items of each query from the best score to the worst, float32 `(Q, K)`.

    Attributes:
        relevance: How relevant each one is.
        relevant: 1 where it is relevant, else 0.
        above: Number of items with a higher score.
        at_least: Number of items with at least its score: the rank of its tie.
        hits: Number of these that are relevant.
    """

    relevance: Tensor
    relevant: Tensor
    above: Tensor
    at_least: Tensor
    hits: Tensor


@dataclasses.dataclass(frozen=True)
class QueryScores(RowMeans):
    """Add up one score a query, of the `top_k` best items, or all.

    `gain` is what a relevance is worth, for "ndcg"; `empty` the value of a query
    without relevant items, which None leaves out; with `binary` a label is 0 or 1.
    """

    kind: Kind
    top_k: int | None = None
    gain: Gain = "linear"
    # NaN is not equal to itself, and statistics are compared.
    empty: float | None = 0.0
    ignore_index: int | None = -1
    binary: bool = False

    def rows(self, given: Given) -> tuple[Tensor, Tensor, Tensor]:
        """Return the score of each query, whether it counts, and whether any is odd."""
        items = self._items(given)
        ranked = _rank(items)
        values = SCORES[self.kind](self, ranked)
        found = ops.sum(ranked.relevant, axis=-1)
        values = ops.where(found > 0.0, values, self.empty or 0.0)
        odd = ops.logical_or(items.wrong, items.gone)
        counts = ops.any(items.counts, axis=-1)
        if self.empty is None:
            counts = ops.logical_and(counts, found > 0.0)
        broken = ops.any(odd, axis=-1)
        # A query whose labels cannot be used has no value, whatever its other items.
        return (
            ops.where(broken, float("nan"), values),
            ops.logical_or(counts, broken),
            ops.any(odd),
        )

    def values_of_arrays(self, y_true: Any, y_pred: Any) -> Any | None:
        """Return the score of each query of plain arrays, for two of the scores."""
        formula = ON_ARRAYS.get(self.kind)
        plain = y_true.shape == y_pred.shape and y_true.ndim == 2 and y_true.size  # noqa: PLR2004 - queries and items
        if formula is None or not plain or self.ignore_index in (0, 1):
            return None
        relevant, scores = y_true == 1, y_pred.astype(np.float32, copy=False)
        known = np.count_nonzero(relevant) == np.count_nonzero(y_true)
        if not known or np.isnan(scores).any():
            return None
        return formula(label_order.in_order(relevant, scores))

    def causes_of_rows(self, given: Given) -> Tensor:
        """Count the items of a batch that have each cause."""
        items = self._items(given)
        unknown = ops.logical_and(items.wrong, ops.logical_not(items.nan_label))
        return count_each(
            {
                "unknown_label": unknown,
                "nan_label": items.nan_label,
                "nan_score": items.gone,
            }
        )

    def explain_labels(self) -> str:
        """Name the labels that can be used."""
        return "0 or 1" if self.binary else "numbers of at least 0"

    def _items(self, given: Given) -> Items:
        y_true, y_pred = given.tensors()
        two_axes = len(y_true.shape) == 2  # noqa: PLR2004 - queries and items
        if not two_axes or not same_shape(y_true, y_pred):
            raise shapes_differ(
                y_true,
                y_pred,
                "one row a query is wanted, (queries, items) for both: pad rows with "
                f"{self.ignore_index} in y_true.",
            )
        if y_true.shape[1] == 0:
            raise ArgumentError(
                f"y_true wants at least one item a query, not shape "
                f"{tuple(y_true.shape)}. Pad queries without items with "
                f"{self.ignore_index}."
            )
        labels, scores = to_scores(y_true), to_scores(y_pred)
        labels, scores = ops.cast(labels, "float32"), ops.cast(scores, "float32")
        counts = ops.ones_like(labels, dtype="bool")
        if self.ignore_index is not None:
            counts = ops.not_equal(labels, float(self.ignore_index))
        if given.mask is not None:
            mask = ops.cast(like_elements(given.mask, y_true, "mask"), "bool")
            counts = ops.logical_and(counts, mask)
        if given.sample_weight is not None:
            weights = weights_of_rows(given.sample_weight, y_true.shape)
            held = ops.expand_dims(ops.not_equal(weights, 0.0), -1)
            counts = ops.logical_and(counts, held)
        known = labels >= 0.0  # A NaN is not.
        if self.binary:
            known = ops.logical_or(ops.equal(labels, 0.0), ops.equal(labels, 1.0))
        kept = ops.logical_and(counts, known)
        return Items(
            relevance=ops.where(kept, labels, 0.0),
            scores=ops.where(counts, scores, -float("inf")),
            counts=counts,
            wrong=ops.logical_and(counts, ops.logical_not(known)),
            nan_label=ops.logical_and(counts, ops.isnan(labels)),
            gone=ops.logical_and(counts, ops.isnan(scores)),
        )


def _rank(items: Items) -> Ranked:
    # A NaN makes the row's value NaN, and must not stand before others here.
    scores = ops.where(items.gone, -float("inf"), items.scores)
    order = ops.argsort(-scores, axis=-1)
    scores, relevance = ranks.take(scores, order), ranks.take(items.relevance, order)
    counts = ops.cast(ranks.take(items.counts, order), "float32")
    new = ops.cast(ops.not_equal(scores[:, 1:], scores[:, :-1]), "int32")
    groups = ops.cast(ops.cumsum(new, axis=-1), "int32")
    groups = ops.pad(groups, [(0, 0), (1, 0)])
    relevant = ops.cast(relevance > 0.0, "float32")
    return Ranked(
        relevance=relevance,
        relevant=relevant,
        above=ranks.sum_below(groups, counts),
        at_least=ranks.sum_upto(groups, counts),
        hits=ranks.sum_upto(groups, relevant),
    )


def _among_best(of: QueryScores, ranked: Ranked) -> Tensor:
    """Return 1 for each relevant item that is surely among the best, else 0."""
    if of.top_k is None:
        return ranked.relevant
    return ops.where(ranked.at_least <= float(of.top_k), ranked.relevant, 0.0)


def _found(ranked: Ranked) -> Tensor:
    return ops.sum(ranked.relevant, axis=-1)


def _precision(of: QueryScores, ranked: Ranked) -> Tensor:
    return ops.sum(_among_best(of, ranked), axis=-1) / float(of.top_k or 1)


def _recall(of: QueryScores, ranked: Ranked) -> Tensor:
    return ratio(ops.sum(_among_best(of, ranked), axis=-1), _found(ranked), 0.0)


def _hit(of: QueryScores, ranked: Ranked) -> Tensor:
    best = ops.sum(_among_best(of, ranked), axis=-1)
    return ops.cast(best > 0.0, "float32")


def _reciprocal_rank(of: QueryScores, ranked: Ranked) -> Tensor:
    each = ratio(_among_best(of, ranked), ranked.at_least, 0.0)
    return ops.max(each, axis=-1, initial=0.0)


def _average_precision(of: QueryScores, ranked: Ranked) -> Tensor:
    each = ratio(_among_best(of, ranked) * ranked.hits, ranked.at_least, 0.0)
    found = _found(ranked)
    most = found if of.top_k is None else ops.minimum(found, float(of.top_k))
    return ratio(ops.sum(each, axis=-1), most, 0.0)


def _coverage(_: QueryScores, ranked: Ranked) -> Tensor:
    return ops.max(ranked.relevant * ranked.at_least, axis=-1, initial=0.0)


def _ranking_loss(_: QueryScores, ranked: Ranked) -> Tensor:
    wrong = ops.sum(ranked.relevant * (ranked.at_least - ranked.hits), axis=-1)
    found = _found(ranked)
    # Of the last group all items have at least its score.
    others = ops.max(ranked.at_least, axis=-1, initial=0.0) - found
    return ratio(wrong, found * others, 0.0)


def _ndcg(of: QueryScores, ranked: Ranked) -> Tensor:
    gains = ranked.relevance
    if of.gain == "exponential":
        gains = ops.expm1(gains * 0.6931471805599453)  # log(2)
    places = ops.arange(ops.shape(gains)[-1], dtype="int32")
    discounts = 0.6931471805599453 / ops.log(ops.cast(places, "float32") + 2.0)
    if of.top_k is not None:
        discounts = ops.where(places < of.top_k, discounts, 0.0)
    upto = ops.pad(ops.cumsum(discounts), [(1, 0)])
    # Items of one score share the mean of their places' discounts.
    first, last = (
        ops.take(upto, ops.cast(edge, "int32"))
        for edge in (ranked.above, ranked.at_least)
    )
    shared = ratio(last - first, ranked.at_least - ranked.above, 0.0)
    ideal = ops.sum(-ops.sort(-gains, axis=-1) * discounts, axis=-1)
    return ratio(ops.sum(gains * shared, axis=-1), ideal, 0.0)


SCORES: dict[str, Any] = {
    "average precision": _average_precision,
    "coverage": _coverage,
    "hit": _hit,
    "ndcg": _ndcg,
    "precision": _precision,
    "ranking loss": _ranking_loss,
    "recall": _recall,
    "reciprocal rank": _reciprocal_rank,
}
# Of labels in the order of their scores.
ON_ARRAYS: dict[str, Any] = {
    "coverage": label_order.coverage,
    "ranking loss": label_order.ranking_loss,
}
