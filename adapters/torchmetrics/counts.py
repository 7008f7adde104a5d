"""Accuracy, precision, recall and F1 in torchmetrics and scikit-learn.

torchmetrics is handed decided classes, never scores: given a score outside of
[0, 1] it would apply a sigmoid, batch by batch.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import Array, Elements, Samples, classes, pair, sigmoid
from .equivalent import NO_WEIGHTS, Compute, Convention, Equivalent
from .libraries import load_sklearn_metrics, load_torchmetrics, run_torchmetrics

SKLEARN_NAMES = {
    "Precision": "precision_score",
    "Recall": "recall_score",
    "F1Score": "f1_score",
}


def _sklearn_score(
    kind: str, elements: Elements, zero_division: float, **arguments: Any
) -> Any:
    """Call scikit-learn's function; `zero_division` where nothing is left."""
    metrics = load_sklearn_metrics()
    if metrics is None or elements.labels.size == 0:
        return zero_division
    y_true, y_pred = elements.labels, elements.predictions
    if kind == "Accuracy":
        return metrics.accuracy_score(y_true, y_pred, sample_weight=elements.weights)
    return getattr(metrics, SKLEARN_NAMES[kind])(
        y_true,
        y_pred,
        sample_weight=elements.weights,
        zero_division=zero_division,
        **arguments,
    )


def _keep(elements: Elements, where: Array) -> Elements:
    weights = None if elements.weights is None else elements.weights[where]
    return Elements(elements.labels[where], elements.predictions[where], weights)


def _mean(values: list[float], weights: Array, zero_division: float) -> float:
    """Average what is defined."""
    defined = ~np.isnan(values)
    total = weights[defined].sum()
    if total == 0:
        return zero_division
    return float(np.average(np.asarray(values)[defined], weights=weights[defined]))


def _column_scores(
    kind: str,
    elements: Elements,
    average: str | None,
    zero_division: float,
    ignore_index: int | None,
) -> Any:
    """Score labels that may hold at once: each alone, then their average.

    scikit-learn's own indicator form cannot leave single elements out.
    """
    kept = elements.labels != ignore_index
    if average == "micro":
        return _sklearn_score(kind, _keep(elements, kept), zero_division)
    values, true = [], []
    for column in range(elements.labels.shape[1]):
        weights = elements.weights
        one = Elements(
            elements.labels[:, column],
            elements.predictions[:, column],
            None if weights is None else weights[:, column],
        )
        one = _keep(one, kept[:, column])
        values.append(float(_sklearn_score(kind, one, zero_division)))
        true.append(
            (one.labels == 1)
            @ (np.ones(len(one.labels)) if weights is None else np.asarray(one.weights))
        )
    if average is None:
        return np.asarray(values)
    shares = (
        np.asarray(true, "float64") if average == "weighted" else np.ones(len(true))
    )
    return _mean(values, shares, zero_division)


def _class_scores(
    kind: str,
    elements: Elements,
    *,
    num_classes: int,
    average: str | None,
    zero_division: float,
    ignore_index: int | None,
) -> Any:
    """Score classes of which one holds; those that do not occur leave the mean."""
    elements = _keep(elements, elements.labels != ignore_index)
    if kind == "Accuracy":
        if average == "micro":
            return _sklearn_score(kind, elements, zero_division)
        kind = "Recall"  # What accuracy is within one class.
    labels = np.arange(num_classes)
    if average in ("macro", "weighted"):
        labels = np.union1d(elements.labels, elements.predictions)
        labels = labels[labels != ignore_index]
    if labels.size == 0:
        return zero_division
    return _sklearn_score(kind, elements, zero_division, labels=labels, average=average)


def _torchmetrics_score(
    name: str, y_true: Array, y_pred: Array, **arguments: Any
) -> Compute:
    """Defer torchmetrics' metric of that name over decided classes."""

    def compute() -> Any:
        metric = getattr(load_torchmetrics().classification, name)(**arguments)
        return run_torchmetrics(
            metric, y_true=y_true.astype("int64"), y_pred=y_pred.astype("int64")
        )

    return compute


def _convention(
    kind: str, config: dict[str, Any], sklearn: Compute
) -> Convention | None:
    """Name what torchmetrics is known to do differently with these arguments."""
    expected = sklearn if load_sklearn_metrics() is not None else None
    ignored, average = config["ignore_index"], config["average"]
    if (
        config["task"] == "multiclass"
        and average == "macro"
        and ignored is not None
        and 0 <= ignored < config["num_classes"]
    ):
        return Convention(
            "ignored class",
            "an ignored class leaves the macro average here; torchmetrics keeps it, "
            "as a zero, when it is predicted",
            expected,
        )
    if config["zero_division"] != 0:
        return Convention(
            "zero division",
            "a ratio without a denominator is zero_division= here; torchmetrics "
            + ("has no such argument for accuracy" if kind == "Accuracy" else "gives 0")
            + " and averages by its own rule",
            expected,
        )
    return None


def decide(scores: Array, threshold: float, *, from_logits: bool = False) -> Array:
    """Return 1 where a probability is above the threshold, else 0.

    Compared in the dtype of the scores, as the metrics do, except for logits.
    """
    if scores.dtype.kind in "iub":
        scores = scores.astype("float32")
    return (sigmoid(scores) if from_logits else scores) > threshold


def multiback_counts(kind: str) -> Callable[[dict[str, Any], Samples], Equivalent]:
    """Return the translation of `multiback.metrics.<kind>`."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        task, average = config["task"], config["average"]
        zero_division, ignored = config["zero_division"], config["ignore_index"]
        arguments: dict[str, Any] = {"ignore_index": ignored}
        if kind != "Accuracy":
            arguments["zero_division"] = zero_division
        columns = 1
        if task == "multiclass":
            columns = config["num_classes"]
            elements = classes(samples)
            arguments |= {"num_classes": columns, "average": average}
        else:
            columns = config["num_labels"] or 1
            elements = pair(samples, config["num_labels"])
            decided = decide(
                elements.predictions,
                config["threshold"],
                from_logits=config["from_logits"],
            )
            elements = Elements(
                elements.labels.astype("int64"),
                decided.astype("int64"),
                elements.weights,
            )
            if task == "multilabel":
                arguments |= {"num_labels": columns, "average": average}

        def sklearn() -> Any:
            if task == "multiclass":
                return _class_scores(
                    kind,
                    elements,
                    num_classes=columns,
                    average=average,
                    zero_division=zero_division,
                    ignore_index=ignored,
                )
            return _column_scores(
                kind,
                elements,
                average if task == "multilabel" else "micro",
                zero_division,
                ignored,
            )

        theirs: Compute | None = _torchmetrics_score(
            task.capitalize() + kind, elements.labels, elements.predictions, **arguments
        )
        note = ""
        if samples.sample_weight is not None:
            theirs, note = None, NO_WEIGHTS
        elif kind != "Accuracy" and math.isnan(zero_division):
            theirs, note = None, "torchmetrics takes zero_division 0 or 1, not NaN"
        return Equivalent(
            theirs,
            sklearn,
            convention=_convention(kind, config, sklearn),
            columns=columns,
            additions=0 if samples.sample_weight is None else samples.additions,
            note=note,
        )

    return translate


def decided_elements(kind: str, elements: Elements, samples: Samples) -> Equivalent:
    """Compare elements that are each 0 or 1 as one binary task."""
    weighted = elements.weights is not None
    return Equivalent(
        None
        if weighted
        else _torchmetrics_score(
            "Binary" + kind, elements.labels, elements.predictions
        ),
        lambda: _sklearn_score(kind, elements, 0.0),
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def plain_accuracy(
    elements: Elements, num_classes: int, samples: Samples
) -> Equivalent:
    """Compare class ids: the share of right ones."""
    weighted = elements.weights is not None
    return Equivalent(
        None
        if weighted
        else _torchmetrics_score(
            "MulticlassAccuracy",
            elements.labels,
            elements.predictions,
            num_classes=max(2, num_classes),
            average="micro",
        ),
        lambda: _sklearn_score("Accuracy", elements, 0.0),
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def labels_f1(elements: Elements, average: str | None, samples: Samples) -> Equivalent:
    """Compare F1 over columns of 0 and 1, as Keras's own computes it."""
    weighted, columns = elements.weights is not None, elements.labels.shape[1]
    return Equivalent(
        None
        if weighted
        else _torchmetrics_score(
            "MultilabelF1Score",
            elements.labels,
            elements.predictions,
            num_labels=columns,
            average=average,
        ),
        lambda: _column_scores("F1Score", elements, average, 0.0, None),
        convention=Convention(
            "epsilon",
            "Keras adds 1e-7 to each denominator",
            lambda: _f1_with_epsilon(elements, average),
        ),
        columns=columns,
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def _f1_with_epsilon(elements: Elements, average: str | None) -> Any:
    """Repeat Keras's F1Score in float64."""
    epsilon = 1e-7
    labels, decided = elements.labels == 1, elements.predictions == 1
    weights = 1.0 if elements.weights is None else elements.weights
    axis = None if average == "micro" else 0
    tp = np.sum(weights * (labels & decided), axis=axis)
    fp = np.sum(weights * (~labels & decided), axis=axis)
    fn = np.sum(weights * (labels & ~decided), axis=axis)
    precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
    f1 = 2 * precision * recall / (precision + recall + epsilon)
    if average == "weighted":
        return np.sum(f1 * (tp + fn)) / (np.sum(tp + fn) + epsilon)
    return f1 if average is None else np.mean(f1)
