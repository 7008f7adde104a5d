"""JAX arrays whose shards lie in several processes, for `host.py`."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def gathered(value: Any) -> np.ndarray:
    """Gather an array on every process, at the same point in each."""
    return np.asarray(multihost_utils.process_allgather(value, tiled=True))


def key_data(key: Any) -> tuple[np.ndarray, str]:
    """Return a typed key's numbers, and the name of its generator."""
    return np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))


def key_from(data: np.ndarray, name: str) -> Any:
    """Make a typed key from its numbers."""
    return jax.random.wrap_key_data(data, impl=name)
