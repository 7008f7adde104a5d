"""How the members of a group notice that they got different batches."""

import weakref
from typing import Any

import keras
import numpy as np
from keras import ops

from multiback.keras_private import in_stateless_scope

# On torch, Keras tries all metrics on made-up data, and once more after an error in one
# of them: the metrics before it have then seen more than those after it.
TRIES_TWICE = keras.backend.backend() == "torch"


class Seen:
    """How often a metric was updated, and its last batch.

    This happens in Python, so once a step outside of a compiled function and once a
    trace inside of one. The last batch of a group is held until the next one comes or
    the metric is reset: a different object may hold the same numbers.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.last: list[Any] = []

    def add(self, *values: Any) -> None:
        """Remember one update."""
        if TRIES_TWICE and in_stateless_scope():
            return
        self.calls += 1
        self.last = [_held(value) for value in values if value is not None]

    def forget(self) -> None:
        """Release the last batch."""
        self.last = []

    def covers(self, other: "Seen") -> bool:
        """Return whether every batch of `other` came here too."""
        if self.calls < other.calls:
            return False
        if not self.last or not other.last:
            return True
        return len(self.last) == len(other.last) and all(
            map(_are_same, self.last, other.last)
        )


def _held(value: Any) -> Any:
    """Return what to compare: the value, or in a trace a reference.

    A tracer must not outlive its trace.
    """
    if TRIES_TWICE or not ops.is_tensor(value) or _is_known(value):
        return value
    return weakref.ref(value)


def _is_known(value: Any) -> bool:
    try:
        ops.convert_to_numpy(value)
    except (AttributeError, NotImplementedError, TypeError):
        return False
    return True


def _are_same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    # An object has one weak reference of this kind. Two tracers cannot be compared.
    if isinstance(a, weakref.ref) or isinstance(b, weakref.ref):
        return False
    one, two = (np.asarray(ops.convert_to_numpy(x)) for x in (a, b))
    return np.array_equal(one, two, equal_nan=one.dtype.kind == "f")
