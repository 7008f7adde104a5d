"""Batches and data as NumPy arrays, which `fit` accepts on every backend."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from multiback.errors import ArgumentError


def as_arrays(part: Any, name: str) -> Any:
    """Turn the leaves of a structure into arrays, and its lists into tuples.

    Leaves are arrays or tensors of any framework in nested dicts, tuples and lists;
    `name` is for an error.
    """
    if isinstance(part, Mapping):
        return {k: as_arrays(each, f"{name}[{k!r}]") for k, each in part.items()}
    if isinstance(part, list | tuple):
        # TensorFlow would stack the members of a list.
        return tuple(as_arrays(each, f"{name}[{i}]") for i, each in enumerate(part))
    if keras.ops.is_tensor(part):
        part = keras.ops.convert_to_numpy(part)
    array = np.asarray(part)
    if array.ndim == 0 or array.dtype == object:
        raise ArgumentError(
            f"{name} wants an array of shape (samples, ...) with numbers, not "
            f"{type(part).__name__} {part!r}."
        )
    return array
