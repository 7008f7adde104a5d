"""Copy a model's state, or a tree of arrays, to plain host arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiback.state.fitting import dtype_of
from multiback.state.host import copy_variables
from multiback.state.tree import is_tree, leaves, live_leaves
from multiback.state.variables import saved_entries

Kinds = Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
# Takes dtypes and shapes by key, returns arrays to fill.
Allocate = Callable[[Kinds], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Snapshot:
    """State on the host, which training can no longer change.

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
    source: Any,
    *,
    weights_only: bool = False,
    metrics: bool = True,
    into: Allocate = allocate,
) -> Snapshot:
    """Copy every variable of a model, or every leaf of a tree, to the host.

    Args:
        source: A built `keras.Model`, or a mapping (possibly nested, with lists,
            tuples and dataclasses) of names to arrays, tensors, numbers, text, models
            and optimizers, such as a torch `state_dict` or a JAX pytree.
        weights_only: Leave out optimizer and metrics. Weights and the state of seed
            generators stay. Has no effect on a tree.
        metrics: Take the variables of `model.metrics` too.
        into: Where to copy to, such as `Writer.buffer`: a function that takes the
            dtype and shape of each key and returns arrays to fill.

    Returns:
        The values and their index, for `restore` or `tree`.

    Raises:
        ArgumentError: `source` is neither a model nor a mapping, or a leaf is not an
            array.
        StateError: The model is not built.

    Examples:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> taken = snapshot(model)
        >>> [(entry["key"], entry["shape"]) for entry in taken.index]
        [('weights/0000', [3, 2]), ('weights/0001', [2])]
    """
    if is_tree(source):
        views, index = leaves(source)
        arrays = into({key: (view.dtype, view.shape) for key, view in views.items()})
        for key, view in views.items():
            np.copyto(arrays[key], view)
        return Snapshot(arrays, index)
    listed = saved_entries(source, weights_only=weights_only, metrics=metrics)
    arrays = into({entry.key: _kind(entry.variable) for entry in listed})
    copy_variables((entry.variable, arrays[entry.key]) for entry in listed)
    return Snapshot(arrays, [entry.describe() for entry in listed])


def values(
    source: Any, *, weights_only: bool = False, metrics: bool = True
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what `snapshot` copies, on its devices, by key, and the index."""
    if is_tree(source):
        return live_leaves(source)
    listed = saved_entries(source, weights_only=weights_only, metrics=metrics)
    live = {entry.key: entry.variable.value for entry in listed}
    return live, [entry.describe() for entry in listed]


def _kind(variable: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return a variable's dtype, as NumPy or ml_dtypes names it, and its shape."""
    shape = tuple(int(size) for size in variable.shape)
    return dtype_of(str(variable.dtype)), shape
