"""Checks for names that hide one another, and monitors that cannot be ranked."""

import collections
from collections.abc import Iterable, Sequence
from typing import Any

from multiback import keras_private
from multiback.adapters.torchmetrics.auditing.context import are_different
from multiback.adapters.torchmetrics.auditing.findings import Finding
from multiback.adapters.torchmetrics.checking.from_metrics import CheckedMetric
from multiback.adapters.torchmetrics.checking.report import Value
from multiback.adapters.torchmetrics.checking.streaming import to_value, to_values
from multiback.adapters.torchmetrics.translation.source import source_of
from multiback.checkpoint.choosing.direction import direction_of, find_direction


def hidden(
    model: Any, checked_metrics: Sequence[CheckedMetric], logs: Any
) -> Iterable[Finding]:
    """Yield each number that another metric of the same name replaces in the logs.

    The metrics are by their original names, with their own values; the logs are the
    result of `evaluate`.
    """
    container = keras_private.compile_metrics(model)
    numbers: list[tuple[str, Value, str]] = [
        (checked.name, checked.value, source_of(checked.metric))
        for checked in checked_metrics
    ]
    for metric in model.metrics:
        value = None if metric is container else to_values(metric.result())
        if value is not None and not isinstance(value, dict):
            numbers.append(
                (metric.name, value, f"what the model tracks as {metric.name}")
            )
    wanted = collections.Counter(name for name, _, _ in numbers)
    for name, value, what in numbers:
        shown = logs.get(name)
        if wanted[name] > 1 and (shown is None or are_different(value, shown)):
            yield Finding(
                "hidden by a name",
                name,
                None if shown is None else to_value(shown),
                value,
                f"{wanted[name]} numbers are called {name!r}, and the logs hold one",
                f"give {what}, or what hides it, a name= of its own",
            )


def monitors(
    checked_metrics: Sequence[CheckedMetric], logs: Any, callbacks: Sequence[Any]
) -> Iterable[Finding]:
    """Yield each callback whose monitored quantity it cannot rank."""
    by_name = {checked.name: checked.metric for checked in checked_metrics}
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        mode = getattr(callback, "mode", None)
        if not isinstance(monitor, str) or mode not in ("auto", "min", "max"):
            continue
        name, kind = monitor.removeprefix("val_"), type(callback).__name__
        line = f"{kind}(monitor={monitor!r}"
        if name not in logs and name not in by_name:
            yield _finding(
                monitor,
                f"{kind} monitors a name that is not in the logs: "
                + ", ".join(f"val_{known}" for known in sorted(logs)),
                f"{line}, ...)  →  one of these",
            )
            continue
        metric = by_name.get(name)
        known = None if metric is None else direction_of(metric)
        known = known or find_direction(name)
        if name == "loss" or name.endswith("_loss"):
            known = "min"
        if mode == "auto":
            reason = _doubt(name, callback, known, checked_metrics)
            better = f'mode="{known}")' if known else 'mode="max") or mode="min"'
            if reason:
                yield _finding(monitor, reason, f"{line})  →  {line}, {better}")
        elif known is not None and mode != known:
            yield _finding(
                monitor,
                f"{kind} keeps the {'least' if mode == 'min' else 'most'} "
                f"{name!r}, and {'more' if known == 'max' else 'less'} is better",
                f'{line}, mode="{mode}")  →  {line}, mode="{known}")',
            )


def _finding(monitor: str, reason: str, change: str) -> Finding:
    return Finding("monitor", monitor, None, None, reason, change)


def _doubt(
    name: str,
    callback: Any,
    known: str | None,
    checked_metrics: Sequence[CheckedMetric],
) -> str:
    """Return why `mode="auto"` is not enough for a name, or "".

    Keras compares the name with the metrics' own names, which have no output's name
    before them, and then uses the metric; a subclass returns its base class's
    direction.
    """
    nothing = f"nothing says whether more or less of {name!r} is better"
    if not type(callback).__module__.startswith("keras."):
        return "" if known else nothing
    named = [each.metric for each in checked_metrics if each.metric.name == name]
    taken = keras_private.automatic_mode(named[-1]) if named else None
    taken = "min" if name == "loss" else taken
    if taken is None:
        stops = f"Keras cannot tell whether more or less of {name!r} is better"
        return f"{stops}, and stops at the end of the first epoch" if known else nothing
    if named and known is None and _has_result_of_its_own(named[-1]):
        return (
            f"Keras takes {'more' if taken == 'max' else 'less'} of {name!r} for "
            f"better, which {type(named[-1]).__name__} inherits, and its result() is "
            "another"
        )
    if known is not None and known != taken:
        return (
            f"Keras takes {'more' if taken == 'max' else 'less'} of {name!r} for better"
        )
    return ""


def _has_result_of_its_own(metric: Any) -> bool:
    """Return whether a user's class computes another result than Keras's."""
    own = (k for k in type(metric).__mro__ if not k.__module__.startswith("keras."))
    return any("result" in vars(kind) for kind in own)
