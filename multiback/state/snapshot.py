"""Copy a model's state, or a tree of arrays, to plain host arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import ml_dtypes
import numpy as np

from multiback.state.host import copy_variable
from multiback.state.tree import leaves
from multiback.state.variables import build_optimizer, check_model, entries

Kinds = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
# Takes dtypes and shapes by key, returns arrays to fill.
Allocate = Callable[[Kinds], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Snapshot:
    """State on the host, that training can no longer change.

    Attributes:
        arrays: The values, one host array for each key.
        index: One JSON-able entry for each key, in the same order: `key`,
            `group`, `path` (a hint), `shape`, `dtype`; optimizer slots also
            have `slot` and, where it is known, `owner`: the position in the
            group `"weights"` of the variable that owns the slot.
    """

    arrays: Mapping[str, np.ndarray]
    index: list[dict[str, Any]]


def allocate(kinds: Kinds) -> dict[str, np.ndarray]:
    """Return new arrays."""
    return {key: np.empty(shape, dtype) for key, (dtype, shape) in kinds.items()}


def snapshot(
    source: Any, *, weights_only: bool = False, into: Allocate = allocate
) -> Snapshot:
    """Copy every variable of a model, or every leaf of a tree, to the host.

    Args:
        source: A built `keras.Model`, or a mapping (possibly nested, with lists
            and tuples) of names to arrays or tensors, such as a torch
            `state_dict` or a JAX pytree.
        weights_only: Leave out optimizer and metrics. Weights and the state of
            seed generators stay. Says nothing about a tree.
        into: Where to copy to, such as `Writer.buffer`: a function that takes the
            dtype and shape of each key and returns arrays to fill.

    Returns:
        The values and their index, for `restore` or `tree`.

    Raises:
        ArgumentError: `source` is neither a model nor a mapping, or a leaf is
            no array.
        StateError: The model is not built.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> taken = snapshot(model)
        >>> [(entry["key"], entry["shape"]) for entry in taken.index]
        [('weights/0000', [3, 2]), ('weights/0001', [2])]
    """
    if not isinstance(source, keras.Model) and isinstance(source, Mapping):
        views, index = leaves(source)
        arrays = into({key: (view.dtype, view.shape) for key, view in views.items()})
        for key, view in views.items():
            np.copyto(arrays[key], view)
        return Snapshot(arrays, index)
    if not weights_only:
        check_model(source)
        # A model that never trained has no slots yet; a reader's will.
        build_optimizer(source)
    groups = entries(source)
    if weights_only:
        groups = {"weights": groups["weights"], "seeds": groups["seeds"]}
    listed = [entry for group in groups.values() for entry in group]
    arrays = into(
        {
            entry.key: (
                _dtype_of(entry.variable),
                tuple(int(size) for size in entry.variable.shape),
            )
            for entry in listed
        }
    )
    for entry in listed:
        copy_variable(entry.variable, arrays[entry.key])
    return Snapshot(arrays, [entry.describe() for entry in listed])


def _dtype_of(variable: Any) -> np.dtype[Any]:
    """Return a variable's dtype as NumPy names it, or as ml_dtypes does."""
    name = str(variable.dtype)
    return np.dtype(getattr(ml_dtypes, name, name))
