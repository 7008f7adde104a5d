"""Checks for metrics that get the wrong inputs.

Each function checks one metric and returns a finding or None. A finding needs two
different numbers on these data: only metrics whose value is actually wrong are
reported.
"""

from typing import Any

import keras
import numpy as np

import multiback.metrics
from multiback import keras_private
from multiback.adapters.torchmetrics.auditing.context import (
    AuditContext,
    are_equal,
    are_integers,
    loss_takes_logits,
)
from multiback.adapters.torchmetrics.auditing.findings import Finding, Kind
from multiback.adapters.torchmetrics.libraries import load_torchmetrics
from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.keras import (
    of_function,
    spec_from_keras,
)
from multiback.adapters.torchmetrics.translation.source import (
    is_function,
    kind_of,
    source_of,
)
from multiback.adapters.torchmetrics.translation.spec import (
    MetricSpec,
    NoEquivalentError,
    as_ours,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import (
    spec_from_torchmetrics,
)
from multiback.errors import ArgumentError

# An epsilon in a denominator, or another order of a sum, may leave [0, 1] by less.
OUTSIDE = 1e-3
ANOTHER_FORM: Kind = "labels of another form"
LOGITS: Kind = "logits as probabilities"
EASY_NOES = "each of {} classes is scored as a yes or no, most are easy noes"
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


def ignored_class(of: AuditContext) -> Finding | None:
    """`ignore_index=` of a class for a mean without it: it also removes its rows."""
    config = of.config
    metric = of.metric
    if isinstance(metric, TorchMetric):
        ignored = getattr(metric.hosted, "ignore_index", None)
        classes = getattr(metric.hosted, "num_classes", None)
    else:
        ignored = config.get("ignore_index", config.get("ignore_class"))
        classes = config.get("num_classes")
    if ignored is None or classes is None or config.get("classes") is not None:
        return None
    dropped = [each for each in np.ravel(ignored).tolist() if 0 <= each < classes]
    left = [each for each in range(classes) if each not in dropped]
    fixed = _of_classes(of, left) if dropped else None
    if fixed is None:
        return None
    reason = (
        f"ignore_index={ignored} removes the rows whose label it is, with every false "
        "positive there; classes= leaves a class out of the mean"
    )
    return of.corrected("ignores rows of a class", fixed, reason)


def _of_classes(of: AuditContext, classes: list[int]) -> Any:
    """Make multiback's metric of these classes, or return None."""
    try:
        if of.is_ours:
            return of.like(ignore_index=None, classes=classes)
        if isinstance(of.metric, TorchMetric):
            again = of.metric.changed(ignore_index=None).hosted
            found = spec_from_torchmetrics(again, None)
        else:
            found = spec_from_keras(of.like(ignore_class=None), None)
        return as_ours(MetricSpec(found.kind, {**found.config, "classes": classes}))
    except (NoEquivalentError, ArgumentError):
        return None


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


def unusable_values(of: AuditContext) -> Finding | None:
    """Labels or scores that a metric cannot use, as multiback's metric counts them."""
    samples = of.samples
    if samples.numbers:
        return None
    try:
        metric = of.like() if of.is_ours else as_ours(_spec(of))
        metric.update_state(samples.y_true, samples.y_pred, samples.sample_weight)
    except (NoEquivalentError, ArgumentError, TypeError):
        return None  # It has no equivalent, or takes values alone.
    causes: dict[str, str] = metric.explain_unusable()
    # Scores outside of [0, 1] are logits, which another check looks for.
    causes.pop("outside_score", None)
    if not causes:
        return None
    reason, _, change = next(iter(causes.values())).partition("; ")
    reason = reason.removeprefix(f"{metric.name}: ")
    return of.finding("unusable values", None, reason, change.removesuffix("."))


def _spec(of: AuditContext) -> MetricSpec:
    """Describe a metric of Keras or torchmetrics."""
    columns = of.y_pred.shape[-1] if of.y_pred.ndim > 1 else 1
    if isinstance(of.metric, TorchMetric):
        return spec_from_torchmetrics(of.metric.hosted, columns)
    if of.is_hosted:
        raise NoEquivalentError("scikit-learn raises for values that it cannot use")
    metric = of_function(of.metric)
    if metric is None:
        raise NoEquivalentError("a plain function")
    return spec_from_keras(metric, columns)


def ignored_mask(of: AuditContext) -> Finding | None:
    """A metric of Keras that counts masked elements."""
    if of.checked.unmasked is None or of.checked.weighted or of.is_ours:
        return None  # multiback's own apply the mask, some by the row.
    ours = f"multiback.metrics.{kind_of(of.metric)}"
    exists = kind_of(of.metric) in multiback.metrics.__all__
    return of.contradicted(
        "ignores the mask",
        of.value(),
        "the model has a mask, and this metric counts what it leaves out",
        of.instead(f"{ours}(...)") if exists else "pass the mask as sample_weight",
    )


def ignored_weights(of: AuditContext) -> Finding | None:
    """`metrics=` never receives weights."""
    if of.weights is None or of.checked.weighted:
        return None
    metric = of.metric
    if isinstance(metric, TorchMetric):  # It does not support weights; ours does.
        try:
            metric = as_ours(spec_from_torchmetrics(metric.hosted, None))
        except NoEquivalentError:
            return None
    return of.contradicted(
        "ignores weights",
        of.value(metric, sample_weight=of.weights),
        "there are weights, and Keras gives them to weighted_metrics= only",
        f"metrics=[{source_of(of.metric)}]  →  weighted_metrics=[{source_of(metric)}]",
    )
