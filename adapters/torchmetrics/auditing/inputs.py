"""Checks for metrics that get the wrong inputs.

Each function checks one metric and returns a finding or None. A finding needs two
different numbers on these data: only metrics whose value is actually wrong are
reported.
"""

from typing import Any

import keras
import numpy as np

from multiback.adapters.torchmetrics.auditing.context import AuditContext, are_integers
from multiback.adapters.torchmetrics.auditing.findings import Finding, Kind
from multiback.adapters.torchmetrics.libraries import load_torchmetrics
from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.source import kind_of

ANOTHER_FORM: Kind = "labels of another form"
EASY_NOES = "each of {} classes is scored as a yes or no, most are easy noes"
ONE_HOT_KINDS = (
    "AUC",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "F1Score",
    "FBetaScore",
    "OneHotIoU",
    "OneHotMeanIoU",
    "Precision",
    "Recall",
    "TopKCategoricalAccuracy",
    "BinaryAccuracy",
)
SPARSE_KINDS = (
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
)


def labels_of_another_form(of: AuditContext) -> Finding | None:
    """Class ids where one-hot rows are assumed, or vice versa."""
    kind, classes = kind_of(of.metric), of.y_pred.shape[-1]
    if kind in ONE_HOT_KINDS and of.holds_ids():
        ids = of.y_true.reshape(of.y_pred.shape[:-1]).astype("int64")
        one_hot = np.eye(classes, dtype="float32")[ids]
        reason = "the labels are class ids, and this metric takes one-hot rows"
        change = f"y  →  keras.utils.to_categorical(y, {classes})"
        should = of.value(y_true=one_hot)
        if kind in ("BinaryAccuracy", "CategoricalAccuracy"):
            fixed = keras.metrics.SparseCategoricalAccuracy()
            return of.corrected(ANOTHER_FORM, fixed, reason)
    elif kind in SPARSE_KINDS and of.is_one_hot():
        should = of.value(y_true=of.y_true.argmax(axis=-1))
        reason = "the labels are one-hot rows, and this metric takes class ids"
        name = kind.removeprefix("Sparse")
        change = of.instead(f"keras.metrics.{name}()")
    elif (
        kind == "BinaryAccuracy"
        and classes > 2  # noqa: PLR2004 - with two classes both are right or wrong
        and of.is_one_hot()
        and of.is_distribution()
    ):
        fixed = keras.metrics.CategoricalAccuracy()
        return of.corrected(ANOTHER_FORM, fixed, EASY_NOES.format(classes))
    else:
        return None
    return of.contradicted(ANOTHER_FORM, should, reason, change)


def compared_scores(of: AuditContext) -> Finding | None:
    """`Accuracy` or an IoU that compares a score with a class id."""
    kind = kind_of(of.metric)
    if not are_integers(of.y_true):
        return None
    if are_integers(of.y_pred):
        return _one_hot_as_ids(of, kind)
    config = of.config
    if kind == "Accuracy":
        fixed: Any = keras.metrics.BinaryAccuracy()
        if of.y_pred.ndim > 1 and of.y_pred.shape[-1] > 1 and of.is_one_hot():
            fixed = keras.metrics.CategoricalAccuracy()
        elif of.holds_ids():
            fixed = keras.metrics.SparseCategoricalAccuracy()
    elif kind in ("IoU", "MeanIoU") and config.get("sparse_y_pred"):
        if of.y_pred.shape[-1] == config["num_classes"]:
            fixed = of.like(sparse_y_pred=False, sparse_y_true=not of.is_one_hot())
        elif config["num_classes"] == 2 and _are_chances(of):  # noqa: PLR2004 - yes and no
            classes = config.get("target_class_ids", (0, 1))
            fixed = keras.metrics.BinaryIoU(classes, threshold=0.5)
        else:
            return None
    else:
        return None
    reason = "a score is compared with a class id, and hardly ever equals it"
    return of.corrected("compares scores with classes", fixed, reason)


def _one_hot_as_ids(of: AuditContext, kind: str) -> Finding | None:
    """One-hot rows on both sides, where each number is taken for a class id."""
    rows = of.is_one_hot() and bool((of.y_pred.sum(axis=-1) == 1).all())
    if kind not in ("IoU", "MeanIoU") or not rows or of.y_pred.min() < 0:
        return None
    reason = "both are one-hot rows, and each number in them is taken for a class id"
    fixed = of.like(sparse_y_true=False, sparse_y_pred=False)
    return of.corrected(ANOTHER_FORM, fixed, reason)


def _are_chances(of: AuditContext) -> bool:
    """Return whether predictions are one probability for each label."""
    scores = of.y_pred
    return scores.size == of.y_true.size and 0 <= scores.min() <= scores.max() <= 1


def one_column(of: AuditContext) -> Finding | None:
    """The largest of a single score is always that score."""
    kind = kind_of(of.metric)
    if of.y_pred.ndim < 2 or of.y_pred.shape[-1] != 1:  # noqa: PLR2004 - rows and columns
        return None
    if kind in ("F1Score", "FBetaScore") and of.config["threshold"] is None:
        fixed = of.like(threshold=0.5)
    elif kind in ("CategoricalAccuracy", "SparseCategoricalAccuracy"):
        fixed = keras.metrics.BinaryAccuracy()
    else:
        return None
    reason = (
        "the largest score of one column is always that one, so every row is positive"
    )
    return of.corrected("one column", fixed, reason)


def yes_or_no(of: AuditContext) -> Finding | None:
    """One class of several, with each class scored as a yes or a no."""
    classes = of.y_pred.shape[-1]
    several = classes > 2 and of.is_one_hot() and of.is_distribution()  # noqa: PLR2004 - of two classes both are right or wrong
    if not several:
        return None
    if of.is_ours and of.config.get("task") in ("binary", "multilabel"):
        size = {"num_classes": classes, "num_labels": None}
        task: dict[str, Any] = {**size, "task": "multiclass"}
        if "threshold" in of.config:
            task["threshold"] = 0.5
        fixed = of.like(**task)
        change = f'{type(of.metric).__name__}(task="multiclass", num_classes={classes})'
    elif isinstance(of.metric, TorchMetric):
        name = type(of.metric.hosted).__name__
        twin = name.replace("Binary", "Multiclass").replace("Multilabel", "Multiclass")
        made = getattr(load_torchmetrics("audit").classification, twin, None)
        if twin == name or made is None:
            return None
        fixed = TorchMetric(made(num_classes=classes), of.metric.name)
        change = f"as_keras({twin}(num_classes={classes}))"
    elif of.is_hosted and of.config.get("last_axis") in ("elements", "outputs"):
        fixed = of.like(last_axis="classes")
        change = 'as_keras(..., last_axis="classes")'
    else:
        return None
    return of.corrected(ANOTHER_FORM, fixed, EASY_NOES.format(classes), change)
