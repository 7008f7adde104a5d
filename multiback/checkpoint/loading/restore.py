"""Restore a checkpoint, and only this process's shards of sharded arrays.

Every way back of a model goes through `ModelState`: `restore`, `resume=`,
`restore_best=` and `load`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback.checkpoint.loading.documents import KERAS_FILE, keras_file, trainer_facts
from multiback.distributed import LocalState, read_held
from multiback.errors import RestoreWarning
from multiback.state import DeviceValue, RestoreReport, is_sharded, restore_tree
from multiback.state.matching import other_shapes, pair
from multiback.state.own_state import different_in_config, restore_own_state
from multiback.state.restore import Prepared, raise_if_any
from multiback.state.tree import key_of, live_leaves
from multiback.state.variables import build_optimizer, check_model, entries
from multiback.store import Checkpoint
from multiback.warn import warn

Index = Sequence[Mapping[str, Any]]


class ModelState:
    """A checkpoint's state, read for one model; it can be put there more than once.

    Args:
        model: The model, built; its optimizer is built if it is not yet.
        checkpoint: Where the state is.
        index: What the checkpoint's arrays are.
        optimizer: Whether the optimizers' state will be restored.
        strict: Whether all weights must fit; see `multiback.state.restore`.
        rounding: Whether floats may be rounded to a narrower dtype of the model.
        own_state: Whether layers take their state outside of variables, too. False if
            the model was just made from Keras's own file.

    Attributes:
        whole: The arrays by name that this process has whole.

    Raises:
        CorruptCheckpointError: The files are not as they were written.
        StateError: With `strict`, the index has other weights than the model. No array
            was read.
    """

    def __init__(
        self,
        model: keras.Model,
        checkpoint: Checkpoint,
        index: Index,
        *,
        optimizer: bool = True,
        strict: bool = True,
        rounding: bool = False,
        own_state: bool = True,
    ) -> None:
        self._index, self._checkpoint = index, checkpoint
        self._how = {"optimizer": optimizer, "strict": strict, "rounding": rounding}
        self._own_state = own_state
        divided = _divided_variables(model, index, optimizer=optimizer, strict=strict)
        held = read_held(checkpoint, index, divided)
        self.whole, self._placed = held.whole, held.placed

    def restore(self, model: keras.Model) -> RestoreReport:
        """Assign the state; see `multiback.state.restore`. Errors change nothing."""
        values: dict[str, np.ndarray | DeviceValue] = {**self.whole, **self._placed}
        prepared = Prepared(model, values, self._index, **self._how)
        # Before the variables: a layer may write some of them itself.
        left_out = self._restore_own_state(model) if self._own_state else []
        report = prepared.apply()
        return dataclasses.replace(
            report,
            notes=report.notes + left_out,
            left_out=report.left_out + left_out,
        )

    def _restore_own_state(self, model: keras.Model) -> list[str]:
        """Restore the layers' own state; return what could not be restored."""
        facts = trainer_facts(self._checkpoint)
        saved = facts.get("own_state")
        different = different_in_config(model, facts.get("state_in_config", {}))
        if KERAS_FILE not in self._checkpoint.files:
            return restore_own_state(model, None, saved) + different
        with keras_file(self._checkpoint) as file:
            return restore_own_state(model, file, saved) + different


def _divided_variables(
    model: keras.Model, index: Index, *, optimizer: bool, strict: bool
) -> dict[str, Any]:
    """Return the sharded values of a model by their saved entries.

    Only for unambiguous matches. Everything else is left to `restore`, which checks the
    whole.
    """
    check_model(model)
    build_optimizer(model)
    current = entries(model)
    saved = [entry for entry in index if entry["group"] == "weights"]
    pairs = pair(current["weights"], saved)
    if strict:
        raise_if_any(model, other_shapes(pairs.rows) + pairs.differences)
    found = {stored["key"]: entry.variable for entry, stored in pairs.rows}
    if optimizer:
        moved = pairs.moved(saved)
        slots = {
            (one.get("optimizer"), moved.get(one["owner"]), one["slot"]): one["key"]
            for one in index
            if one["group"] == "optimizer" and "owner" in one
        }
        for entry in current["optimizer"]:
            key = slots.pop((entry.optimizer, entry.owner, entry.slot), None)
            if key is not None:
                found[key] = entry.variable
    values = {key: variable.value for key, variable in found.items()}
    return {key: value for key, value in values.items() if is_sharded(value)}


def warn_of(report: RestoreReport) -> None:
    """Warn of skipped state that changes what the model computes."""
    for text in report.left_out:
        warn(text, RestoreWarning)


def restore_from(
    model: keras.Model | Mapping[str, Any],
    checkpoint: Checkpoint,
    index: Index,
    **how: bool,
) -> RestoreReport | Any:
    """Put a checkpoint's state into a model, or into a mapping's structure.

    `how` is as for `ModelState`; a mapping is a template as `restore_tree` takes it.
    """
    if isinstance(model, keras.Model):
        report = ModelState(model, checkpoint, index, **how).restore(model)
        warn_of(report)
        return report
    leaves, _ = live_leaves(model)
    divided = {key: leaf for key, leaf in leaves.items() if is_sharded(leaf)}
    held = read_held(checkpoint, index, divided)
    return _restored_tree(model, held, index)


def _restored_tree(template: Any, held: LocalState, index: Index) -> Any:
    """Restore a tree around its sharded leaves, and insert these."""
    if not held.placed:
        return restore_tree(template, held.whole, index)
    # A number for each sharded leaf, in the template as in the state.
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
        # A named tuple takes its fields as separate arguments.
        return type(node)(*items) if isinstance(node, tuple) else items
    return swap(key_of(parts), node)
