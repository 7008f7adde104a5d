"""Copy a model's state, or a tree of arrays, to plain host arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import ml_dtypes
import numpy as np

from multiback.state.host import copy_variables
from multiback.state.tree import leaves, live_leaves
from multiback.state.variables import Entry, build_optimizer, check_model, entries

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
    listed = _listed(source, weights_only=weights_only)
    arrays = into({entry.key: _kind(entry.variable) for entry in listed})
    copy_variables((entry.variable, arrays[entry.key]) for entry in listed)
    return Snapshot(arrays, [entry.describe() for entry in listed])


def values(
    source: Any, *, weights_only: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what `snapshot` copies, as it is: tensors on their devices.

    Args:
        source: As for `snapshot`.
        weights_only: As for `snapshot`.

    Returns:
        The live values by key, and their index.

    Raises:
        ArgumentError, StateError: As for `snapshot`.
    """
    if not isinstance(source, keras.Model) and isinstance(source, Mapping):
        return live_leaves(source)
    listed = _listed(source, weights_only=weights_only)
    live = {entry.key: entry.variable.value for entry in listed}
    return live, [entry.describe() for entry in listed]


def _listed(source: Any, *, weights_only: bool) -> list[Entry]:
    """List the variables that a checkpoint of a model has."""
    if not weights_only:
        check_model(source)
        # A model that never trained has no slots yet; a reader's will.
        build_optimizer(source)
    groups = entries(source)
    if weights_only:
        groups = {"weights": groups["weights"], "seeds": groups["seeds"]}
    return [entry for group in groups.values() for entry in group]


def _kind(variable: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return a variable's dtype, as NumPy or ml_dtypes names it, and its shape."""
    name = str(variable.dtype)
    shape = tuple(int(size) for size in variable.shape)
    return np.dtype(getattr(ml_dtypes, name, name)), shape
