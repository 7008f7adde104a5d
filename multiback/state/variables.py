"""The variables of a model, in an order that is the same after a reload.

Position is the key and the path is a hint, because paths change: `net/d1/kernel` is
`d1/kernel` after a reload and `adam` becomes `adam_2`. The way to each variable through
attributes and containers is stored too, because positions change if a program makes its
layers in another order. Optimizer slots are identified by the model variable that owns
them, so a changed `layer.trainable` is noticed instead of shifting the slots.
"""

import itertools
import re
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from multiback.errors import ArgumentError, StateError
from multiback.keras_private import Part, own_variables, parts_of, seed_states
from multiback.state.host import host_view

GROUPS = ("weights", "seeds", "optimizer", "metrics")


@dataclass(frozen=True)
class Place:
    """How a variable is reached from its model.

    Attributes:
        way: Attributes, keys and places in lists, down to the variable's name.
        name: The names that the user gave on the way, or "".
        listed: Whether a place in a list is on the way.
    """

    way: str
    name: str
    listed: bool


@dataclass(frozen=True)
class Entry:
    """One variable with its place and the fields of its index entry.

    Attributes:
        key: The name of its array.
        group: One of `GROUPS`.
        variable: The variable.
        owner: For a slot: the position of the weight that it belongs to.
        slot: The content of the slot.
        optimizer: The way to an optimizer other than the compiled one.
        place: How a weight or a seed is reached; None if the walk does not find it.
        kind: For the first variable of an optimizer: its `optimizer_kind`.
    """

    key: str
    group: str
    variable: Any
    owner: int | None = None
    slot: str | None = None
    optimizer: str | None = None
    place: Place | None = None
    kind: str | None = None

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
        if self.optimizer is not None:
            entry["optimizer"] = self.optimizer
        if self.kind is not None:
            entry["class"] = self.kind
        if self.place is not None:
            entry["way"] = self.place.way
            if self.place.name:
                entry["name"] = self.place.name
        return entry


def entries(model: keras.Model) -> dict[str, list[Entry]]:
    """List a built model's variables by group, each variable once.

    There is a list for each of `"weights"`, `"seeds"`, `"optimizer"`, `"metrics"`.
    """
    check_model(model)
    weights = _distinct(model.weights)
    metrics = _distinct(model.metrics_variables)
    taken = {id(variable) for variable in (*weights, *metrics)}
    seeds = [v for v in _distinct(model.variables) if id(v) not in taken]
    places = _places_of(model, [*weights, *seeds])
    return {
        "weights": _keyed("weights", weights, places),
        "seeds": _keyed("seeds", seeds, places),
        "optimizer": [
            entry
            for number, (way, optimizer) in enumerate(optimizers_of(model))
            for entry in _slots(number, way, optimizer, weights)
        ],
        "metrics": _keyed("metrics", metrics, {}),
    }


def _slots(
    number: int, way: str | None, optimizer: Any, weights: Sequence[Any]
) -> list[Entry]:
    """List one optimizer's variables."""
    slots = _distinct(optimizer.variables)
    owners = owned_slots(
        [str(v.name) for v in slots],
        [str(v.path) for v in weights],
        [bool(v.trainable) for v in weights],
    )
    folder = "optimizer" if way is None else f"optimizer.{number}"
    return [
        Entry(
            f"{folder}/{i:04d}",
            "optimizer",
            variable,
            owner,
            slot,
            way,
            kind=None if i else optimizer_kind(optimizer),
        )
        for i, (variable, (owner, slot)) in enumerate(zip(slots, owners, strict=True))
    ]


def _advice(model: Any) -> str:
    """Return what to pass in place of a model of another library."""
    if callable(getattr(model, "state_dict", None)):
        return "Pass its state, such as {'net': net.state_dict()}."
    return "Pass its arrays, such as {'coef': array}."


def check_model(model: Any) -> None:
    """Raise unless `model` is a built Keras model."""
    if not isinstance(model, keras.Model):
        raise ArgumentError(
            "model= wants a Keras model, or a mapping of arrays by name, not "
            f"{type(model).__name__}. {_advice(model)}"
        )
    if not model.built:
        raise StateError(
            f"The model {model.name!r} is not built, so it has no variables yet. "
            "Call it on one batch or call model.build(input_shape) first."
        )


def optimizer_of(model: keras.Model) -> Any | None:
    """Return the compiled optimizer, or None.

    A model from `load_model(compile=False)` has no such attribute.
    """
    return getattr(model, "optimizer", None)


def optimizers_of(model: keras.Model) -> list[tuple[str | None, Any]]:
    """Return the compiled optimizer, then those that are attributes, with their way.

    They are found as Keras's own saving finds them. The compiled one has no way.
    """
    own = optimizer_of(model)
    inside = getattr(own, "inner_optimizer", None)
    others: list[tuple[str | None, Any]] = [
        (part.way, part.value)
        for part in walk(model)
        if isinstance(part.value, keras.optimizers.Optimizer)
        and part.value is not own
        and part.value is not inside
    ]
    return others if own is None else [(None, own), *others]


def optimizer_kind(optimizer: Any) -> str:
    """Return the class of Keras whose step an optimizer makes.

    AdamW makes Adam's step, and so does a user's subclass, which may be renamed. One
    that is the user's own throughout is an "Optimizer".
    """
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        return f"LossScaleOptimizer({optimizer_kind(inner)})"
    kind = next(
        one.__name__
        for one in type(optimizer).__mro__
        if one.__module__.startswith("keras.") and "update_step" in vars(one)
    )
    return kind.removeprefix("Base")


def has_stepped(entries_of_one: Iterable[Entry]) -> bool:
    """Return whether an optimizer has made a step, or has started to accumulate one."""
    counts = [one.variable for one in entries_of_one if one.slot == "iteration"]
    return not counts or any(int(np.asarray(host_view(v.value))) for v in counts)


# Result of the walk below a model, while it has the same parts and variables: the walk
# takes 1 ms a layer, and each checkpoint needs an index.
_WALKED: weakref.WeakKeyDictionary[Any, tuple[tuple[int, ...], list[Part]]] = (
    weakref.WeakKeyDictionary()
)


def walk(model: keras.Model) -> list[Part]:
    """Return the model and each layer and optimizer below it, as Keras saves them."""
    held = {**vars(model), **vars(model).get("_modules", {})}.values()
    parts = [id(v) for v in held if isinstance(v, keras.Layer | keras.Optimizer)]
    mark = (*parts, *map(id, model.variables))
    known = _WALKED.get(model)
    if known is None or known[0] != mark:
        # Without the model itself, which would then never be freed.
        known = _WALKED[model] = (mark, parts_of(model)[1:])
    return [Part(model, "", "", "", listed=False), *known[1]]


def _places_of(model: keras.Model, wanted: Sequence[Any]) -> Mapping[int, Place]:
    """Return the place of each variable by its id, if the walk finds it."""
    known = {id(variable) for variable in wanted}
    places: dict[int, Place] = {}
    for part in walk(model):
        if isinstance(part.value, keras.Layer):
            for name, variable in _named(part.value):
                if id(variable) in known:
                    way, given = (
                        "/".join(filter(None, (above, name)))
                        for above in (part.way, part.name)
                    )
                    place = Place(way, given if part.name else "", part.listed)
                    places.setdefault(id(variable), place)
    return places


def _named(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield a layer's own variables and seeds, each with a unique name."""
    own = own_variables(layer)
    count = Counter(str(variable.name) for variable in own)
    for position, variable in enumerate(own):
        name = str(variable.name)
        # Keras numbers unnamed variables by a count of the whole process.
        is_given = count[name] == 1 and not re.fullmatch(r"variable(_\d+)?", name)
        yield (name if is_given else str(position)), variable
    for position, state in enumerate(seed_states(layer)):
        yield f"seed_generators/{position}", state


def saved_entries(
    source: Any, *, weights_only: bool = False, metrics: bool = True
) -> list[Entry]:
    """List the variables that a checkpoint of a model or of an optimizer has.

    An optimizer without a step has no entry for a weight if `build` would not make
    its slots again.
    """
    if isinstance(source, keras.optimizers.Optimizer):
        return _used(optimizer_entries(source))
    groups = entries(source)
    if weights_only:
        groups = {"weights": groups["weights"], "seeds": groups["seeds"]}
    else:
        groups["optimizer"] = [
            one
            for _, each in itertools.groupby(groups["optimizer"], lambda e: e.optimizer)
            for one in _used(list(each))
        ]
    if not metrics:
        groups.pop("metrics", None)
    return [entry for group in groups.values() for entry in group]


def optimizer_entries(optimizer: Any) -> list[Entry]:
    """List the variables of an optimizer without a model.

    No model says which weight owns a slot: the slots are owned by their position.
    """
    own = ("iteration", "learning_rate")
    return [
        Entry(
            f"optimizer/{i:04d}",
            "optimizer",
            variable,
            None if variable.name in own else i,
            str(variable.name) if variable.name in own else "slot",
            kind=None if i else optimizer_kind(optimizer),
        )
        for i, variable in enumerate(_distinct(optimizer.variables))
    ]


def _used(optimizer: list[Entry]) -> list[Entry]:
    """Leave out the slots of an optimizer that has made no step."""
    if has_stepped(optimizer):
        return optimizer
    return [one for one in optimizer if one.owner is None]


def owned_slots(
    names: Iterable[str], paths: Iterable[str], trainable: Iterable[bool]
) -> list[tuple[int | None, str]]:
    """Find the model variable behind each optimizer variable, by Keras's naming.

    A slot is named after its variable's path with `_` for `/`, then the slot's
    own name. The longest path that fits wins; where several variables share a
    path they are taken in turn, those that train first. All are in order; the owner
    may be None.

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
            # Keras numbers an unnamed variable by a count of the whole process.
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


def _keyed(
    group: str, variables: Iterable[Any], places: Mapping[int, Place]
) -> list[Entry]:
    """Number a group's variables."""
    return [
        Entry(f"{group}/{i:04d}", group, v, place=places.get(id(v)))
        for i, v in enumerate(variables)
    ]


def _distinct(variables: Iterable[Any]) -> list[Any]:
    """Drop repeats by identity: layers and seed generators may be shared."""
    return list({id(variable): variable for variable in variables}.values())


def build_optimizer(model: keras.Model) -> None:
    """Create the optimizer's slots, which Keras creates in the first batch."""
    optimizer = optimizer_of(model)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
