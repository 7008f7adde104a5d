"""Counting by id in JAX, in place, and which values are known."""

from typing import Any

import jax

Array = Any


def is_known(value: Array) -> bool:
    """Return whether an array can be read now and here.

    Not while a compiled step is being written, nor if other processes hold a part.
    """
    return not isinstance(value, jax.core.Tracer) and value.is_fully_addressable


def add_at(count: Array, ids: Array, numbers: Array) -> Array:
    """Add a number to the low word of each id, which XLA does in place."""
    # By one index a number: by two it takes longer.
    flat = count.reshape(-1).at[ids + count.shape[1]].add(numbers)
    return flat.reshape(count.shape)
