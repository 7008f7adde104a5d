"""Restore what is divided among processes: each reads the parts that it holds.

A kernel that lies on the devices of several processes is no one's as a whole. So that
nobody reads all of it, its parts are read first, verified and put onto the devices; the
rest of the state goes the way of every state, with a stand-in of the same shape for
what is divided; and then the parts take their places.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from multiback.state import is_sharded
from multiback.store import Checkpoint
from multiback.store.boxes import Box
from multiback.store.tensor_file import Array

# Who knows how an array is divided, by the library that its class is from.
_MODULES = {
    "torch": "multiback.engines.torch",
    "jax": "multiback.engines.jax",
    "jaxlib": "multiback.engines.jax",
}


class Divider(Protocol):
    """Know how the arrays of a framework are divided: a module of an engine."""

    def boxes(self, like: Any) -> list[Box] | None:
        """Return which parts of an array this process holds; None if nobody tells."""

    def build(self, like: Any, boxes: Sequence[Box], parts: Sequence[Array]) -> Any:
        """Make an array that is divided as another is, from this process's parts."""


class StandIn:
    """Say which shape and dtype an array has that is not there."""

    def __init__(self, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Return zeros that take no memory."""
        del dtype, copy
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


class Held:
    """A state as far as this process needs it.

    Args:
        arrays: Whole arrays, and stand-ins for those that are divided.
        made: The divided arrays, with this process's parts, by the same names.
    """

    def __init__(self, arrays: dict[str, Array], made: dict[str, Any]) -> None:
        self.arrays = arrays
        self.made = made


def read_held(
    checkpoint: Checkpoint, index: Sequence[Mapping[str, Any]], likes: Mapping[str, Any]
) -> Held:
    """Read a checkpoint's arrays, of those that are divided this process's parts.

    Args:
        checkpoint: Where they are.
        index: Says which shapes and dtypes they have.
        likes: What is to be restored, by its name in the checkpoint, if it is divided.
            What has another shape or dtype there is read whole, for others to judge.

    Raises:
        CorruptCheckpointError: What is read is not what was written.
    """
    shapes = {e["key"]: (tuple(e["shape"]), e["dtype"]) for e in index}
    boxes: dict[str, list[Box]] = {}
    for key, like in likes.items():
        kind = tuple(map(int, like.shape)), str(like.dtype).removeprefix("torch.")
        if is_sharded(like) and shapes.get(key) == kind:
            asked = _divider(like).boxes(like)
            if asked is not None:
                boxes[key] = asked
    if not boxes:
        return Held(checkpoint.tensors(), {})
    arrays, parts = checkpoint.tensors_in_parts(boxes)
    made = {
        key: _divider(likes[key]).build(likes[key], boxes[key], parts.pop(key))
        for key in boxes
    }
    for key in made:
        shape, dtype = shapes[key]
        arrays[key] = cast(Array, StandIn(shape, np.dtype(dtype)))
    return Held(arrays, made)


def _divider(like: Any) -> Divider:
    library = type(like).__module__.partition(".")[0]
    return cast(Divider, importlib.import_module(_MODULES[library]))
