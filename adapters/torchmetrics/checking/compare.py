"""Compare one metric with the other libraries, and make its row."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from multiback.adapters.torchmetrics.checking.from_metrics import CheckedMetric
from multiback.adapters.torchmetrics.checking.report import Row, Value, show
from multiback.adapters.torchmetrics.checking.verdict import (
    close,
    difference,
    tolerance,
    within,
)
from multiback.adapters.torchmetrics.libraries import (
    SKLEARN_HINT,
    has_torchmetrics,
    load_sklearn_metrics,
)
from multiback.adapters.torchmetrics.oracles.equivalent import Equivalent, NoEquivalent
from multiback.adapters.torchmetrics.oracles.table import equivalent, known_base
from multiback.adapters.torchmetrics.translation.source import ungrouped


def judge(checked: CheckedMetric) -> Row:
    """Compare one metric, and make its row."""
    translation = equivalent(checked.metric, checked.samples)
    row = _judge_value(checked, translation)
    if row.verdict == "wrong" or weights_are_mangled(checked):
        return row
    rows = len((checked.unmasked or checked.samples).y_true)
    adding = max(c.batch_size + math.ceil(rows / c.batch_size) for c in checked.cuts)
    columns, scale = 1, 0.0
    if isinstance(translation, Equivalent):
        columns, scale = translation.columns, translation.scale
        adding = adding if translation.additions else 0
    # Each value may be off by one tolerance, in opposite directions.
    rtol = 2 * tolerance(columns=columns, additions=adding)
    spread = 0.0
    for cut in checked.cuts[1:]:
        value = checked.stream(cut)
        spread = max(spread, difference(value, checked.value))
        if not close(value, checked.value, rtol, scale):
            cause = (
                "the value depends on how the data is cut into batches: "
                f"{show_exactly(checked.value)} in {checked.cuts[0]}, "
                f"{show_exactly(value)} in {cut}"
            )
            row = _replace(row, "wrong", _join(cause, replacement(checked)))
            break
    return dataclasses.replace(row, spread=spread if checked.cuts[1:] else None)


def weights_are_mangled(checked: CheckedMetric) -> bool:
    """Return whether Keras's loss changed the weights before the metric saw them.

    `keras.losses.loss.apply_mask` does on torch: `sample_weight *= float_mask`.
    """
    return (
        keras.backend.backend() == "torch"
        and checked.unmasked is not None
        and checked.samples.sample_weight is not None
    )


def _judge_value(checked: CheckedMetric, translation: Equivalent | NoEquivalent) -> Row:
    """Compare the streamed value with the libraries' values."""
    if isinstance(translation, NoEquivalent):
        return _judge_by_itself(checked, translation.reason)
    theirs, their_note = None, ""
    if has_torchmetrics():
        theirs, their_note = _ask("torchmetrics", translation.torchmetrics)
    sklearn, sklearn_note = None, ""
    if load_sklearn_metrics() is not None:
        sklearn, sklearn_note = _ask("scikit-learn", translation.sklearn)
    notes = _join(translation.note, their_note, sklearn_note)
    known = [value for value in (theirs, sklearn) if value is not None]
    if not known:
        return _judge_by_itself(checked, notes or SKLEARN_HINT)

    rtol = tolerance(columns=translation.columns, additions=translation.additions)
    row = Row(
        checked.name,
        describe(checked.metric),
        checked.value,
        theirs,
        sklearn,
        max(difference(checked.value, value) for value in known),
        "agrees",
        notes,
    )
    near = functools.partial(close, rtol=rtol, scale=translation.scale)
    if all(near(checked.value, value) for value in known) or (
        translation.bounds is not None
        and within(checked.value, known, _quietly(translation.bounds), rtol=rtol)
    ):
        return row
    reason = _convention(checked, translation, near)
    if not reason and sklearn is not None and near(checked.value, sklearn):
        # The float64 number decides; the other library is a second opinion.
        row = dataclasses.replace(row, difference=difference(checked.value, sklearn))
        alone = f"torchmetrics alone gives {show_exactly(theirs)}"
        return _replace(row, "agrees", _join(alone, notes))
    reason = reason or _mask(checked)
    if reason:
        return _replace(row, "differs by convention", _join(reason, notes))
    return _replace(row, "wrong", _join(_explain(checked, row, near), notes))


def _convention(
    checked: CheckedMetric, translation: Equivalent, near: Callable[[Any, Any], bool]
) -> str:
    """Return the convention that explains the difference, or None."""
    convention = translation.convention
    if convention is None:
        return ""
    reason = f"{convention.name}: {convention.reason}"
    if convention.expected is None:
        return f"{reason} (not confirmed: that takes scikit-learn)"
    return reason if near(checked.value, _quietly(convention.expected)) else ""


def _mask(checked: CheckedMetric) -> str:
    """Name the mask if a metric of Keras agrees once the mask is ignored."""
    if checked.unmasked is None or _library(type(checked.metric)) != "keras":
        return ""
    unmasked = dataclasses.replace(checked, samples=checked.unmasked, unmasked=None)
    if _judge_value(unmasked, equivalent(checked.metric, checked.unmasked)).verdict in (
        "wrong",
        "no equivalent",
    ):
        return ""
    return (
        "mask: this metric of Keras's counts what the model masks; the others were "
        "given the rest, as multiback's metrics take it"
    )


def _explain(checked: CheckedMetric, row: Row, near: Callable[[Any, Any], bool]) -> str:
    """Return what a wrong number should be, and where it goes wrong if known."""
    right = row.torchmetrics if row.sklearn is None else row.sklearn
    parts = [
        f"{show_exactly(row.value)} streamed, but "
        + " and ".join(
            f"{show_exactly(value)} by {library}"
            for library, value in (
                ("torchmetrics", row.torchmetrics),
                ("scikit-learn", row.sklearn),
            )
            if value is not None
        )
    ]
    base = known_base(checked.metric)
    if base is not None:
        parts.append(f"compared as {_class_name(base)}, which it extends")
    if weights_are_mangled(checked):
        parts.append(
            "on torch Keras's loss multiplies the weights of masked batches in place, "
            "by elements per element kept, before a metric sees them"
        )
    elif near(checked.at_once(), right):
        parts.append("right on the whole set at once, so batches add up wrongly")
    return "; ".join(parts)


def _judge_by_itself(checked: CheckedMetric, reason: str) -> Row:
    """Compare the streamed value with the metric's own on the whole set at once."""
    mangled = weights_are_mangled(checked)
    at_once = checked.value if mangled else checked.at_once()
    row = Row(
        checked.name,
        describe(checked.metric),
        checked.value,
        None,
        None,
        difference(checked.value, at_once),
        "no equivalent",
        f"{reason}; "
        + (
            "the model has a mask and weights, which Keras's loss changes on torch, so "
            "it is not compared with itself either"
            if mangled
            else "the value does not depend on the batches"
        ),
    )
    if close(checked.value, at_once, tolerance(additions=checked.samples.additions)):
        return row
    numbers = (
        f"{show_exactly(checked.value)} streamed, {show_exactly(at_once)} on the "
        "whole set"
    )
    if type(checked.metric) is keras.metrics.MeanMetricWrapper:
        cause = "Keras averages a function over batches"
    else:
        cause = "the value depends on how the data is cut into batches"
    return _replace(row, "wrong", _join(f"{cause}: {numbers}", replacement(checked)))


def replacement(checked: CheckedMetric) -> str:
    """Return the name of the metric that a function's name suggests, if clear."""
    name = checked.name.lower()
    for word, metric in (
        ("f1", "multiback.metrics.F1Score"),
        ("precision", "multiback.metrics.Precision"),
        ("recall", "multiback.metrics.Recall"),
        ("accuracy", "multiback.metrics.Accuracy"),
        ("auc", "keras.metrics.AUC"),
    ):
        if word in name:
            return f"use {metric}()"
    return ""


def _ask(library: str, compute: Callable[[], Any] | None) -> tuple[Value | None, str]:
    """Compute a library's value, or return its message if it refuses the data."""
    if compute is None:
        return None, ""
    try:
        array = np.asarray(_quietly(compute), "float64")
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        return None, f"{library} refuses: {str(error).splitlines()[0]}"
    if array.size == 1:
        return float(array.ravel()[0]), ""
    return tuple(array.ravel().tolist()), ""


def _quietly(compute: Callable[[], Any]) -> Any:
    """Compute without the library's warnings: the verdict covers them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compute()


def describe(metric: Any) -> str:
    """Return a metric's library and class, or its function."""
    if type(metric) is keras.metrics.MeanMetricWrapper:
        return f"function {metric.name}"
    return _class_name(type(ungrouped(metric)))


def _class_name(cls: type) -> str:
    return f"{_library(cls)}.{cls.__qualname__.split('.')[-1]}"


def _library(cls: type) -> str:
    return cls.__module__.split(".")[0]


def show_exactly(value: Value | None) -> str:
    """Write a value to eight digits, where five may hide the difference."""
    return f"{value:.8g}" if isinstance(value, float) else show(value)


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _replace(row: Row, verdict: Any, reason: str) -> Row:
    return dataclasses.replace(row, verdict=verdict, reason=reason)
