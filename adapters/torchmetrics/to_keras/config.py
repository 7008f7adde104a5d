"""Write a torchmetrics metric as a class and its arguments, and make it again.

torchmetrics does not record the arguments, but nearly every class stores each as an
attribute of the same name. The attributes are trusted only if a metric made from them
has the same attributes.
"""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import keras

from multiback.adapters.torchmetrics.libraries import load_torchmetrics
from multiback.errors import ArgumentError

Config = dict[str, Any]

# Arguments that every torchmetrics metric takes and a config can hold.
_COMMON = (
    "compute_on_cpu",
    "dist_sync_on_step",
    "sync_on_compute",
    "compute_with_cache",
)
# Attributes that record a metric's history, not its settings.
_HISTORY = {
    "_backward_hooks",
    "_cache",
    "_computed",
    "_device",
    "_forward_cache",
    "_is_synced",
    "_should_unsync",
    "_to_sync",
    "_update_count",
    "_update_signature",
    "training",
}


def to_config(metric: Any) -> Config:
    """Write a metric as plain values."""
    cls = type(metric)
    arguments = dict(_arguments(metric))
    try:
        again = _make(cls, arguments)
    except Exception as error:
        raise _unwritable(metric, f"{type(error).__name__}: {error}") from error
    different = _differences(metric, again)
    if different:
        raise _unwritable(metric, f"{', '.join(different)} would differ")
    name = f"{cls.__module__}.{cls.__qualname__}"
    return {"class_name": name, "arguments": arguments}


def from_config(config: Config) -> Any:
    """Make the metric that a config describes, with no data in it."""
    torchmetrics = load_torchmetrics("as_keras()")
    module, _, name = config["class_name"].rpartition(".")
    cls: Any
    if module.split(".")[0] == "torchmetrics":
        cls = getattr(importlib.import_module(module), name)
    else:
        cls = keras.saving.get_registered_object(name)
        if cls is None:
            raise ArgumentError(
                f"{config['class_name']} is not a class of torchmetrics. If it is "
                f'yours, load with custom_objects={{"{name}": {name}}}.'
            )
    # A config may come from any file: only metrics are made.
    if not (isinstance(cls, type) and issubclass(cls, torchmetrics.Metric)):
        raise ArgumentError(f"{config['class_name']} is not a torchmetrics.Metric.")
    return _make(cls, config["arguments"])


def _make(cls: Any, arguments: Config) -> Any:
    return cls(
        **{
            key: from_config(value) if _is_config(value) else value
            for key, value in arguments.items()
        }
    )


def _is_config(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"class_name", "arguments"}


def _arguments(metric: Any) -> Iterator[tuple[str, Any]]:
    """Read each argument of the constructor from the attribute of its name."""
    torchmetrics = load_torchmetrics("as_keras()")
    parameters = inspect.signature(type(metric).__init__).parameters.values()
    for parameter in parameters:
        if parameter.kind == parameter.VAR_KEYWORD:
            for name in _COMMON:
                default = name in ("sync_on_compute", "compute_with_cache")
                if getattr(metric, name) is not default:
                    yield name, getattr(metric, name)
        elif hasattr(metric, parameter.name) and parameter.name != "self":
            value = getattr(metric, parameter.name)
            if isinstance(value, torchmetrics.Metric):
                yield parameter.name, to_config(value)
            else:
                yield parameter.name, _plain(metric, parameter.name, value)


def _plain(metric: Any, name: str, value: Any) -> Any:
    """Return a value that JSON can hold."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(metric, name, each) for each in value]
    raise _unwritable(metric, f"{name}={value!r} is no plain value")


def _differences(metric: Any, again: Any) -> list[str]:
    """Return the names of the attributes that differ."""
    mine, theirs = _attributes(metric), _attributes(again)
    return sorted(
        name
        for name in mine.keys() | theirs.keys()
        if mine.get(name) != theirs.get(name)
    )


def _attributes(metric: Any) -> dict[str, Any]:
    """Return a metric's settings, without its data, as comparable values."""
    states = set(metric._defaults)  # noqa: SLF001 - the only list of the states
    return {
        name: _comparable(value)
        for name, value in vars(metric).items()
        if name not in states and name not in _HISTORY
    }


def _comparable(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _comparable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(each) for each in value]
    if hasattr(value, "_defaults"):
        return _attributes(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # A function: its name; bound or wrapped functions differ by identity only.
    return getattr(value, "__qualname__", type(value).__qualname__)


def _unwritable(metric: Any, reason: str) -> ArgumentError:
    return ArgumentError(
        f"{type(metric).__name__} cannot be written to a config ({reason}), so a model "
        "compiled with it cannot be saved whole. Leave it out of compile for saving, "
        "save weights only, or store each argument of the constructor under its name."
    )
