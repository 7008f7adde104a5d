"""Which variables a model has, in an order that is the same after a reload.

Position is the key and the path is a hint, because paths change:
`net/d1/kernel` is `d1/kernel` after a reload and `adam` becomes `adam_2`.
Optimizer slots are told apart by the model variable that owns them, so that a
changed `layer.trainable` is noticed instead of shifting every slot by some.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from multiback.errors import ArgumentError, StateError

GROUPS = ("weights", "seeds", "optimizer", "metrics")


@dataclass(frozen=True)
class Entry:
    """One variable with its place: what an index entry says, and the variable."""

    key: str
    group: str
    variable: Any
    owner: int | None = None
    slot: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the JSON-able index entry."""
        entry: dict[str, Any] = {
            "key": self.key,
            "group": self.group,
            "path": str(self.variable.path),
            "shape": [int(size) for size in self.variable.shape],
            "dtype": str(self.variable.dtype),
        }
        if self.slot is not None:
            entry["slot"] = self.slot
        if self.owner is not None:
            entry["owner"] = self.owner
        return entry


def entries(model: keras.Model) -> dict[str, list[Entry]]:
    """List a built model's variables by group, each variable once.

    Args:
        model: A built `keras.Model`, compiled or not.

    Returns:
        A list for each of `"weights"`, `"seeds"`, `"optimizer"`, `"metrics"`.

    Raises:
        ArgumentError: `model` is no Keras model.
        StateError: The model has no variables yet because it is not built.
    """
    check_model(model)
    weights = _distinct(model.weights)
    metrics = _distinct(model.metrics_variables)
    taken = {id(variable) for variable in (*weights, *metrics)}
    seeds = [v for v in _distinct(model.variables) if id(v) not in taken]
    optimizer = optimizer_of(model)
    slots = [] if optimizer is None else _distinct(optimizer.variables)
    owners = owned_slots(
        [str(v.name) for v in slots],
        [str(v.path) for v in weights],
        [bool(v.trainable) for v in weights],
    )
    return {
        "weights": _keyed("weights", weights),
        "seeds": _keyed("seeds", seeds),
        "optimizer": [
            Entry(f"optimizer/{i:04d}", "optimizer", v, owner, slot)
            for i, (v, (owner, slot)) in enumerate(zip(slots, owners, strict=True))
        ],
        "metrics": _keyed("metrics", metrics),
    }


def check_model(model: Any) -> None:
    """Raise unless `model` is a built Keras model."""
    if not isinstance(model, keras.Model):
        raise ArgumentError(
            "model= wants a Keras model, or a mapping of arrays by name, not "
            f"{type(model).__name__}. Pass its arrays, such as {{'coef': array}}."
        )
    if not model.built:
        raise StateError(
            f"The model {model.name!r} is not built, so it has no variables yet. "
            "Call it on one batch or call model.build(input_shape) first."
        )


def optimizer_of(model: keras.Model) -> Any | None:
    """Return the compiled optimizer; None where the model has none.

    A model from `load_model(compile=False)` has no such attribute at all.
    """
    return getattr(model, "optimizer", None)


def owned_slots(
    names: Iterable[str], paths: Iterable[str], trainable: Iterable[bool]
) -> list[tuple[int | None, str]]:
    """Find the model variable behind each optimizer variable, by Keras's naming.

    A slot is named after its variable's path with `_` for `/`, then the slot's
    own name. The longest path that fits wins; where several variables share a
    path they are taken in turn, those that train first.

    Args:
        names: The optimizer variables' names, in order.
        paths: The model variables' paths, in order.
        trainable: Whether each model variable trains.

    Returns:
        `(position of the owner or None, slot name)` for each name.

    >>> owned_slots(
    ...     ["iteration", "net_d_kernel_momentum", "net_d_kernel_velocity"],
    ...     ["net/d/kernel", "net/d/bias"],
    ...     [True, True],
    ... )
    [(None, 'iteration'), (0, 'momentum'), (0, 'velocity')]
    """
    places: dict[str, list[int]] = defaultdict(list)
    flags = list(trainable)
    for position, path in enumerate(paths):
        places[path.replace("/", "_")].append(position)
    for positions in places.values():
        positions.sort(key=lambda position: not flags[position])
    seen: dict[str, int] = defaultdict(int)
    found: list[tuple[int | None, str]] = []
    for name in names:
        stem, _, tail = name.rpartition("_")
        while stem and stem not in places:
            stem, _, part = stem.rpartition("_")
            tail = f"{part}_{tail}"
        if not stem:
            # An unnamed variable is numbered by what the process made before it.
            found.append((None, without_number(name)))
            continue
        positions = places[stem]
        found.append((positions[seen[name] % len(positions)], tail))
        seen[name] += 1
    return found


def without_number(path: str) -> str:
    """Drop the numbers that a second object in one process adds to its names.

    >>> without_number("variable_4"), without_number("precision_1/counts")
    ('variable', 'precision/counts')
    """
    return re.sub(r"_\d+(?=/|$)", "", path)


def _keyed(group: str, variables: Iterable[Any]) -> list[Entry]:
    """Number a group's variables."""
    return [Entry(f"{group}/{i:04d}", group, v) for i, v in enumerate(variables)]


def _distinct(variables: Iterable[Any]) -> list[Any]:
    """Drop repeats by identity, as a shared layer or seed generator causes."""
    return list({id(variable): variable for variable in variables}.values())


def build_optimizer(model: keras.Model) -> None:
    """Create the optimizer's slots, which Keras leaves to the first batch."""
    optimizer = optimizer_of(model)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
