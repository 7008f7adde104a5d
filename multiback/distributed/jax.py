"""JAX: the processes of `jax.distributed.initialize`, and their shards."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

# Private, but only this reaches JAX's key-value store. Collective operations would use
# the devices, which belong to the training. Orbax reads it too; a test finds changes.
from jax._src.distributed import global_state

from multiback.distributed.ranks import Ranks
from multiback.store.format.tensor_file import Array
from multiback.store.sharded.regions import Region

# JAX ends a process whose peer is lost after 100 seconds by default; this time-out is
# for a process that runs and does not answer.
TIMEOUT = 600.0


class ClientMessages:
    """Messages through the service that connected the processes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, key: str, value: bytes) -> None:
        """Set a new key."""
        self._client.key_value_set_bytes(key, value)

    def take(self, key: str) -> bytes | None:
        """Return a key's value; None before it is set."""
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


def regions(like: Any) -> list[Region]:
    """Return the regions of an array on this process's devices, each once."""
    shape = like.shape
    found = like.sharding.addressable_devices_indices_map(shape).values()
    return list(dict.fromkeys(_region(index, shape) for index in found))


def build(like: Any, regions: Sequence[Region], parts: Sequence[Array]) -> Any:
    """Make an array sharded like another one, from this process's shards."""
    held = dict(zip(regions, parts, strict=True))

    def part(index: Any) -> Array:
        # A copy for each device: JAX may take a shard over, and donate it later.
        return np.array(held[_region(index, like.shape)])

    return jax.make_array_from_callback(like.shape, like.sharding, part)


def _region(index: Any, shape: Sequence[int]) -> Region:
    """Return an index of slices as a region."""
    return tuple(
        each.indices(size)[:2] for each, size in zip(index, shape, strict=True)
    )
