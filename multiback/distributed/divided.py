"""Restore sharded arrays; each process reads its own shards.

No process holds the whole of a kernel that is sharded over several processes. So that
no process reads all of it, or holds all of it in memory, its shards are read, verified
and put onto the devices; the rest of the state is restored as usual.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from multiback.state import DeviceValue, is_sharded
from multiback.store import Checkpoint
from multiback.store.format.tensor_file import Array
from multiback.store.sharded.regions import Region

# The module that knows how an array is sharded, by the library of its class.
_MODULES = {
    "torch": "multiback.distributed.torch",
    "jax": "multiback.distributed.jax",
    "jaxlib": "multiback.distributed.jax",
}


class Divider(Protocol):
    """Know how a framework's arrays are sharded: a module of a state writer."""

    def regions(self, like: Any) -> list[Region] | None:
        """Return this process's regions of an array; None if they are unknown."""

    def build(
        self, like: Any, regions: Sequence[Region], parts: Sequence[Array]
    ) -> Any:
        """Make an array sharded like another one, from this process's shards."""


class LocalState:
    """The part of a state that this process needs.

    Args:
        whole: Arrays that this process has whole.
        placed: The divided ones, with this process's parts on its devices.
    """

    def __init__(self, whole: dict[str, Array], placed: dict[str, DeviceValue]) -> None:
        self.whole = whole
        self.placed = placed


def read_held(
    checkpoint: Checkpoint, index: Sequence[Mapping[str, Any]], likes: Mapping[str, Any]
) -> LocalState:
    """Read a checkpoint's arrays, and only this process's shards of sharded ones.

    Args:
        checkpoint: Where they are.
        index: Says which shapes and dtypes they have.
        likes: The sharded targets, by name in the checkpoint. An array with another
            shape or dtype there, or without them, is read whole, for the caller to
            check.

    Raises:
        CorruptCheckpointError: The files are not as they were written.
    """
    shapes = {
        entry["key"]: (tuple(entry["shape"]), entry["dtype"])
        for entry in index
        if "shape" in entry and "dtype" in entry
    }
    regions: dict[str, list[Region]] = {}
    for key, like in likes.items():
        kind = tuple(map(int, like.shape)), str(like.dtype).removeprefix("torch.")
        if is_sharded(like) and shapes.get(key) == kind:
            found = _divider(like).regions(like)
            if found is not None:
                regions[key] = found
    if not regions:
        return LocalState(checkpoint.tensors(), {})
    arrays, parts = checkpoint.tensors_in_parts(regions)
    placed = {}
    for key, asked in regions.items():
        value = _divider(likes[key]).build(likes[key], asked, parts.pop(key))
        shape, dtype = shapes[key]
        placed[key] = DeviceValue(value, shape, np.dtype(dtype))
    return LocalState(arrays, placed)


def _divider(like: Any) -> Divider:
    library = type(like).__module__.partition(".")[0]
    return cast(Divider, importlib.import_module(_MODULES[library]))
