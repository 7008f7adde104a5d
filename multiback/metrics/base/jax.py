"""Compile what JAX would otherwise compile operation by operation."""

from collections.abc import Callable
from typing import Any

import jax


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as one compiled call."""
    return jax.jit(function)


def mapped(function: Callable[[Any], Any], states: Any, _rows: Any) -> Any:
    """Return what the function makes of many states, one after the other."""
    return jax.lax.map(function, states)
