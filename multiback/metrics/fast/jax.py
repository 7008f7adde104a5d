"""JAX kernels: operations that `keras.ops` lacks, or that XLA runs slowly from it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from keras.ops import convert_to_tensor

from multiback.metrics.inputs.batch import INT32, to_tensor
from multiback.metrics.numeric.jax import is_known
from multiback.metrics.statistics.statistic import Statistic

Array = Any


def as_arrays(state: dict[str, Array]) -> dict[str, Any] | None:
    """View a state as NumPy arrays; None while a compiled step is being written.

    Outside of one, JAX compiles each operation separately the first time, and takes
    long to start it every time.
    """
    if not all(is_known(value) for value in state.values()):
        return None
    return {key: np.asarray(value) for key, value in state.items()}


def read(variables: Mapping[str, Any]) -> dict[str, Array]:
    """Return the values of Keras's variables."""
    return {key: convert_to_tensor(value) for key, value in variables.items()}


def add_in_xla(*_: Any) -> bool:
    """Leave it to `update`: XLA compiles all that is compiled."""
    return False


def update(
    statistic: Statistic,
    before: dict[str, Array],
    *batch: Any,
    sample_weight: Any = None,
    mask: Any = None,
) -> dict[str, Array] | None:
    """Add a batch in one compiled call; None leaves it to the specification.

    Within a compiled step XLA fuses the specification with the rest. Outside of one,
    JAX would compile each of its operations by itself: 30 ms each the first time, for
    each shape, which made 3 seconds for the first batch of an `AUROC`.
    """
    if not all(is_known(value) for value in before.values()):
        return None
    weights = {"sample_weight": sample_weight, "mask": mask}
    weights = {name: values for name, values in weights.items() if values is not None}
    if not all(_is_plain(values) for values in (*batch, *weights.values())):
        return None
    tensors = [to_tensor(values, "") for values in batch]
    for name, values in weights.items():
        weights[name] = to_tensor(values, name, labels=False)
    after: dict[str, Array] = _update(statistic, before, tensors, weights)
    return after


def _is_plain(values: Any) -> bool:
    """Return whether these are plain number arrays, without values to refuse."""
    if isinstance(values, np.ndarray):
        # What int32 cannot hold is one thing as a label and another as a number.
        wide = values.dtype.kind in "iu" and values.dtype.itemsize > 4 and values.size  # noqa: PLR2004 - bytes of an int32
        fits = not wide or (values.min() >= INT32[0] and values.max() <= INT32[1])
        return bool(fits) and values.dtype.kind in "biuf"
    return isinstance(values, jax.Array) and is_known(values)


def _specified(
    statistic: Statistic,
    before: dict[str, Array],
    batch: list[Array],
    weights: dict[str, Array],
) -> dict[str, Array]:
    return statistic.update(before, *batch, **weights)


_update: Any = jax.jit(_specified, static_argnums=0)
