"""Rewrite a Keras config so that it means the same under every backend.

Pure functions from one JSON-able config to another; nothing here makes objects.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from multiback.keras_private import KERAS_SOURCE

Config = dict[str, Any]

# Modules that may hold the public name of a serialisable Keras class.
_NAMESPACES = (
    "optimizers",
    "optimizers.schedules",
    "layers",
    "losses",
    "metrics",
    "initializers",
    "regularizers",
    "constraints",
    "dtype_policies",
    "quantizers",
    "models",
)


def portable(config: Mapping[str, Any]) -> Config:
    """Write public class names, plain JSON values and stable shared ids.

    Given what `keras.saving.serialize_keras_object` gave in this process, return a new
    config; equal models give equal ones. A value that is not JSON is a TypeError, one
    that contains itself a ValueError.
    """
    plain: Config = json.loads(json.dumps(config))
    return _renumbered(_rewritten(plain, _public))


def public_class(module: str, class_name: str) -> str | None:
    """Return the public module of a class of Keras's internals.

    Under torch `keras.optimizers.Adam(...)` is an object of a subclass that only torch
    can import; its config names that subclass, although any Adam can read it.

    >>> public_class("keras.src.layers.core.dense", "Dense")
    'keras.layers'
    >>> public_class("keras.src.models.functional", "Functional") is None
    True
    """
    kind = getattr(sys.modules.get(module), class_name, None)
    if not isinstance(kind, type):
        return None
    for namespace in _NAMESPACES:
        public: Any = keras
        for part in namespace.split("."):
            public = getattr(public, part)
        if getattr(public, class_name, None) in kind.__mro__:
            return f"keras.{namespace}"
    return None


def without_learning_rate(optimizer: Any) -> tuple[Any, float | None]:
    """Take the learning rate, where it is a number, out of an optimizer's config.

    It changes in training while the architecture stays the same, and is state:
    the optimizer's variables hold it. A schedule is code and stays. The number is None
    without one, or if several differ.

    >>> without_learning_rate({"config": {"learning_rate": 0.1}})
    ({'config': {'learning_rate': None}}, 0.1)
    """
    rates: list[float] = []

    def take(rate: Any) -> Any:
        if not isinstance(rate, float | int):
            return rate
        rates.append(float(rate))
        return None

    config = _rates_changed(optimizer, take)
    return config, rates[0] if len(set(rates)) == 1 else None


def with_learning_rate(optimizer: Any, rate: float) -> Any:
    """Put back the learning rate that `without_learning_rate` removed."""
    return _rates_changed(optimizer, lambda old: rate if old is None else old)


def _rates_changed(node: Any, change: Callable[[Any], Any]) -> Any:
    """Apply a change to the learning rate of each optimizer in a config."""
    if isinstance(node, dict):
        return {
            name: change(value)
            if name == "learning_rate"
            else _rates_changed(value, change)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_rates_changed(item, change) for item in node]
    return node


def objects_in(config: Any) -> Iterator[Config]:
    """Walk every serialised object inside a config, outermost first."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield dict(config)
        for value in config.values():
            yield from objects_in(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from objects_in(value)


def _public(node: Config) -> Config:
    """Name one serialised object by its public class."""
    module = node.get("module")
    if not isinstance(module, str) or not module.startswith(KERAS_SOURCE):
        return node
    public = public_class(module, str(node.get("class_name")))
    if public is None:
        return node
    return {**node, "module": public, "registered_name": None}


def _rewritten(node: Any, change: Callable[[Config], Config]) -> Any:
    """Apply a change to each dictionary of a config, innermost first."""
    if isinstance(node, dict):
        return change({name: _rewritten(value, change) for name, value in node.items()})
    if isinstance(node, list):
        return [_rewritten(item, change) for item in node]
    return node


def _renumbered(config: Config) -> Config:
    """Number shared objects in order of appearance; Keras numbers by address.

    An address can be reused while Keras serialises. Objects that share a number but not
    a config are unrelated and lose it.
    """
    seen: dict[int, list[Config]] = {}
    for node in objects_in(config):
        if "shared_object_id" in node:
            seen.setdefault(node["shared_object_id"], []).append(_bare(node))
    shared = [i for i, nodes in seen.items() if all(n == nodes[0] for n in nodes)]
    numbers = {old: new for new, old in enumerate(shared)}

    def number(node: Config) -> Config:
        if "shared_object_id" not in node:
            return node
        number = numbers.get(node["shared_object_id"])
        return _bare(node) if number is None else {**node, "shared_object_id": number}

    rewritten: Config = _rewritten(config, number)
    return rewritten


def _bare(node: Config) -> Config:
    """Drop an object's shared id."""
    return {name: value for name, value in node.items() if name != "shared_object_id"}
