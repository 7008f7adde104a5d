"""Check monitored names against the names that a model will log."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import keras

from multiback import keras_private
from multiback.checkpoint.choosing.direction import Mode, direction_of
from multiback.checkpoint.choosing.log_values import written
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.choosing.slots import no_interval
from multiback.errors import ArgumentError, MonitorError

_HINT = (
    "If another callback adds the name to the logs, pass "
    "monitor=multiback.Monitor(name, mode=..., early=False)."
)


@runtime_checkable
class HasThreshold(Protocol):
    """A metric that may return the threshold of its value."""

    def threshold(self) -> Any:
        """Return the threshold."""


@runtime_checkable
class HasInterval(Protocol):
    """A metric that may say how sure its value is."""

    state: Any

    def has_interval(self) -> bool:
        """Return whether there can be one."""

    def compute_interval(self, state: Any) -> Any:
        """Return the interval of the value of a state."""


def check_names(model: keras.Model, scorer: Scorer) -> list[str] | None:
    """Check the names, and give the scorer each metric's direction.

    Return warnings; or None if it is too early to know: before its first batch,
    TensorFlow has not built the metrics. A monitored name raises that will not be in
    the logs, cannot be ranked, stands for two metrics or has no known direction.
    """
    try:
        rows = logged_metrics(model)
    except ValueError:
        return None
    scorer.directions |= {name: mode for name, _, mode in rows if mode}
    names = [name for name, _, _ in rows]
    monitored = scorer.base_names()
    twice = [name for name, count in Counter(names).items() if count > 1]
    problems = []
    for name in twice:
        text = (
            f"Two metrics are logged as {name!r}, and Keras shows one of them only. "
            "Give each a name= of its own."
        )
        if name in monitored:
            raise MonitorError(text)
        problems.append(text)
    if not writes_own_logs(model):
        scorer.check({name: value for name, value, _ in rows}, _HINT)
        problems += scorer.doubtful_fields(names)
    elif type(model).get_metrics_result is keras.Model.get_metrics_result:
        problems += [
            f"{name!r} is none of the model's metrics: in the logs it is what the "
            "custom train_step or test_step returned for the last batch, not for the "
            "epoch. Update a keras.metrics.Mean in the step, and return its result."
            for name in sorted(monitored - set(names))
        ]
    return problems


def names_of_training(model: keras.Model) -> list[str]:
    """Return the names that training logs, as far as known in advance."""
    try:
        return [name for name, _, _ in logged_metrics(model)]
    except ValueError:
        plain, weighted, _ = keras_private.user_metrics(model)
        given = [str(getattr(one, "name", one)) for one in (*plain, *weighted)]
        return ["loss", *given]


def thresholds_of(model: keras.Model, prefix: str) -> dict[str, Any]:
    """Return the thresholds that metrics chose for their current state, by log name."""
    found: dict[str, Any] = {}
    for name, metric in _named(model, _chooses):
        with contextlib.suppress(ArgumentError):  # A view without one.
            found[prefix + name] = written(metric.threshold())
    return found


def intervals_of(
    model: keras.Model, prefix: str, wanted: Collection[str]
) -> dict[str, Any]:
    """Return the intervals of the metrics that are monitored, by log name."""
    found: dict[str, Any] = {}
    if not wanted:
        return found
    for name, metric in _named(model, lambda one: isinstance(one, HasInterval)):
        if prefix + name in wanted:
            with contextlib.suppress(ArgumentError):  # Its state has no names.
                found[prefix + name] = metric.compute_interval(metric.state)
    return found


def check_intervals(
    model: keras.Model, scorer: Scorer, wanted: Collection[str]
) -> None:
    """Raise where a metric that `within=` monitors can have no interval."""
    if writes_own_logs(model):
        return
    names = {scorer.base_name(name): name for name in wanted}
    for name, metric in _named(model, lambda _: True) if names else ():
        known = isinstance(metric, HasInterval) and metric.has_interval()
        if name in names and not known:
            raise no_interval(names[name])


def _named(
    model: keras.Model, fits: Callable[[Any], bool]
) -> Iterator[tuple[str, Any]]:
    """Yield the metrics that fit, with their names in the logs."""
    for container in model.metrics:
        inner = keras_private.is_compile_metrics(container)
        metrics = container.metrics if inner else [container]
        if not any(fits(metric) for metric in metrics):
            continue
        names = list(container.result()) if inner else [container.name]
        if len(names) == len(metrics):
            both = zip(names, metrics, strict=True)
            yield from ((name, metric) for name, metric in both if fits(metric))


def _chooses(metric: Any) -> bool:
    """Return whether a metric chooses a threshold; usually it is an argument."""
    return isinstance(metric, HasThreshold) and callable(metric.threshold)


def writes_own_logs(model: keras.Model) -> bool:
    """Return whether the model itself decides the names in the logs."""
    return any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("train_step", "test_step", "get_metrics_result")
    )


def logged_metrics(model: keras.Model) -> list[tuple[str, Any, Mode | None]]:
    """Return `(name in the logs, value, which way is better)`, as Keras will log.

    Before TensorFlow's first batch the metrics are not built: a ValueError.
    """
    losses = keras_private.compile_loss(model)
    if losses is not None and not losses.built:
        raise ValueError("The losses, and with them their names, are not built yet.")
    of_outputs = {id(metric) for metric in (losses.metrics if losses else ())}
    found: list[tuple[str, Any, Mode | None]] = []
    for metric in model.metrics:
        result = metric.result()
        if keras_private.is_compile_metrics(metric):
            # In the same order; fewer names than metrics if one hides another.
            modes = [direction_of(owner) for owner in metric.metrics]
            hidden = len(modes) - len(result)
            if hidden:
                modes = [None] * len(result)
                found += _hiding(result, hidden)
            for (name, value), mode in zip(result.items(), modes, strict=True):
                found += _flat(name, value, mode)
        else:
            mode = "min" if id(metric) in of_outputs else direction_of(metric)
            found += _flat(str(metric.name), result, mode)
    return found


def _hiding(
    result: Mapping[str, Any], hidden: int
) -> list[tuple[str, Any, Mode | None]]:
    """Repeat the names that Keras's numbering gave twice: `a, a, a_1`."""
    numbered = [name for name in result if re.search(r"_\d+$", name)]
    return [(name, result[name], None) for name in numbered[-hidden:]]


def _flat(
    name: str, value: Any, mode: Mode | None
) -> list[tuple[str, Any, Mode | None]]:
    """Drop the name of a metric whose result is a dictionary, as Keras does."""
    if not isinstance(value, dict):
        return [(name, value, mode)]
    # One object cannot have a direction for each of its results.
    return [row for key, each in value.items() for row in _flat(str(key), each, None)]
