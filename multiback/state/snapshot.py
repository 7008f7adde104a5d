"""Copy a model's state, or a tree of arrays, to plain host arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from multiback.state.tree import flatten
from multiback.state.variables import build_optimizer, check_model, entries


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


def snapshot(source: Any, *, weights_only: bool = False) -> Snapshot:
    """Copy every variable of a model, or every leaf of a tree, to the host.

    Args:
        source: A built `keras.Model`, or a mapping (possibly nested, with lists
            and tuples) of names to arrays or tensors, such as a torch
            `state_dict` or a JAX pytree.
        weights_only: Leave out optimizer and metrics. Weights and the state of
            seed generators stay. Says nothing about a tree.

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
        arrays, index = flatten(source)
        return Snapshot(arrays, index)
    if not weights_only:
        check_model(source)
        # A model that never trained has no slots yet; a reader's will.
        build_optimizer(source)
    groups = entries(source)
    if weights_only:
        groups = {"weights": groups["weights"], "seeds": groups["seeds"]}
    listed = [entry for group in groups.values() for entry in group]
    # Variable.numpy() copies on all three backends; .value and np.asarray do not:
    # JAX donates the buffer, torch changes it in place, TensorFlow's value is live.
    # asarray only turns the scalars that TensorFlow returns into 0-d arrays.
    return Snapshot(
        arrays={entry.key: np.asarray(entry.variable.numpy()) for entry in listed},
        index=[entry.describe() for entry in listed],
    )
