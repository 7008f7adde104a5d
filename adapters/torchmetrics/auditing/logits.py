"""Checks for metrics that get logits in place of probabilities, or vice versa."""

from typing import Any

import numpy as np

from multiback import keras_private
from multiback.adapters.torchmetrics.auditing.context import (
    AuditContext,
    are_equal,
    are_integers,
    loss_takes_logits,
)
from multiback.adapters.torchmetrics.auditing.findings import Finding, Kind
from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.source import (
    is_function,
    kind_of,
    source_of,
)

# An epsilon in a denominator, or another order of a sum, may leave [0, 1] by less.
OUTSIDE = 1e-3
LOGITS: Kind = "logits as probabilities"
THRESHOLD_KINDS = (
    "BinaryAccuracy",
    "BinaryIoU",
    "FBetaScore",
    "F1Score",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "TrueNegatives",
    "TruePositives",
)
PROBABILITY_KINDS = (
    "AUC",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "KlDivergence",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SparseCategoricalCrossentropy",
    "SpecificityAtSensitivity",
)


def logits(of: AuditContext) -> Finding | None:
    """Logits given to a metric of probabilities, or vice versa."""
    scores = of.y_pred
    if scores.dtype.kind != "f" or not are_integers(of.y_true) or of.y_true.min() < 0:
        return None
    config = of.config
    by_loss = loss_takes_logits(of.loss)
    outside = scores.min() < -OUTSIDE or scores.max() > 1 + OUTSIDE
    if config.get("from_logits"):
        if by_loss is not False or outside or of.is_categorical:
            return None
        reason = "the loss takes probabilities, so this metric's logits are none"
        fixed = of.like(from_logits=False)
        return of.corrected("probabilities as logits", fixed, reason)
    if of.is_hosted and (outside or by_loss):
        return _hosted_logits(of)
    if not (outside or by_loss) or not _takes_probabilities(of, config):
        return None
    should = of.value(y_pred=of.probabilities())
    reason = "the predictions are logits, and this metric takes probabilities"
    change = of.instead(_of_logits(of, config))
    return of.contradicted(LOGITS, should, reason, change)


def _hosted_logits(of: AuditContext) -> Finding | None:
    """Logits given to a wrapped metric of torchmetrics or scikit-learn."""
    config = of.config
    if config.get("needs") == "labels" and config["threshold"] != 0.5:  # noqa: PLR2004 - the default
        return None  # The threshold is one of logits.
    should = of.value(y_pred=of.probabilities())
    if not of.differs(should):
        return None
    if isinstance(of.metric, TorchMetric):
        change = of.instead(
            f"as_keras({type(of.metric.hosted).__name__}(...), from_logits=True)"
        )
        reason = "the predictions are logits, which torchmetrics guesses batch by batch"
    else:
        change = of.instead("as_keras(..., threshold=0.0)")
        if not are_equal(of.value(of.like(threshold=0.0)), should):
            change = "a last layer with a sigmoid or softmax"
        reason = "the predictions are logits, and the function takes probabilities"
    return of.finding(LOGITS, should, reason, change)


def hosted_logits(of: AuditContext) -> Finding | None:
    """Logits given to a wrapped metric, whose batches then differ too."""
    return logits(of) if of.is_hosted else None


def _takes_probabilities(of: AuditContext, config: dict[str, Any]) -> bool:
    if of.is_ours:
        return config.get("from_logits") is False
    kind = kind_of(of.metric)
    if is_function(of.metric):
        _, config = keras_private.wrapped_function(of.metric)
        if config.get("from_logits"):
            return False
    if kind not in THRESHOLD_KINDS:
        return kind in PROBABILITY_KINDS
    threshold = config.get("thresholds", config.get("threshold"))
    if kind in ("F1Score", "FBetaScore") and threshold is None:
        return False  # The largest score wins, whatever the scores are.
    return threshold is None or bool(np.all(np.asarray(threshold) == 0.5))  # noqa: PLR2004 - the default


def _of_logits(of: AuditContext, config: dict[str, Any]) -> str:
    kind = kind_of(of.metric)
    if "from_logits" in config:
        return source_of(of.metric, from_logits=True)
    if is_function(of.metric):
        argument = "threshold=0.0" if "Accuracy" in kind else "from_logits=True"
        return f"keras.metrics.{kind}({argument})"
    if kind == "BinaryAccuracy":
        return source_of(of.metric, threshold=0.0)
    if kind in ("F1Score", "FBetaScore"):  # Keras refuses a threshold of 0 there.
        return f"multiback.metrics.{kind}(..., from_logits=True)"
    if kind in THRESHOLD_KINDS and kind != "BinaryIoU":
        return source_of(of.metric, thresholds=0.0)
    return "a last layer with a sigmoid or softmax"
