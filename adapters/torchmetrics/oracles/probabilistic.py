"""Log loss, perplexity, Brier score and calibration error, in float64."""

from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import (
    Array,
    Elements,
    Samples,
    as_floats,
    counted,
    pair,
    sigmoid,
)
from multiback.adapters.torchmetrics.libraries import (
    load_torchmetrics,
    run_torchmetrics,
)
from multiback.adapters.torchmetrics.oracles.columns import class_scores, softmax
from multiback.adapters.torchmetrics.oracles.decisions import keep
from multiback.adapters.torchmetrics.oracles.equivalent import (
    BY_NUMPY,
    NO_WEIGHTS,
    Convention,
    Equivalent,
    Translation,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import make


def _elements(config: dict[str, Any], samples: Samples) -> Elements:
    """Return class ids and the unchanged scores of every class: `(N, classes)`."""
    if config["task"] == "multiclass":
        elements = class_scores(samples, config["num_classes"])
    else:
        elements = pair(samples)
        scores = as_floats(elements.predictions)
        other = np.zeros(len(scores)) if config["from_logits"] else 1.0 - scores
        both = np.stack([other, scores], axis=1)
        elements = Elements(elements.labels.astype("int64"), both, elements.weights)
    return keep(elements, counted(elements.labels, config["ignore_index"]))


def _log_probabilities(config: dict[str, Any], scores: Array) -> Array:
    if not config["from_logits"]:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(scores))
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


def mean_loss(losses: Array, weights: Array | None) -> float:
    """Return the weighted mean of losses; NaN without any."""
    total = len(losses) if weights is None else weights.sum()
    if not total:
        return float("nan")
    # A loss that does not count may be infinite.
    weights = np.ones(len(losses)) if weights is None else weights
    return float(np.sum(weights[weights != 0] * losses[weights != 0]) / total)


def _log_loss(config: dict[str, Any], elements: Elements) -> float:
    table = _log_probabilities(config, elements.predictions)
    own = np.take_along_axis(table, elements.labels[:, None], 1)[:, 0]
    return mean_loss(-own, elements.weights)


def _brier(config: dict[str, Any], elements: Elements) -> float:
    scores = elements.predictions
    shares = softmax(scores) if config["from_logits"] else scores
    true = np.eye(scores.shape[1])[elements.labels]
    losses = np.square(shares - true).sum(axis=1)
    if config["task"] == "binary":
        losses = losses / 2
    return mean_loss(losses, elements.weights)


def loss(kind: str) -> Translation:
    """Return the translation of "log", "perplexity" or "brier"."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        elements = _elements(config, samples)

        def sklearn() -> Any:
            if kind == "brier":
                return _brier(config, elements)
            value = _log_loss(config, elements)
            return value if kind == "log" else np.exp(value)

        def theirs() -> Any:
            import torch

            metric = load_torchmetrics().text.Perplexity()
            # It takes the softmax of its input: log p gives p.
            logs = _log_probabilities(config, elements.predictions)
            metric.update(torch.tensor(logs)[None], torch.tensor(elements.labels)[None])
            value = metric.compute().double()
            return (value if kind == "perplexity" else torch.log(value)).numpy()

        sums = elements.predictions.sum(axis=1)
        whole = config["from_logits"] or np.allclose(sums, 1.0, atol=1e-9)
        weighted = samples.sample_weight is not None
        refused = [BY_NUMPY]
        if kind == "brier":
            refused.append("torchmetrics has no Brier score")
        elif not whole:
            refused.append("torchmetrics would scale probabilities to add up to 1")
        elif weighted:
            refused.append(NO_WEIGHTS)
        return Equivalent(
            theirs if len(refused) == 1 and elements.labels.size else None,
            sklearn,
            additions=samples.additions,
            # A loss is the difference of logits, an exponent that of losses.
            scale=float(np.abs(elements.predictions).max(initial=1.0))
            * (np.exp(_log_loss(config, elements)) if kind == "perplexity" else 1.0),
            note="; ".join(refused),
        )

    return translate


def calibration_error(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.CalibrationError`."""
    elements, bins = _elements(config, samples), config["n_bins"]
    scores = elements.predictions
    if config["from_logits"]:
        binary = config["task"] == "binary"
        positive = sigmoid(scores[:, 1])
        shares = np.stack([1 - positive, positive], 1) if binary else softmax(scores)
    else:
        shares = scores
    if config["task"] == "binary":
        confidence, hits = shares[:, 1], elements.labels == 1
    else:
        confidence = shares.max(axis=1)
        hits = shares.argmax(axis=1) == elements.labels
    weights = elements.weights
    weights = np.ones(len(hits)) if weights is None else weights

    def numpys() -> Any:
        # Multiply in float32: this decides on which side of an edge a score lies.
        place = confidence.astype("float32") * np.float32(bins)
        index = place.astype("int64").clip(0, bins - 1)
        weight, sure, right = (
            np.bincount(index, each, bins)
            for each in (weights, weights * confidence, weights * hits)
        )
        if not weight.sum():
            return float("nan")
        held = weight > 0
        gap = np.abs(right - sure)[held] / weight[held]
        if config["norm"] == "max":
            return gap.max()
        power = 1 if config["norm"] == "l1" else 2
        return np.average(gap**power, weights=weight[held]) ** (1 / power)

    def theirs() -> Any:
        # Ignored rows were left out.
        metric = make("CalibrationError", {**config, "ignore_index": None})
        given = shares[:, 1] if config["task"] == "binary" else shares
        return run_torchmetrics(metric, y_true=elements.labels, y_pred=given)

    weighted = samples.sample_weight is not None
    return Equivalent(
        None if weighted or not elements.labels.size else theirs,
        numpys,
        convention=Convention(
            "a confidence of 1",
            "torchmetrics puts a confidence of exactly 1 into a bin of its own; here "
            "it belongs to the last bin, whose edge it is",
            numpys,
        )
        if (confidence == 1).any()
        else None,
        columns=bins,
        additions=samples.additions,
        scale=1.0,
        note=f"{BY_NUMPY}; {NO_WEIGHTS}" if weighted else BY_NUMPY,
    )
