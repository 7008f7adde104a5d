"""Restore what is divided among processes: each reads the parts that it holds.

A kernel that lies on the devices of several processes is no one's as a whole. So that
nobody reads all of it, or has all of it in memory, its parts are read, verified and put
onto the devices; the rest of the state goes the way of every state.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from multiback.state import Placed, is_sharded
from multiback.store import Checkpoint
from multiback.store.format.tensor_file import Array
from multiback.store.sharded.regions import Box

# Who knows how an array is divided, by the library that its class is from.
_MODULES = {
    "torch": "multiback.distributed.torch",
    "jax": "multiback.distributed.jax",
    "jaxlib": "multiback.distributed.jax",
}


class Divider(Protocol):
    """Know how the arrays of a framework are divided: a module of an engine."""

    def boxes(self, like: Any) -> list[Box] | None:
        """Return which parts of an array this process holds; None if nobody tells."""

    def build(self, like: Any, boxes: Sequence[Box], parts: Sequence[Array]) -> Any:
        """Make an array that is divided as another is, from this process's parts."""


class Held:
    """A state as far as this process needs it.

    Args:
        whole: Arrays that this process has whole.
        placed: The divided ones, with this process's parts on its devices.
    """

    def __init__(self, whole: dict[str, Array], placed: dict[str, Placed]) -> None:
        self.whole = whole
        self.placed = placed


def read_held(
    checkpoint: Checkpoint, index: Sequence[Mapping[str, Any]], likes: Mapping[str, Any]
) -> Held:
    """Read a checkpoint's arrays, of those that are divided this process's parts.

    Args:
        checkpoint: Where they are.
        index: Says which shapes and dtypes they have.
        likes: What is to be restored, by its name in the checkpoint, if it is divided.
            What has another shape or dtype there, or none that is said, is read whole,
            for others to judge.

    Raises:
        CorruptCheckpointError: What is read is not what was written.
    """
    shapes = {
        entry["key"]: (tuple(entry["shape"]), entry["dtype"])
        for entry in index
        if "shape" in entry and "dtype" in entry
    }
    boxes: dict[str, list[Box]] = {}
    for key, like in likes.items():
        kind = tuple(map(int, like.shape)), str(like.dtype).removeprefix("torch.")
        if is_sharded(like) and shapes.get(key) == kind:
            found = _divider(like).boxes(like)
            if found is not None:
                boxes[key] = found
    if not boxes:
        return Held(checkpoint.tensors(), {})
    arrays, parts = checkpoint.tensors_in_parts(boxes)
    placed = {}
    for key, asked in boxes.items():
        value = _divider(likes[key]).build(likes[key], asked, parts.pop(key))
        shape, dtype = shapes[key]
        placed[key] = Placed(value, shape, np.dtype(dtype))
    return Held(arrays, placed)


def _divider(like: Any) -> Divider:
    library = type(like).__module__.partition(".")[0]
    return cast(Divider, importlib.import_module(_MODULES[library]))
