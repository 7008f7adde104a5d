"""The hinge loss, by NumPy and torchmetrics."""

from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Samples, as_floats, counted, pair
from multiback.adapters.torchmetrics.libraries import run_torchmetrics
from multiback.adapters.torchmetrics.oracles.columns import class_scores
from multiback.adapters.torchmetrics.oracles.decisions import keep
from multiback.adapters.torchmetrics.oracles.equivalent import (
    BY_NUMPY,
    NO_WEIGHTS,
    Equivalent,
)
from multiback.adapters.torchmetrics.oracles.probabilistic import mean_loss
from multiback.adapters.torchmetrics.translation.torchmetrics import make


def hinge(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.HingeLoss`."""
    several = config["task"] == "multiclass"
    found = class_scores(samples, config["num_classes"]) if several else pair(samples)
    found = keep(found, counted(found.labels, config["ignore_index"]))
    labels, scores = found.labels.astype("int64"), as_floats(found.predictions)
    if several:
        own = np.eye(scores.shape[1], dtype=bool)[labels]
        lead = scores[own] - np.where(own, -np.inf, scores).max(axis=1)
    else:
        lead = np.where(labels == 1, scores, -scores)
    losses = np.maximum(1.0 - lead, 0.0) ** (2 if config["squared"] else 1)

    def theirs() -> Any:
        metric = make("HingeLoss", {**config, "ignore_index": None})
        return run_torchmetrics(metric, y_true=labels, y_pred=scores)

    inside = bool(((scores >= 0) & (scores <= 1)).all()) and labels.size > 0
    notes = [BY_NUMPY]
    if found.weights is not None:
        notes.append(NO_WEIGHTS)
    elif not inside:
        notes.append("torchmetrics takes the sigmoid or softmax of such scores")
    return Equivalent(
        theirs if inside and found.weights is None else None,
        lambda: mean_loss(losses, found.weights),
        additions=samples.additions,
        scale=float(np.abs(scores).max(initial=1.0)),
        note="; ".join(notes),
    )
