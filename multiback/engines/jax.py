"""JAX: the processes of `jax.distributed.initialize`."""

from typing import Any

import jax

# Private, but the only way to its store of keys without devices, whose collectives
# belong to the training; Orbax goes the same way. A test notices a change.
from jax._src.distributed import global_state

from multiback.engines.ranks import Ranks

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
