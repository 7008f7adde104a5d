"""Leave a compiled step of JAX and return, by a callback.

The order of updates follows from the data: each takes the count that the previous one
returned. `ordered=True` would add a token that all ordered callbacks of the process
share; one error would make every later step fail with it, and a program of several
devices has no such token.
"""

import functools
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import io_callback

from multiback.adapters.bridge.xla_call import Call, handler, takes

_TARGET = "multiback_update"
# By a number that the compiled step holds.
_CALLS: weakref.WeakValueDictionary[int, Call] = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


def run(
    function: Callable[..., tuple[Any, ...]],
    count: Any,
    arrays: list[Any],
    width: int | None,
    kept: list[Any],
) -> tuple[Any, ...]:
    """Call a function of `(count, *arrays)` on the host, now or inside a step.

    It returns the new count and, unless `width` is None, so many values. `kept` gets
    what has to live as long as the step.
    """
    given = [count, *arrays]
    if not any(isinstance(each, jax.core.Tracer) for each in given):
        return function(int(count), *(np.array(each) for each in arrays))
    result = [jax.ShapeDtypeStruct((), "int32")]
    if width is not None:
        result.append(jax.ShapeDtypeStruct((width,), "float32"))
    if _is_one_cpu() and all(takes(each.dtype) for each in given):
        number = next(_NUMBERS)
        kept.append(Call(function, given, result))
        _CALLS[number] = kept[-1]
        called = jax.ffi.ffi_call(_registered(), result)(np.int32(number), *given)
        return tuple(called)

    def host(*arrays: Any) -> list[Any]:
        # Copies: the buffers are JAX's and live only during this call.
        results = function(*(np.array(each) for each in arrays))
        return [
            np.array(each, of.dtype) for each, of in zip(results, result, strict=True)
        ]

    return tuple(io_callback(host, result, *given))


def in_step(count: Any) -> bool:
    """Return whether values are not known yet, because a step is traced."""
    return isinstance(count, jax.core.Tracer)


def _is_one_cpu() -> bool:
    """Return whether arrays are in this process's memory, whole."""
    return bool(jax.default_backend() == "cpu" and jax.device_count() == 1)


@functools.cache
def _registered() -> str:
    """Give XLA the function that it calls, once; return its name."""
    pointer = handler(_CALLS.__getitem__)
    _registered.pointer = pointer  # type: ignore[attr-defined]  # XLA does not keep it
    jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(pointer), platform="cpu")
    return _TARGET
