"""JAX: the processes of `jax.distributed.initialize`, and what each of them holds."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

# Private, but the only way to its store of keys without devices, whose collectives
# belong to the training; Orbax goes the same way. A test notices a change.
from jax._src.distributed import global_state

from multiback.distributed.ranks import Ranks
from multiback.store.format.tensor_file import Array
from multiback.store.sharded.regions import Box

# JAX ends a process whose peer is lost after 100 seconds unless told otherwise; this
# is for one that is there and does not answer.
TIMEOUT = 600.0


class ClientMessages:
    """Messages through the service with which the processes found each other."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, key: str, value: bytes) -> None:
        """Set a key that was never set."""
        self._client.key_value_set_bytes(key, value)

    def take(self, key: str) -> bytes | None:
        """Return a key's value; None while it has none."""
        try:
            return bytes(self._client.key_value_try_get_bytes(key))
        except jax.errors.JaxRuntimeError as error:
            if "NOT_FOUND" in str(error):
                return None
            raise

    def drop(self, key: str) -> None:
        """Delete a key."""
        self._client.key_value_delete(key)


def ranks() -> Ranks | None:
    """Return the processes of `jax.distributed`; None where there is one."""
    if not jax.distributed.is_initialized():
        return None
    size = jax.process_count()
    if size == 1:
        return None
    return Ranks(
        ClientMessages(global_state.client), jax.process_index(), size, TIMEOUT
    )


def boxes(like: Any) -> list[Box]:
    """Return which parts of an array the devices of this process hold, each once."""
    shape = like.shape
    found = like.sharding.addressable_devices_indices_map(shape).values()
    return list(dict.fromkeys(_box(index, shape) for index in found))


def build(like: Any, boxes: Sequence[Box], parts: Sequence[Array]) -> Any:
    """Make an array that is divided as another is, from this process's parts."""
    held = dict(zip(boxes, parts, strict=True))

    def part(index: Any) -> Array:
        # A copy for each device: a part may be taken over, and donated later.
        return np.array(held[_box(index, like.shape)])

    return jax.make_array_from_callback(like.shape, like.sharding, part)


def _box(index: Any, shape: Sequence[int]) -> Box:
    """Return an index of slices as a box."""
    return tuple(
        each.indices(size)[:2] for each, size in zip(index, shape, strict=True)
    )
