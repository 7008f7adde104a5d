"""Leave a compiled step of JAX and return, by a callback.

The order of updates follows from the data: each takes the count that the previous one
returned. `ordered=True` would add a token that all ordered callbacks of the process
share; one error would make every later step fail with it, and a program of several
devices has no such token.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import io_callback


def run(
    function: Callable[..., tuple[int, Any]], count: Any, arrays: list[Any], width: int
) -> tuple[Any, Any]:
    """Call a function of `(count, *arrays)` on the host, now or inside a step."""

    def call(count: Any, *arrays: Any) -> tuple[Any, Any]:
        # Copies: the buffers are JAX's and live only during this call.
        batches, values = function(int(count), *(np.array(each) for each in arrays))
        return np.int32(batches), np.array(values)

    result = (
        jax.ShapeDtypeStruct((), "int32"),
        jax.ShapeDtypeStruct((width,), "float32"),
    )
    new_count, values = io_callback(call, result, count, *arrays)
    return new_count, values


def in_step(count: Any) -> bool:
    """Return whether values are not known yet, because a step is traced."""
    return isinstance(count, jax.core.Tracer)
