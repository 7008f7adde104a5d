"""Checks for metrics whose sum or mean is wrong.

Each function checks one metric and returns a finding or None. A finding needs two
different numbers on these data: only metrics whose value is actually wrong are
reported.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from multiback import keras_private
from multiback.adapters.torchmetrics.arrays import as_floats, pair
from multiback.adapters.torchmetrics.auditing.context import AuditContext, are_different
from multiback.adapters.torchmetrics.auditing.findings import Finding
from multiback.adapters.torchmetrics.checking.compare import (
    replacement,
    weights_are_mangled,
)
from multiback.adapters.torchmetrics.checking.streaming import plan
from multiback.adapters.torchmetrics.oracles.areas import binned_area
from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.source import is_function, source_of
from multiback.errors import ArgumentError

# Share of pairs of a positive and a negative that thresholds cannot distinguish, and
# the area that this costs, above which an AUC is called saturated.
TIED, LOST = 0.1, 0.01


def broadcast_labels(of: AuditContext) -> Finding | None:
    """Labels (N,) and predictions (N, 1) become (N, N) in a function."""
    if not is_function(of.metric) or of.y_true.shape == of.y_pred.shape:
        return None
    if of.y_true.size != of.y_pred.size or len(of.y_true) < 2:  # noqa: PLR2004 - a pair
        return None
    function, arguments = keras_private.wrapped_function(of.metric)
    rows = slice(0, 2)
    values = function(
        *map(ops.convert_to_tensor, (of.y_true[rows], of.y_pred[rows])), **arguments
    )
    if np.size(ops.convert_to_numpy(values)) <= of.y_pred[rows].size:
        return None
    should = of.value(y_true=of.y_true.reshape(of.y_pred.shape))
    shapes = f"{of.y_true.shape} and {of.y_pred.shape}"
    return of.finding(
        "broadcast labels",
        should,
        f"labels and predictions of shapes {shapes} broadcast to every pair of rows",
        f"y  →  y.reshape{(-1, *of.y_pred.shape[1:])}",
    )


def averaged(of: AuditContext) -> Finding | None:
    """A function of a batch that is not a mean over samples."""
    checked = of.checked
    if weights_are_mangled(checked):
        return None
    rows = len((checked.unmasked or checked.samples).y_true)
    should = checked.at_once()
    cuts = plan((checked.cuts[0].batch_size,), 1, rows)
    gives = [checked.value, *map(checked.stream, cuts)]
    wrong = [value for value in gives if are_different(value, should)]
    if not wrong:
        return None
    known = replacement(checked).removeprefix("use ")
    if is_function(of.metric):
        reason = (
            "Keras averages a function over batches, and this is no mean of samples"
        )
    else:
        reason = "the value depends on how the rows are cut into batches"
    return Finding(
        "averaged over batches",
        checked.name,
        wrong[0],
        should,
        reason,
        of.instead(known)
        if known
        else f"{source_of(of.metric)}: return one value a sample, or write a "
        "keras.metrics.Metric that keeps sums and divides in result()",
    )


def saturated(of: AuditContext) -> Finding | None:
    """An AUC whose thresholds cannot separate positives from negatives."""
    metric = of.metric
    if of.is_hosted or of.is_ours:
        return _few_bins(of)
    if type(metric) is not keras.metrics.AUC:
        return None
    config = metric.get_config()
    if config["multi_label"] or config["label_weights"] is not None:
        return None
    elements = pair(of.samples)
    labels, scores = elements.labels.astype(bool), as_floats(elements.predictions)
    if labels.all() or not labels.any() or scores.min() < 0 or scores.max() > 1:
        return None  # No area, or logits: another finding.
    edges = np.unique(scores).astype("float32")
    exact = binned_area(
        {**config, "thresholds": (edges[:-1] / 2 + edges[1:] / 2)[1 - edges.size :]},
        labels,
        scores,
        elements.weights,
    )
    count = config["num_thresholds"] - 1
    if config.get("thresholds") is not None:
        bins = np.searchsorted(np.asarray(config["thresholds"]), scores)
    else:
        bins = np.ceil(scores * count).clip(1)
    tied = np.mean(bins[labels][:, None] == bins[~labels][None, :])
    same = np.mean(scores[labels][:, None] == scores[~labels][None, :])
    if tied - same < TIED or abs(float(np.ravel(of.checked.value)[0]) - exact) < LOST:
        return None
    ours = "AUROC" if config["curve"].upper() == "ROC" else "AveragePrecision"
    return of.finding(
        "too few thresholds",
        exact,
        f"{tied:.0%} of the pairs of a positive and a negative lie between the same "
        f"two of {count + 1} thresholds",
        of.instead(f"multiback.metrics.{ours}()"),
    )


def _few_bins(of: AuditContext) -> Finding | None:
    """A ranking metric of torchmetrics or multiback whose bins hide the order."""
    metric = of.metric
    if isinstance(metric, TorchMetric):
        if getattr(metric.hosted, "thresholds", None) is None:
            return None
        change: dict[str, Any] = {"thresholds": None}
    elif "capacity" in of.config and of.config["capacity"] is None:
        change = {"capacity": len(of.y_true)}
    else:
        return None
    try:
        exact = of.value(of.like(**change))
    except ArgumentError:  # It has no source text, so it cannot be made again.
        return None
    if exact is None or np.nanmax(np.abs(np.subtract(exact, of.checked.value))) < LOST:
        return None
    (argument, value), *_ = change.items()
    reason = "the bins are too few for these scores, and their order is lost"
    return of.finding(
        "too few thresholds", exact, reason, of.instead(f"{argument}={value}")
    )
