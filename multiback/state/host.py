"""Read a tensor's values from the host, without a copy where possible.

The result may be the tensor's own memory: JAX donates it to the next step, torch
changes it in place and TensorFlow's is the live variable. Copy it at once. Frameworks
are recognised by module name: state/ imports none of them, and a tree may hold tensors
of another framework than Keras runs on.
"""

from collections.abc import Callable, Iterable
from typing import Any

import ml_dtypes
import numpy as np


def host_view(value: Any) -> np.ndarray:
    """Return a tensor's, an array's or a number's values, to be copied at once.

    Args:
        value: A tensor of any framework or device, an array or a number.

    Returns:
        An array of the same dtype and shape.

    Raises:
        TypeError, ValueError, RuntimeError: It is none of these, or cannot be read.
    """
    framework = framework_of(value)
    if framework == "torch":
        return _torch_view(value)
    if framework == "tensorflow":
        return _tensorflow_view(value)
    if is_sharded(value):
        from multiback.state.jax import gathered  # noqa: PLC0415 - optional

        return gathered(value)
    return np.asarray(value)


def framework_of(value: Any) -> str:
    """Return the name of the library that a value's class is from."""
    return type(value).__module__.partition(".")[0]


def is_sharded(value: Any) -> bool:
    """Return whether a tensor's values lie in several processes, in pieces.

    To read all of it, every process has to read it at the same point.
    """
    if framework_of(value) == "torch":
        return type(value).__name__ == "DTensor"
    return type(value).__name__ == "ArrayImpl" and not (
        value.is_fully_addressable or value.is_fully_replicated
    )


def _torch_view(value: Any) -> np.ndarray:
    if is_sharded(value):
        value = value.full_tensor()
    tensor = value.detach().cpu().resolve_conj().resolve_neg()
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bfloat16" or name.startswith("float8"):
        # torch has no NumPy version of these; float32 holds each of their values.
        return np.asarray(tensor.float().numpy()).astype(getattr(ml_dtypes, name))
    return np.asarray(tensor.numpy())


def _tensorflow_view(value: Any) -> np.ndarray:
    tensor = value.read_value() if hasattr(value, "read_value") else value
    try:
        # `.numpy()` copies; the buffer protocol does not, but lacks a few dtypes.
        return np.asarray(memoryview(tensor))
    except (BufferError, TypeError, ValueError):
        return np.asarray(tensor.numpy())


def is_on_cuda(value: Any) -> bool:
    """Return whether a value is a whole torch tensor in a CUDA GPU's memory."""
    return is_whole_tensor(value) and bool(value.is_cuda)


def is_whole_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor, all of it in this process."""
    return framework_of(value) == "torch" and not is_sharded(value)


def page_locked_for(variables: Iterable[Any]) -> Callable[[int], np.ndarray] | None:
    """Return an allocator of page-locked memory, if variables are on CUDA."""
    if not any(is_on_cuda(variable.value) for variable in variables):
        return None
    from multiback.state.torch import page_locked  # noqa: PLC0415 - optional

    return page_locked


def copy_variables(pairs: Iterable[tuple[Any, np.ndarray]]) -> None:
    """Copy the values of Keras variables into arrays of their dtypes and shapes."""
    on_cuda = []
    for variable, target in pairs:
        value = variable.value
        if is_on_cuda(value) and value.nbytes == target.nbytes:
            on_cuda.append((value, target))
        else:
            _copy_variable(variable, target)
    if on_cuda:
        from multiback.state.torch import copy_to_host  # noqa: PLC0415 - optional

        copy_to_host(on_cuda)


def _copy_variable(variable: Any, target: np.ndarray) -> None:
    """Copy a variable's value through a view of it."""
    view = host_view(variable.value)
    if view.dtype != target.dtype or view.shape != target.shape:
        # A dtype that its framework shows to NumPy as another one; Keras knows it.
        view = np.asarray(variable.numpy())
    np.copyto(target, view.astype(target.dtype, copy=False))
