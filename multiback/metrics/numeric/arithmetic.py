"""Formulas that work on NumPy arrays and on tensors.

Eager PyTorch keeps the state of a metric in the host's memory, where NumPy computes a
formula in less time than `keras.ops` takes for its first operation.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any


def namespace(values: Any) -> Any:
    """Return the module with the functions for some values: NumPy or `keras.ops`."""
    return np if isinstance(values, np.ndarray | np.generic) else ops


def ratio(numerator: Tensor, denominator: Tensor, zero_division: float) -> Tensor:
    """Divide, giving `zero_division` where the denominator is 0."""
    if isinstance(denominator, np.generic):
        return numerator / denominator if denominator else zero_division
    xp = namespace(denominator)
    empty = xp.equal(denominator, 0.0)
    safe = xp.where(empty, xp.ones_like(denominator), denominator)
    return xp.where(empty, zero_division, numerator / safe)


def where_any(values: Tensor, weight: Tensor) -> Tensor:
    """Return the values, NaN where there is no weight."""
    if isinstance(weight, np.generic):
        return values if weight else np.float32(np.nan)
    xp = namespace(weight)
    return xp.where(xp.equal(weight, 0.0), float("nan"), values)


def cond(
    condition: Tensor, then: Callable[[], Tensor], other: Callable[[], Tensor]
) -> Tensor:
    """Return what one of two functions returns, as `keras.ops.cond` does.

    Outside of a compiled step JAX would compile both at each call: a tenth of a second.
    On TensorFlow `then` is kept apart, as what is rarely called.
    """
    if keras.backend.backend() == "jax":
        from multiback.metrics.numeric import jax  # noqa: PLC0415 - only here

        if jax.is_known(condition):
            return then() if condition else other()
    if keras.backend.backend() == "tensorflow":
        from multiback.metrics.numeric import tensorflow  # noqa: PLC0415 - only here

        then = tensorflow.apart(then)
    return ops.cond(condition, then, other)


def bits(values: Tensor) -> Tensor:
    """Read the bits of float32 values as int32."""
    if keras.backend.backend() == "tensorflow":
        # Keras's `view` needs to know the last axis.
        from multiback.metrics.numeric import tensorflow  # noqa: PLC0415 - only here

        return tensorflow.bits(values)
    return ops.view(values, "int32")


def is_for_xla() -> bool:
    """Return whether XLA will compile what is being traced."""
    if keras.backend.backend() == "tensorflow":
        from multiback.metrics.numeric import tensorflow  # noqa: PLC0415 - only here

        return tensorflow.is_for_xla()
    return bool(keras.backend.backend() == "jax")
