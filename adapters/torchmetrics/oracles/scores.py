"""Ratios of decided elements by scikit-learn, in float64.

scikit-learn averages over classes itself where it has the score; where it does
not (specificity, predictive value) each class is scored against the rest by its
binary function.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Elements, counted
from multiback.adapters.torchmetrics.libraries import load_sklearn_metrics
from multiback.adapters.torchmetrics.oracles.decisions import column, keep
from multiback.adapters.torchmetrics.translation.table import Score


def score_of(
    score: Score, elements: Elements, zero_division: float, **arguments: Any
) -> Any:
    """Call scikit-learn's function; return `zero_division` if no row is left."""
    if score.inverted:
        plain = dataclasses.replace(score, inverted=False)
        return 1.0 - score_of(plain, elements, 1.0 - zero_division, **arguments)
    metrics = load_sklearn_metrics()
    if metrics is None or elements.labels.size == 0:
        return zero_division
    function = getattr(metrics, score.function)
    data = (elements.labels, elements.predictions)
    if score.of_class is not None:
        return function(*data, sample_weight=elements.weights)
    if score.beta is not None:
        arguments["beta"] = score.beta

    def compute(empty: float) -> Any:
        return function(
            *data, sample_weight=elements.weights, zero_division=empty, **arguments
        )

    if score.function != "jaccard_score" or not math.isnan(zero_division):
        return compute(zero_division)
    # jaccard_score rejects NaN: values that depend on zero_division= are undefined.
    low, high = compute(0.0), compute(1.0)
    return low if low == high else zero_division


def column_scores(
    score: Score,
    elements: Elements,
    average: str | None,
    zero_division: float,
    ignore_index: Any,
) -> Any:
    """Score labels that may hold together: each alone, then their average.

    scikit-learn's own indicator form cannot leave single elements out.
    """
    kept = counted(elements.labels, ignore_index)
    positive = {} if score.pos_label == 1 else {"pos_label": score.pos_label}
    if average == "micro":
        return score_of(score, keep(elements, kept), zero_division, **positive)
    values, true = [], []
    for index in range(elements.labels.shape[1]):
        one = keep(column(elements, index), kept[:, index])
        values.append(float(score_of(score, one, zero_division, **positive)))
        true.append(_weigh(one.labels == 1, one))
    if average is None:
        return np.asarray(values)
    shares = np.asarray(true) if average == "weighted" else np.ones(len(true))
    return mean(values, shares, zero_division)


def class_scores(
    score: Score,
    elements: Elements,
    *,
    num_classes: int,
    average: str | None,
    zero_division: float,
    ignore_index: Any,
    chosen: Any = None,
) -> Any:
    """Score exclusive classes; absent classes leave the mean.

    With `chosen=`, only those classes: a single id gives its own number.
    """
    elements = keep(elements, counted(elements.labels, ignore_index))
    if score.of_class is not None and average == "micro" and chosen is None:
        return score_of(score, elements, zero_division)
    labels = np.arange(num_classes) if chosen is None else np.atleast_1d(chosen)
    if chosen is not None and np.ndim(chosen) == 0:
        average = "micro"
    wanted = labels
    if average in ("macro", "weighted"):
        labels = np.union1d(elements.labels, elements.predictions)
        labels = np.intersect1d(labels, wanted)
        labels = labels[counted(labels, ignore_index)]
    if labels.size == 0 or (elements.labels.size == 0 and average is not None):
        return zero_division
    if score.one_vs_rest:
        return _against_rest(score, elements, labels, average, zero_division)
    kind = score.of_class or score
    if elements.labels.size == 0:
        return np.full(len(wanted), zero_division)
    return score_of(kind, elements, zero_division, labels=labels, average=average)


def _against_rest(
    score: Score,
    elements: Elements,
    labels: Array,
    average: str | None,
    zero_division: float,
) -> Any:
    """Score each class as a binary task of its own."""
    one_hot = Elements(
        (elements.labels[:, None] == labels).astype("int64"),
        (elements.predictions[:, None] == labels).astype("int64"),
        None
        if elements.weights is None
        else np.repeat(elements.weights[:, None], len(labels), axis=1),
    )
    return column_scores(score, one_hot, average, zero_division, None)


def _weigh(where: Array, elements: Elements) -> float:
    weights = np.ones(where.shape) if elements.weights is None else elements.weights
    return float(weights[where].sum())


def mean(values: list[float], weights: Array, zero_division: float) -> float:
    """Average the defined values."""
    defined = ~np.isnan(values)
    total = weights[defined].sum()
    if total == 0:
        return zero_division
    return float(np.average(np.asarray(values)[defined], weights=weights[defined]))
