"""How the members of a group find one another again, and notice a lost owner.

Keras makes each metric of a saved model again by itself, in the order of the
list, and tells it nothing of the others. Each member's config carries the id of
its group, and a view's config the whole owner. Members that are made one after
another belong together until one of them comes a second time (the next load) or
one of them is used. Whoever needs the owner first makes it; the owner's own
config then gets that same object.
"""

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import keras

from multiback.keras_private import in_stateless_scope

Owner = TypeVar("Owner")

OWNER = -1  # Views have the numbers from 0.

# On torch, Keras tries all metrics on made-up data, and once more after an error in
# one of them: those in front of it have then seen more than those behind.
TRIES_TWICE = keras.backend.backend() == "torch"


@dataclasses.dataclass
class _Load:
    """One group that is being made again."""

    owner: Any
    arrived: set[int]


# The owner is held weakly: a load that nobody kept must not live on here.
_loads: dict[str, _Load] = {}


def _open_load(group: str, member: int, make_owner: Callable[[], Owner]) -> Owner:
    load = _loads.get(group)
    owner = None if load is None else load.owner()
    if load is None or owner is None or member in load.arrived or owner.seen.closed:
        owner = make_owner()
        load = _loads[group] = _Load(weakref.ref(owner), set())
    load.arrived.add(member)
    made: Owner = owner
    return made


def join_as_owner(group: str, make_owner: Callable[[], Owner]) -> Owner:
    """Return the owner of the load that is going on, made here if need be."""
    return _open_load(group, OWNER, make_owner)


def join_as_view(group: str, number: int, make_owner: Callable[[], Owner]) -> Owner:
    """Return the owner that view `number` of a group reads."""
    return _open_load(group, number, make_owner)


class Seen:
    """How often a metric was updated, and with which objects last.

    `closed` says that the metric or a view of it is in use, which ends its load.

    This happens in Python, so once a step outside of a compiled function and
    once a trace inside of one: members that are compiled together are equal.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.closed = False
        self.last: list[Any] = []

    def add(self, *values: Any) -> None:
        """Remember one update, holding its arguments weakly."""
        if TRIES_TWICE and in_stateless_scope():
            return
        self.calls += 1
        self.closed = True
        try:
            self.last = [weakref.ref(value) for value in values if value is not None]
        except TypeError:  # Among them is a list or a number.
            self.last = [_reference(value) for value in values if value is not None]

    def covers(self, other: "Seen") -> bool:
        """Tell whether whatever `other` was given came here too."""
        # An object has one weak reference of this kind, so that `is` compares.
        return other.calls == 0 or (
            self.calls >= other.calls
            and len(self.last) == len(other.last)
            and all(a is b for a, b in zip(self.last, other.last, strict=True))
        )


def _reference(value: Any) -> Any:
    try:
        return weakref.ref(value)
    except TypeError:
        return None
