"""Restore a checkpoint into a model or a tree; of what is divided, this process's part.

Where nothing is divided among processes all is read, verified, and restored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback.distributed import Held, read_held
from multiback.state import Placed, RestoreReport, is_sharded, restore, restore_tree
from multiback.state.tree import key_of, live_leaves
from multiback.state.variables import build_optimizer, check_model, entries
from multiback.store import Checkpoint

Index = Sequence[Mapping[str, Any]]


class ModelState:
    """A checkpoint's state, read for one model; it can be put there more than once.

    Args:
        model: The model, built; its optimizer is built if it is not yet.
        checkpoint: Where the state is.
        index: What the checkpoint's arrays are.
        optimizer: Whether the optimizer's state will be wanted.

    Attributes:
        whole: The arrays by name that this process has whole.

    Raises:
        CorruptCheckpointError: What is read is not what was written.
    """

    def __init__(
        self,
        model: keras.Model,
        checkpoint: Checkpoint,
        index: Index,
        *,
        optimizer: bool = True,
    ) -> None:
        self._index, self._optimizer = index, optimizer
        divided = _divided_variables(model, index, optimizer=optimizer)
        held = read_held(checkpoint, index, divided)
        self.whole, self._placed = held.whole, held.placed

    def restore(self, model: keras.Model) -> RestoreReport:
        """Assign the state; see `multiback.state.restore`.

        Args:
            model: The model that it was read for.

        Raises:
            StateError: Something does not fit. The model is unchanged.
        """
        values: dict[str, np.ndarray | Placed] = {**self.whole, **self._placed}
        return restore(model, values, self._index, optimizer=self._optimizer)


def _divided_variables(
    model: keras.Model, index: Index, *, optimizer: bool
) -> dict[str, Any]:
    """Return the divided values of a model by what was saved of them.

    Only where it is plain which is which: by position, and for the optimizer by owner
    and slot. Whatever else there may be is left to `restore`, which judges the whole.
    """
    check_model(model)
    build_optimizer(model)
    current = entries(model)
    found: dict[str, Any] = {}
    saved = [entry for entry in index if entry["group"] == "weights"]
    if len(saved) == len(current["weights"]):
        pairs = zip(saved, current["weights"], strict=True)
        found |= {stored["key"]: entry.variable for stored, entry in pairs}
    if optimizer:
        slots = {
            (entry["owner"], entry["slot"]): entry["key"]
            for entry in index
            if entry["group"] == "optimizer" and "owner" in entry
        }
        for entry in current["optimizer"]:
            key = slots.pop((entry.owner, entry.slot), None)
            if key is not None:
                found[key] = entry.variable
    values = {key: variable.value for key, variable in found.items()}
    return {key: value for key, value in values.items() if is_sharded(value)}


def restore_from(
    model: keras.Model | Mapping[str, Any],
    checkpoint: Checkpoint,
    index: Index,
    *,
    optimizer: bool = True,
) -> RestoreReport | Any:
    """Put a checkpoint's state into a model, or into a mapping's structure.

    Args:
        model: A built model, or a template as `restore_tree` takes it.
        checkpoint: Where the state is.
        index: What its arrays are.
        optimizer: Restore a model's optimizer too.

    Raises:
        CorruptCheckpointError: What is read is not what was written.
        StateError: Something does not fit.
    """
    if isinstance(model, keras.Model):
        state = ModelState(model, checkpoint, index, optimizer=optimizer)
        return state.restore(model)
    leaves, _ = live_leaves(model)
    divided = {key: leaf for key, leaf in leaves.items() if is_sharded(leaf)}
    held = read_held(checkpoint, index, divided)
    return _restored_tree(model, held, index)


def _restored_tree(template: Any, held: Held, index: Index) -> Any:
    """Restore a tree around its divided leaves, and put these in."""
    if not held.placed:
        return restore_tree(template, held.whole, index)
    # A number for each of them, in the template as in the state.
    numbers = dict.fromkeys(held.placed, np.zeros(()))
    around = _replaced(template, (), numbers.get)
    restored = restore_tree(around, held.whole | numbers, index)
    values = {key: one.value for key, one in held.placed.items()}
    return _replaced(restored, (), values.get)


def _replaced(
    node: Any, parts: tuple[str | int, ...], swap: Callable[[str, Any], Any]
) -> Any:
    """Copy a tree; `swap` takes a leaf's key and the leaf, and returns another."""
    if node is None:
        return None
    if isinstance(node, Mapping):
        return {
            name: _replaced(branch, (*parts, name), swap)
            for name, branch in node.items()
        }
    if isinstance(node, list | tuple):
        items = [_replaced(one, (*parts, i), swap) for i, one in enumerate(node)]
        if type(node) in (list, tuple):
            return type(node)(items)
        # A named tuple takes its fields one by one.
        return type(node)(*items) if isinstance(node, tuple) else items
    return swap(key_of(parts), node)
