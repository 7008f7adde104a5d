"""Put host arrays back into a model: everything is checked, then assigned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from multiback.errors import StateError
from multiback.keras_private import layers_of
from multiback.state.fitting import Values, listing
from multiback.state.matching import (
    Index,
    Plan,
    by_group,
    by_owner,
    by_position,
    metrics_plan,
)
from multiback.state.variables import (
    GROUPS,
    build_optimizer,
    check_model,
    entries,
    optimizer_of,
)

_OPTIMIZER_ADVICE = (
    "Compile the model with the optimizer and the trainable layers that it had when "
    "it was saved (was a layer frozen or freed without compiling again?), or restore "
    "with optimizer=False; where it is loaded, with compile=False."
)


@dataclass(frozen=True)
class RestoreReport:
    """What `restore` did.

    Attributes:
        restored: How many variables were assigned, for each group.
        metrics_reset: The metrics are not those that were saved; they start
            from zero.
        notes: What was left out, in sentences.
    """

    restored: Mapping[str, int]
    metrics_reset: bool = False
    notes: list[str] = field(default_factory=list)


def restore(
    model: keras.Model,
    arrays: Values,
    index: Index,
    *,
    optimizer: bool = True,
    seeds: bool = True,
) -> RestoreReport:
    """Assign a snapshot's values to a model that has the same variables.

    Nothing is assigned before everything was checked: after a `StateError` the
    model holds what it held (only its optimizer may have been built).

    Args:
        model: A built model. Its optimizer is built if it is not yet.
        arrays: The values by key, from `Snapshot.arrays` or a file; `Placed` where
            they are divided among processes.
        index: The entries of `Snapshot.index`.
        optimizer: Restore the optimizer's variables. Without them, or where the
            model or the snapshot has none, the optimizer is left as it is.
        seeds: Restore the state of seed generators. Leave them out where the
            model's random layers changed.

    Returns:
        What was restored and what was not.

    Raises:
        ArgumentError: `model` is no Keras model.
        StateError: The model is not built; the snapshot is a tree's; a variable
            is missing, extra, of another shape, or a value does not fit the
            variable's dtype. The message lists all of them.

    Example:
        >>> import keras
        >>> from multiback.state import snapshot
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> before = snapshot(model)
        >>> model.set_weights([value + 1 for value in model.get_weights()])
        >>> restore(model, before.arrays, before.index).restored
        {'weights': 2, 'seeds': 0, 'optimizer': 0, 'metrics': 0}
    """
    check_model(model)
    saved = by_group(arrays, index)
    build_optimizer(model)
    current = entries(model)
    notes: list[str] = []

    plans: dict[str, Plan] = {}
    problems: dict[str, list[str]] = {}
    plans["weights"], problems["weights"] = by_position(
        current["weights"], saved["weights"], arrays
    )
    if seeds:
        plans["seeds"], problems["seeds"] = by_position(
            current["seeds"], saved["seeds"], arrays
        )
    if optimizer and not saved["optimizer"]:
        if current["optimizer"]:
            notes.append("The checkpoint holds no optimizer; the model's was kept.")
    elif optimizer and optimizer_of(model) is None:
        notes.append(
            "The model is not compiled; the checkpoint's optimizer was left out."
        )
    elif optimizer:
        plans["optimizer"], problems["optimizer"] = by_owner(
            current["optimizer"], saved["optimizer"], arrays
        )
    _raise_if_any(model, problems)

    plans["metrics"], reset, note = metrics_plan(
        model, current, saved["metrics"], arrays
    )
    if note:
        notes.append(note)
    for plan in plans.values():
        for entry, array in plan:
            entry.variable.assign(array)
    _follow_variables(model)
    if reset:
        model.reset_metrics()
    return RestoreReport(
        restored={group: len(plans.get(group, ())) for group in GROUPS},
        metrics_reset=reset,
        notes=notes,
    )


def without_frozen_slots(model: keras.Model, index: Index) -> list[Mapping[str, Any]]:
    """Leave out optimizer variables of weights that do not train.

    They are in a snapshot of a model that was frozen after its optimizer was built,
    without compiling it again. Keras updates none of them any more, and a model that
    is compiled anew has none.

    Args:
        model: The model that is to be restored.
        index: The entries of `Snapshot.index`.
    """
    frozen = {
        position
        for position, entry in enumerate(entries(model)["weights"])
        if not entry.variable.trainable
    }
    return [
        entry
        for entry in index
        if entry["group"] != "optimizer" or entry.get("owner") not in frozen
    ]


def _follow_variables(model: keras.Model) -> None:
    """Renew what is derived from variables and kept beside them.

    An adapted `Normalization` keeps constants, which Keras renews when it loads a
    file, and compiled functions hold the old ones.
    """
    adapted = [
        layer
        for layer in layers_of(model)
        if isinstance(layer, keras.layers.Normalization)
    ]
    for layer in adapted:
        layer.finalize_state()
    if adapted:
        model.train_function = model.test_function = model.predict_function = None


def _raise_if_any(model: keras.Model, problems: Mapping[str, list[str]]) -> None:
    """Raise one error that lists every problem of every group."""
    listed = [problem for group in problems.values() for problem in group]
    if not listed:
        return
    advice = []
    if problems.get("weights"):
        advice.append("Build the model with the architecture that was saved.")
    if problems.get("seeds"):
        advice.append("For other random layers than were saved, pass seeds=False.")
    if problems.get("optimizer"):
        advice.append(_OPTIMIZER_ADVICE)
    raise StateError(
        f"The model {model.name!r} and the checkpoint do not fit together "
        f"({len(listed)} differences), and nothing was restored:"
        f"{listing(listed)}\n{' '.join(advice)}"
    )
