"""Areas under curves, and the best value of a threshold under a condition."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples
from multiback.adapters.torchmetrics.libraries import load_sklearn_metrics
from multiback.adapters.torchmetrics.oracles.columns import (
    Column,
    by_bin,
    columns,
    probabilities,
)
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_WEIGHTS,
    Equivalent,
    Translation,
)
from multiback.adapters.torchmetrics.translation.table import CLASSES
from multiback.adapters.torchmetrics.translation.torchmetrics import make

# From labels, scores and weights to a number, by scikit-learn.
Score = Callable[[Array, Array, Array | None], float]


def area(kind: str, sklearn_name: str) -> Translation:
    """Return the translation of an area under a curve."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        def score(labels: Array, scores: Array, weights: Array | None) -> float:
            function = getattr(load_sklearn_metrics(), sklearn_name)
            more = {}
            if config.get("max_fpr") is not None:
                more["max_fpr"] = config["max_fpr"]
            return float(function(labels, scores, sample_weight=weights, **more))

        return _equivalent(kind, config, samples, score)

    return translate


def operating_point(kind: str, condition: str) -> Translation:
    """Return the translation of the best rate checked to a minimum of another."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        score = functools.partial(_best, condition, config[condition])
        return _equivalent(kind, config, samples, score)

    return translate


def best(kind: str) -> Translation:
    """Return the translation of what the best of all thresholds reaches."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        score = _equal_error
        if kind == "MaxFBeta":
            score = functools.partial(_max_f, config["beta"])
        if kind in ("Lift", "PrecisionAtTopFraction"):
            score = functools.partial(_top, kind, config["fraction"])
        return _equivalent(kind, config, samples, score)

    return translate


def _max_f(beta: float, labels: Array, scores: Array, weights: Array | None) -> float:
    precision, recall, _ = load_sklearn_metrics().precision_recall_curve(  # type: ignore[union-attr]  # judged only with it
        labels, scores, sample_weight=weights
    )
    below = np.maximum(beta**2 * precision + recall, np.finfo("float64").tiny)
    return float(np.max((1 + beta**2) * precision * recall / below))


def _equal_error(labels: Array, scores: Array, weights: Array | None) -> float:
    fpr, tpr, _ = load_sklearn_metrics().roc_curve(  # type: ignore[union-attr]  # judged only with it
        labels, scores, sample_weight=weights, drop_intermediate=False
    )
    apart = fpr - (1 - tpr)
    after = int(np.argmax(apart >= 0))
    share = -apart[after - 1] / (apart[after] - apart[after - 1])
    return float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1]))


def _top(
    kind: str, fraction: float, labels: Array, scores: Array, weights: Array | None
) -> float:
    weights = np.ones(len(labels)) if weights is None else weights
    _, place = np.unique(-scores, return_inverse=True)
    hits, rows = (
        np.append(0.0, np.cumsum(np.bincount(place, each)))
        for each in (weights * labels, weights)
    )
    best = fraction * rows[-1]
    chance = hits[-1] / rows[-1] if kind == "Lift" else 1.0
    return float(np.interp(best, rows, hits) / best / chance)


def _best(
    condition: str,
    at_least: float,
    labels: Array,
    scores: Array,
    weights: Array | None,
) -> float:
    metrics: Any = load_sklearn_metrics()
    if condition in ("recall", "precision"):
        precision, recall, _ = metrics.precision_recall_curve(
            labels, scores, sample_weight=weights
        )
        precision, recall = precision[:-1], recall[:-1]
        best, other = (
            (precision, recall) if condition == "recall" else (recall, precision)
        )
    else:
        fpr, tpr, _ = metrics.roc_curve(
            labels, scores, sample_weight=weights, drop_intermediate=False
        )
        best, other = (1 - fpr, tpr) if condition == "sensitivity" else (tpr, 1 - fpr)
    # The metrics accept a condition missed by at most four roundings of float32.
    return float(np.max(best[other >= at_least - 2.0**-22], initial=0.0))


def _equivalent(
    kind: str, config: dict[str, Any], samples: Samples, score: Score
) -> Equivalent:
    found = columns(config, samples)
    weighted = samples.sample_weight is not None

    def sklearn() -> Any:
        return _average(
            config, found, lambda one: score(one.labels, one.scores, one.weights)
        )

    def theirs() -> Any:
        import torch

        def one(column: Column) -> float:
            # Each column is a separate ranking, without ignored rows.
            alone = {**config, "task": "binary", "ignore_index": None}
            metric = make(kind, alone)
            scores = torch.tensor(probabilities(config, column))
            result = metric(scores, torch.tensor(column.labels))
            # An operating point comes with its threshold.
            return float(result[0] if isinstance(result, tuple) else result)

        return _average(config, found, one)

    def bounds() -> Any:
        def order(one: Column, *, best: bool) -> float:
            bins = by_bin(config, one)
            if best:
                return score(one.labels, 2 * bins + one.labels, one.weights)
            # One after another: tied positives would share the last precision.
            places = np.empty(len(bins), "int64")
            places[np.lexsort((-one.labels, bins))] = np.arange(len(bins))
            return score(one.labels, places, one.weights)

        ends = [
            _average(config, found, functools.partial(order, best=best))
            for best in (False, True)
        ]
        # For an error, the best order has the smallest value.
        return np.minimum(*ends), np.maximum(*ends)

    kept = config["capacity"] is not None
    known = load_sklearn_metrics() is not None
    return Equivalent(
        None if weighted or kind not in CLASSES else theirs,
        sklearn,
        bounds=None if kept or not known else bounds,
        columns=len(found) + 128,  # A prefix sum in two levels.
        additions=samples.additions if weighted else 0,
        note="; ".join(
            text
            for text, holds in (
                ("scores are counted in bins, whose bounds hold the value", not kept),
                (NO_WEIGHTS, weighted),
            )
            if holds
        ),
    )


def _average(
    config: dict[str, Any], found: list[Column], score: Callable[[Column], float]
) -> Any:
    """Average the columns that have positives and negatives."""
    values = np.array([np.nan if one.one_class else score(one) for one in found])
    if len(found) == 1:
        return values[0]
    if config["average"] is None:
        return values
    weights = np.ones(len(found))
    if config["average"] == "weighted":
        weights = np.array([one.positives for one in found])
    defined = ~np.isnan(values)
    if not weights[defined].sum():
        return np.nan
    return np.average(values[defined], weights=weights[defined])
