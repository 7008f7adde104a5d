"""Checks for metrics that leave out too much or too little: classes, masks, weights."""

from typing import Any

import numpy as np

import multiback.metrics
from multiback.adapters.torchmetrics.auditing.context import AuditContext
from multiback.adapters.torchmetrics.auditing.findings import Finding
from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.keras import (
    of_function,
    spec_from_keras,
)
from multiback.adapters.torchmetrics.translation.source import kind_of, source_of
from multiback.adapters.torchmetrics.translation.spec import (
    MetricSpec,
    NoEquivalentError,
    as_ours,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import (
    spec_from_torchmetrics,
)
from multiback.errors import ArgumentError


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
