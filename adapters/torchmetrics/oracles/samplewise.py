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


def generalized(config: dict[str, Any], samples: Samples) -> Equivalent | NoEquivalent:
    """Translate `multiback.metrics.GeneralizedDice`."""
    if samples.masked:
        return NoEquivalent("neither library knows samples that are masked")
    elements, count = decided(config, samples), len(samples.y_true)
    several = config["task"] == "multilabel"
    rows = (count, -1, config["num_labels"]) if several else (count, -1)
    pairs = zip(
        elements.labels.reshape(rows), elements.predictions.reshape(rows), strict=True
    )
    weights = np.ones(count)
    if samples.sample_weight is not None:
        weights = np.asarray(samples.sample_weight, "float64").reshape(count)

    def numpys() -> Any:
        values = np.array([_generalized(config, *pair) for pair in pairs])
        held = ~np.isnan(values)
        return np.sum(np.where(held, values, 0) * weights) / (weights * held).sum()

    note = "scikit-learn's column is NumPy's; torchmetrics weighs an absent class by "
    note += "the largest weight of the batch"
    return Equivalent(None, numpys, additions=samples.additions, note=note)


def _generalized(config: dict[str, Any], label: Array, guess: Array) -> float:
    """Return the generalized dice of a sample, NaN if no element counts."""
    kept, chosen = counted(label, config["ignore_index"]), config.get("classes")
    if not kept.any():
        return math.nan
    if config["task"] == "multilabel":
        true, guessed = (kept & (x == 1) for x in (label, guess))
        if chosen is not None:
            true, guessed = (x[:, np.atleast_1d(chosen)] for x in (true, guessed))
    else:
        first = 1 if config["task"] == "binary" else 0
        ids = np.arange(first, max(_columns(config), 2))
        ids = ids if chosen is None else np.atleast_1d(chosen)
        true, guessed = (np.equal.outer(x[kept], ids) for x in (label, guess))
    size = true.sum(axis=0)
    power = {"linear": 0, "simple": 1, "square": 2}[config["weight_type"]]
    weights = 1.0 / np.maximum(size, 1.0) ** power
    weights[size == 0] = weights[size > 0].max(initial=0.0) or 1.0
    below = float((weights * (size + guessed.sum(axis=0))).sum())
    if not below:
        return float(config["zero_division"])
    return float(2 * (weights * (true & guessed).sum(axis=0)).sum() / below)


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
