"""Scores of each class or label against the rest, in float64."""

import dataclasses
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import (
    Array,
    Elements,
    Samples,
    as_floats,
    classes,
    counted,
    pair,
    sigmoid,
)
from multiback.metrics.base.score_metric import choose_bits
from multiback.metrics.inputs.scores import ScoreTask
from multiback.metrics.statistics.score_bins import edge_table


@dataclasses.dataclass(frozen=True)
class Column:
    """One ranking: `(N,)` int64 labels 0 or 1, float64 scores, and weights or None."""

    labels: Array
    scores: Array
    weights: Array | None

    @property
    def one_class(self) -> bool:
        """Whether positives or negatives are missing."""
        count = self.labels if self.weights is None else self.labels[self.weights != 0]
        return bool(count.size == 0 or count.min() == count.max())

    @property
    def positives(self) -> float:
        """Weight of the positives."""
        weights = np.ones(len(self.labels)) if self.weights is None else self.weights
        return float(weights[self.labels == 1].sum())


def softmax(logits: Array) -> Array:
    """Return the softmax over the last axis, in float64."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


def class_scores(samples: Samples, num_classes: int) -> Elements:
    """Return class ids `(N,)` and scores `(N, num_classes)`."""
    elements = classes(samples)
    scores = as_floats(samples.y_pred).reshape(-1, num_classes)
    return Elements(elements.labels, scores, elements.weights)


def columns(config: dict[str, Any], samples: Samples) -> list[Column]:
    """Return one ranking a class or label, without ignored rows."""
    ignored = config["ignore_index"]
    if config["task"] == "multiclass":
        elements = class_scores(samples, config["num_classes"])
        kept = counted(elements.labels, ignored)
        scores = elements.predictions[kept]
        if config["from_logits"]:
            scores = softmax(scores)
        labels, weights = elements.labels[kept], elements.weights
        weights = None if weights is None else weights[kept]
        found = [
            Column((labels == index).astype("int64"), scores[:, index], weights)
            for index in range(config["num_classes"])
        ]
    else:
        elements = pair(samples, config["num_labels"])
        rows = (-1, config["num_labels"] or 1)
        labels = elements.labels.reshape(rows).astype("int64")
        scores = as_floats(elements.predictions).reshape(rows)
        weights = elements.weights
        weights = None if weights is None else weights.reshape(rows)
        found = []
        for index in range(labels.shape[1]):
            kept = counted(labels[:, index], ignored)
            weight = None if weights is None else weights[kept, index]
            found.append(Column(labels[kept, index], scores[kept, index], weight))
    if config.get("classes") is not None:
        if config["task"] == "binary":
            found.insert(0, _negative(found[0], from_logits=config["from_logits"]))
        found = [found[index] for index in np.atleast_1d(config["classes"])]
    if config["average"] != "micro" or len(found) == 1:
        return found
    weights = None
    if found[0].weights is not None:
        weights = np.concatenate([np.asarray(one.weights) for one in found])
    return [
        Column(
            np.concatenate([one.labels for one in found]),
            np.concatenate([one.scores for one in found]),
            weights,
        )
    ]


def _negative(one: Column, *, from_logits: bool) -> Column:
    """Return the ranking of the negative class."""
    scores = -one.scores if from_logits else 1.0 - one.scores
    return Column(1 - one.labels, scores, one.weights)


def by_bin(config: dict[str, Any], column: Column) -> Array:
    """Return the bin of each score.

    If float32 could round a softmax over an edge, the bins on both sides are merged.
    """
    logits, scores = config["from_logits"], column.scores
    task = ScoreTask(
        num_classes=config["num_classes"],
        num_labels=config["num_labels"],
        micro=config["average"] == "micro",
        from_logits=logits,
    )
    bits = choose_bits(task, config["num_bins"], config["max_state_mb"])
    edges = edge_table(bits, logits=logits).astype("float64")
    if not logits or config["task"] != "multiclass":
        scores = scores.astype("float32")
        return np.asarray(np.searchsorted(edges[1:-1], scores, "right"))
    with np.errstate(divide="ignore"):
        scores = np.log(scores) - np.log1p(-scores)
    bins = np.searchsorted(edges[1:-1], scores, "right")
    near = 1e-5 * (1.0 + np.abs(scores))
    with np.errstate(invalid="ignore"):  # Infinity less infinity.
        up = bins[edges[bins + 1] - scores < near]
        down = bins[scores - edges[bins] < near] - 1
    return np.asarray(bins - np.searchsorted(np.union1d(up, down), bins))


def probabilities(config: dict[str, Any], column: Column) -> Array:
    """Return scores in the same order that torchmetrics accepts unchanged."""
    if config["from_logits"] and config["task"] != "multiclass":
        return sigmoid(column.scores)
    return column.scores
