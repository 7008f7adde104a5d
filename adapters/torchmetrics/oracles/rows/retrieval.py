"""How the items of each query, or the labels of each row, are ranked."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples, as_floats
from multiback.adapters.torchmetrics.libraries import load_sklearn_metrics
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_WEIGHTS,
    Convention,
    Equivalent,
    NoEquivalent,
    Translation,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import make

Config = dict[str, Any]
# From relevance and scores of one query that has a relevant item, in float64.
Score = Callable[[Config, Array, Array], float]

TIES = Convention(
    "ties",
    "items of equal scores rank as the last of them; torchmetrics ranks by position",
    None,
)


def _at_least(relevance: Array, scores: Array) -> tuple[Array, Array]:
    """Return ranks of relevant items, and how many relevant ones rank no worse."""
    found = scores[relevance > 0]
    ranks = (scores >= found[:, None]).sum(axis=1)
    return ranks, (found >= found[:, None]).sum(axis=1)


def _among_best(config: Config, relevance: Array, scores: Array) -> int:
    ranks, _ = _at_least(relevance, scores)
    return int((ranks <= config["k"]).sum())


def _precision(config: Config, relevance: Array, scores: Array) -> float:
    return float(_among_best(config, relevance, scores) / config["k"])


def _recall(config: Config, relevance: Array, scores: Array) -> float:
    return _among_best(config, relevance, scores) / int((relevance > 0).sum())


def _hit(config: Config, relevance: Array, scores: Array) -> float:
    return float(_among_best(config, relevance, scores) > 0)


def _reciprocal_rank(config: Config, relevance: Array, scores: Array) -> float:
    first = int(_at_least(relevance, scores)[0].min())
    return 1 / first if config["k"] is None or first <= config["k"] else 0.0


def _average_precision(config: Config, relevance: Array, scores: Array) -> float:
    ranks, hits = _at_least(relevance, scores)
    k = len(scores) if config["k"] is None else config["k"]
    each = np.where(ranks <= k, hits / ranks, 0)
    return float(each.sum() / min(k, len(ranks)))


def _ndcg(config: Config, relevance: Array, scores: Array) -> float:
    if len(scores) == 1:  # scikit-learn refuses a single item.
        return 1.0
    gains = 2.0**relevance - 1 if config["gain"] == "exponential" else relevance
    function = load_sklearn_metrics().ndcg_score  # type: ignore[union-attr]  # judged only with it
    return float(function(gains[None], scores[None], k=config["k"]))


QUERIES: dict[str, Score] = {
    "HitRate": _hit,
    "MeanAveragePrecisionAtK": _average_precision,
    "MeanReciprocalRank": _reciprocal_rank,
    "NDCG": _ndcg,
    "PrecisionAtK": _precision,
    "RecallAtK": _recall,
}
LABELS = {
    "CoverageError": "coverage_error",
    "LabelRankingAveragePrecision": "label_ranking_average_precision_score",
    "LabelRankingLoss": "label_ranking_loss",
}


def _rows(
    config: Config, samples: Samples
) -> tuple[list[tuple[Array, Array]], Array | None]:
    """Return relevance and scores of each row that is not all padding, and weights."""
    relevance, scores = as_floats(samples.y_true), as_floats(samples.y_pred)
    counts = np.ones(relevance.shape, bool)
    if config["ignore_index"] is not None:
        counts = relevance != config["ignore_index"]
    held = counts.any(axis=1)
    weights = None
    if samples.sample_weight is not None:
        weights = as_floats(samples.sample_weight).reshape(len(relevance))
        held &= weights != 0
        weights = weights[held]
    rows = zip(relevance[held], scores[held], counts[held], strict=True)
    return [(true[kept], score[kept]) for true, score, kept in rows], weights


def queries(kind: str) -> Translation:
    """Return the translation of a mean over queries."""

    def translate(config: Config, samples: Samples) -> Equivalent | NoEquivalent:
        if samples.masked:
            return NoEquivalent("neither library knows items that are masked")
        rows, weights = _rows(config, samples)

        def sklearn() -> Any:
            values = np.array(
                [
                    QUERIES[kind](config, true, scores)
                    if (true > 0).any()
                    else config["zero_division"]
                    for true, scores in rows
                ]
            )
            held = ~np.isnan(values)
            shares = None if weights is None else weights[held]
            return np.average(values[held], weights=shares) if held.any() else np.nan

        def theirs() -> Any:
            import torch

            metric = make(kind, {**config, "ignore_index": None})
            indexes = np.repeat(range(len(rows)), [len(true) for true, _ in rows])
            relevance, scores = (
                np.concatenate(part) for part in zip(*rows, strict=True)
            )
            if kind != "NDCG":
                relevance = relevance > 0
            return metric(
                torch.tensor(scores),
                torch.tensor(relevance.astype("int64")),
                indexes=torch.tensor(indexes),
            ).numpy()

        tied = any(len(np.unique(scores)) < len(scores) for _, scores in rows)
        # torchmetrics has no exponential gain, and another MAP of the k best.
        other = config.get("gain") == "exponential" or (
            kind == "MeanAveragePrecisionAtK"
            and (config["k"] is not None or any((s <= 0).any() for _, s in rows))
        )
        return Equivalent(
            None if weights is not None or other or not rows else theirs,
            sklearn,
            convention=TIES if tied else None,
            columns=max((len(true) for true, _ in rows), default=1),
            additions=samples.additions,
            note=NO_WEIGHTS if weights is not None else "",
        )

    return translate


def labels(kind: str) -> Translation:
    """Return the translation of a ranking of the labels of each row."""

    def translate(config: Config, samples: Samples) -> Equivalent | NoEquivalent:
        if samples.masked:
            return NoEquivalent("neither library knows labels that are masked")
        rows, weights = _rows(config, samples)
        function: Any = getattr(load_sklearn_metrics(), LABELS[kind], None)

        def sklearn() -> Any:
            values = [function(true[None], scores[None]) for true, scores in rows]
            return np.average(values, weights=weights) if values else math.nan

        def theirs() -> Any:
            import torch

            true, scores = (np.stack(part) for part in zip(*rows, strict=True))
            metric = make(kind, {}, more={"num_labels": true.shape[1]})
            metric.set_dtype(torch.float64)
            return metric(
                torch.tensor(scores), torch.tensor(true.astype("int64"))
            ).numpy()

        ragged = len({len(true) for true, _ in rows}) != 1
        # torchmetrics takes the sigmoid of scores outside of [0, 1], batch by batch.
        return Equivalent(
            None if weights is not None or ragged else theirs,
            sklearn if function is not None else None,
            columns=samples.y_pred.shape[-1],
            additions=samples.additions,
            note=NO_WEIGHTS if weights is not None else "",
        )

    return translate
