"""Keras's own counting metrics in torchmetrics and scikit-learn."""

import dataclasses
import functools
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import (
    Elements,
    Samples,
    as_floats,
    classes,
    pair,
)
from multiback.adapters.torchmetrics.oracles.decisions import decide
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_WEIGHTS,
    Convention,
    Equivalent,
    NoEquivalent,
    Translation,
)
from multiback.adapters.torchmetrics.oracles.scores import column_scores, score_of
from multiback.adapters.torchmetrics.translation.table import SCORES
from multiback.adapters.torchmetrics.translation.torchmetrics import decided_score

# Keras's F counts no score below this as the largest.
KERAS_ZERO = 1e-9


def accuracy(_: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `keras.metrics.Accuracy`."""
    elements = pair(samples)
    n = elements.labels.size
    values, ids = np.unique(
        np.concatenate([elements.labels, elements.predictions]), return_inverse=True
    )
    return _plain_accuracy(
        Elements(ids[:n], ids[n:], elements.weights), len(values), samples
    )


def binary_accuracy(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `keras.metrics.BinaryAccuracy`."""
    elements = pair(samples)
    decided = decide(elements.predictions, config["threshold"])
    return _decided_elements(
        "Accuracy", Elements(elements.labels, decided, elements.weights), samples
    )


def class_accuracy(_: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate accuracy over classes, sparse or one-hot."""
    return _plain_accuracy(classes(samples), samples.y_pred.shape[-1], samples)


def ratio(kind: str) -> Translation:
    """Return the translation of `keras.metrics.<kind>`: precision or recall."""

    def translate(
        config: dict[str, Any], samples: Samples
    ) -> Equivalent | NoEquivalent:
        if config["top_k"] is not None:
            return NoEquivalent("neither library limits precision or recall to top_k=")
        elements = pair(samples, None)
        if config["class_id"] is not None:
            column = config["class_id"]
            wide = pair(samples, samples.y_pred.shape[-1])
            weights = wide.weights
            elements = Elements(
                wide.labels[:, column],
                wide.predictions[:, column],
                None if weights is None else weights[:, column],
            )
        thresholds = config["thresholds"]
        if thresholds is None:
            thresholds = 0.5
        parts = [
            _decided_elements(
                kind,
                Elements(
                    elements.labels.astype(bool),
                    decide(elements.predictions, threshold),
                    elements.weights,
                ),
                samples,
            )
            for threshold in np.ravel(thresholds).tolist()
        ]
        return Equivalent(
            None
            if parts[0].torchmetrics is None
            else lambda: [p.torchmetrics() for p in parts if p.torchmetrics],
            lambda: [p.sklearn() for p in parts if p.sklearn],
            additions=parts[0].additions,
            note=parts[0].note,
        )

    return translate


def f_score(kind: str) -> Translation:
    """Return the translation of `keras.metrics.<kind>`: F1 or F-beta."""
    return functools.partial(_f_score, kind)


def _f_score(kind: str, config: dict[str, Any], samples: Samples) -> Equivalent:
    elements = pair(samples, samples.y_pred.shape[-1])
    scores = as_floats(elements.predictions)
    if config["threshold"] is None:
        largest = scores >= scores.max(axis=-1, keepdims=True)
        decided = largest & (abs(scores) > KERAS_ZERO)
    else:
        decided = decide(scores.astype("float32"), config["threshold"])
    labels = elements.labels.astype("int64")
    return _labels_f(kind, config, Elements(labels, decided, elements.weights), samples)


def _decided_elements(kind: str, elements: Elements, samples: Samples) -> Equivalent:
    """Compare elements that are each 0 or 1 as one binary task."""
    weighted = elements.weights is not None
    return Equivalent(
        None
        if weighted
        else decided_score(
            kind, {"task": "binary"}, elements.labels, elements.predictions
        ),
        lambda: score_of(SCORES[kind], elements, 0.0),
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def _plain_accuracy(
    elements: Elements, num_classes: int, samples: Samples
) -> Equivalent:
    """Compare class ids: the share of right ones."""
    weighted = elements.weights is not None
    return Equivalent(
        None
        if weighted
        else decided_score(
            "Accuracy",
            {
                "task": "multiclass",
                "num_classes": max(2, num_classes),
                "average": "micro",
            },
            elements.labels,
            elements.predictions,
        ),
        lambda: score_of(SCORES["Accuracy"], elements, 0.0),
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def _labels_f(
    kind: str, config: dict[str, Any], elements: Elements, samples: Samples
) -> Equivalent:
    """Compare F over columns of 0 and 1, as Keras's own computes it."""
    average, beta = config["average"], config.get("beta", 1.0)
    more = {"beta": beta} if kind == "FBetaScore" else {}
    score = dataclasses.replace(SCORES[kind], **more)
    weighted, columns = elements.weights is not None, elements.labels.shape[1]
    return Equivalent(
        None
        if weighted
        else decided_score(
            kind,
            {
                "task": "multilabel",
                "num_labels": columns,
                "average": average,
                **more,
            },
            elements.labels,
            elements.predictions,
        ),
        lambda: column_scores(score, elements, average, 0.0, None),
        convention=Convention(
            "epsilon",
            "Keras adds 1e-7 to each denominator",
            lambda: _f_with_epsilon(elements, average, beta),
        ),
        columns=columns,
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def _f_with_epsilon(elements: Elements, average: str | None, beta: float) -> Any:
    """Repeat Keras's FBetaScore in float64."""
    epsilon = 1e-7
    labels, decided = elements.labels == 1, elements.predictions == 1
    weights = 1.0 if elements.weights is None else elements.weights
    axis = None if average == "micro" else 0
    tp = np.sum(weights * (labels & decided), axis=axis)
    fp = np.sum(weights * (~labels & decided), axis=axis)
    fn = np.sum(weights * (labels & ~decided), axis=axis)
    precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
    sum_ = beta**2 * precision + recall + epsilon
    score = (1 + beta**2) * precision * recall / sum_
    if average == "weighted":
        return np.sum(score * (tp + fn)) / (np.sum(tp + fn) + epsilon)
    return score if average is None else np.mean(score)
