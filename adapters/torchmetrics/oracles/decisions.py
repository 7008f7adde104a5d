"""From scores to decided classes, by the arguments of a multiback metric."""

from typing import Any

from multiback.adapters.torchmetrics.arrays import (
    Array,
    Elements,
    Samples,
    classes,
    pair,
    sigmoid,
)


def decide(scores: Array, threshold: float, *, from_logits: bool = False) -> Array:
    """Return 1 where a probability is above the threshold, else 0.

    Compared in the dtype of the scores, as the metrics do, except for logits.
    """
    if scores.dtype.kind in "iub":
        scores = scores.astype("float32")
    return (sigmoid(scores) if from_logits else scores) > threshold


def decided(config: dict[str, Any], samples: Samples) -> Elements:
    """Return labels and predicted classes: ids, or 0 and 1, `(N,)` or `(N, labels)`."""
    if config["task"] == "multiclass":
        return classes(samples)
    elements = pair(samples, config.get("num_labels"))
    hard = decide(
        elements.predictions, config["threshold"], from_logits=config["from_logits"]
    )
    return Elements(
        elements.labels.astype("int64"), hard.astype("int64"), elements.weights
    )


def columns_of(config: dict[str, Any]) -> int:
    """Return the number of classes or labels; 1 for a binary task."""
    return config["num_classes"] or config.get("num_labels") or 1


def keep(elements: Elements, where: Array) -> Elements:
    """Leave out the other elements."""
    weights = None if elements.weights is None else elements.weights[where]
    return Elements(elements.labels[where], elements.predictions[where], weights)


def column(elements: Elements, index: int) -> Elements:
    """Return one label of several."""
    weights = None if elements.weights is None else elements.weights[:, index]
    return Elements(elements.labels[:, index], elements.predictions[:, index], weights)
