"""Overlap of each sample by scikit-learn, averaged over samples."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples, counted
from multiback.adapters.torchmetrics.libraries import load_sklearn_metrics
from multiback.adapters.torchmetrics.oracles.decisions import decided
from multiback.adapters.torchmetrics.oracles.equivalent import (
    Equivalent,
    NoEquivalent,
    Translation,
)

NOTE = "torchmetrics averages pairs of a sample and a class"
# From elements of one sample that are each 0 or 1.
Score = Callable[[Array, Array], float]


def overlap(sklearn_name: str) -> Translation:
    """Return the translation of a mean over samples of an overlap."""

    def translate(
        config: dict[str, Any], samples: Samples
    ) -> Equivalent | NoEquivalent:
        if samples.masked:
            return NoEquivalent("neither library knows samples that are masked")
        elements, count = decided(config, samples), len(samples.y_true)
        several = config["task"] == "multilabel"
        rows = (count, -1, config["num_labels"]) if several else (count, -1)
        labels = elements.labels.reshape(rows)
        guesses = elements.predictions.reshape(rows)

        def score(label: Array, guess: Array) -> float:
            if not (label.any() or guess.any()):
                return float(config["zero_division"])
            return float(getattr(load_sklearn_metrics(), sklearn_name)(label, guess))

        def sklearn() -> Any:
            pairs = zip(labels, guesses, strict=True)
            values = np.array([_sample(config, score, *pair) for pair in pairs])
            weights = np.ones(count)
            if samples.sample_weight is not None:
                weights = np.asarray(samples.sample_weight, "float64").reshape(count)
            held = ~np.isnan(values)
            weights = weights.reshape(-1, *(1 for _ in values.shape[1:])) * held
            return np.sum(np.where(held, values, 0) * weights, 0) / weights.sum(0)

        return Equivalent(None, sklearn, additions=samples.additions, note=NOTE)

    return translate


def _sample(config: dict[str, Any], score: Score, label: Array, guess: Array) -> Any:
    """Return the overlap within one sample, NaN if no element counts."""
    kept, how = counted(label, config["ignore_index"]), config["average"]
    if not kept.any():
        one = how is not None or isinstance(config.get("classes"), int)
        return math.nan if one else [math.nan] * _columns(config)
    task, chosen = config["task"], config.get("classes")
    if task == "binary" and chosen is None:
        return score(label[kept], guess[kept])
    ids = np.arange(_columns(config)) if chosen is None else np.atleast_1d(chosen)
    if task == "multilabel":
        label, guess, kept = label[:, ids], guess[:, ids], kept[:, ids]
    else:
        label, guess = (np.equal.outer(x[kept], ids) for x in (label, guess))
        kept = np.ones(label.shape, bool)
    if how == "micro":
        return score(label[kept], guess[kept])
    each = [
        score(label[kept[:, c], c], guess[kept[:, c], c]) for c in range(label.shape[1])
    ]
    if task != "multilabel":  # An absent class leaves the mean.
        occurs = (label | guess).any(axis=0) & counted(ids, config["ignore_index"])
        each = list(np.where(occurs, each, math.nan))
    if how is None:
        return each[0] if isinstance(chosen, int) else each
    defined = [value for value in each if not math.isnan(value)]
    return np.mean(defined) if defined else config["zero_division"]


def _columns(config: dict[str, Any]) -> int:
    return config["num_classes"] or config["num_labels"] or 1
