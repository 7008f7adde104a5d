"""Run an update compiled: op by op, JAX compiles each operation for each shape."""

from collections.abc import Callable
from typing import Any

import jax

Update = Callable[[list[Any], list[Any]], list[Any]]


def compiled(update: Update) -> Update:
    """Compile a pure function; run it op by op if it reads values."""
    fast = jax.jit(update)

    def run(state: list[Any], batch: list[Any]) -> list[Any]:
        try:
            return list(fast(state, batch))
        except jax.errors.JAXTypeError:
            return update(state, batch)

    return run
