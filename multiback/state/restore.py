"""Put host arrays back into a model: everything is checked, then assigned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from multiback.errors import StateError
from multiback.state._private import layers_of
from multiback.state.fitting import StateDict, cast_exactly, listing
from multiback.state.variables import (
    GROUPS,
    Entry,
    build_optimizer,
    check_model,
    entries,
    optimizer_of,
    without_number,
)

Index = Sequence[Mapping[str, Any]]
Plan = list[tuple[Entry, np.ndarray]]

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
    arrays: StateDict,
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
        arrays: The values by key, from `Snapshot.arrays` or a file.
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
    saved = _by_group(arrays, index)
    build_optimizer(model)
    current = entries(model)
    notes: list[str] = []

    plans: dict[str, Plan] = {}
    problems: dict[str, list[str]] = {}
    plans["weights"], problems["weights"] = _by_position(
        current["weights"], saved["weights"], arrays
    )
    if seeds:
        plans["seeds"], problems["seeds"] = _by_position(
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
        plans["optimizer"], problems["optimizer"] = _by_owner(
            current["optimizer"], saved["optimizer"], arrays
        )
    _raise_if_any(model, problems)

    plans["metrics"], reset, note = _metrics(model, current, saved["metrics"], arrays)
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


def _by_group(arrays: StateDict, index: Index) -> dict[str, list[Mapping[str, Any]]]:
    """Sort the index by group; raise if it is a tree's or arrays are missing."""
    groups: dict[str, list[Mapping[str, Any]]] = {group: [] for group in GROUPS}
    for entry in index:
        if entry["group"] not in groups:
            raise StateError(
                f"The index holds the group {entry['group']!r}; a model has only "
                f"{', '.join(GROUPS)}. For a tree of arrays call tree(arrays, index)."
            )
        groups[entry["group"]].append(entry)
    absent = [f"{e['key']} ({e['path']})" for e in index if e["key"] not in arrays]
    if absent:
        raise StateError(
            f"The index names {len(absent)} arrays that are not there:"
            f"{listing(absent)}\nGive the arrays and the index of one snapshot."
        )
    return groups


def _by_position(
    current: list[Entry], saved: Index, arrays: StateDict
) -> tuple[Plan, list[str]]:
    """Pair a group's variables with the saved values in order."""
    problems = [
        f"{entry.key} ({entry.variable.path}): in the model, not in the checkpoint"
        for entry in current[len(saved) :]
    ]
    problems += [
        f"{entry['key']} ({entry['path']}): in the checkpoint, not in the model"
        for entry in saved[len(current) :]
    ]
    pairs = zip(current, saved, strict=False)
    plan, unfit = _fitted(list(pairs), arrays)
    return plan, unfit + problems


def _by_owner(
    current: list[Entry], saved: Index, arrays: StateDict
) -> tuple[Plan, list[str]]:
    """Pair optimizer variables with the saved ones of the same owner and slot."""
    here = [(entry.owner, entry.slot) for entry in current]
    there = [
        (
            entry.get("owner"),
            entry["slot"] if "owner" in entry else without_number(entry["slot"]),
        )
        for entry in saved
    ]
    if here == there:
        return _fitted(list(zip(current, saved, strict=True)), arrays)
    missing, extra = Counter(here) - Counter(there), Counter(there) - Counter(here)
    problems = [
        f"{_slot(*name)}: in the model, not in the checkpoint" for name in missing
    ]
    problems += [
        f"{_slot(*name)}: in the checkpoint, not in the model" for name in extra
    ]
    if problems:
        return [], problems
    places = dict(zip(there, saved, strict=True))
    if len(places) < len(there):
        return [], ["the slots stand in another order and their names are ambiguous"]
    return _fitted([(e, places[n]) for e, n in zip(current, here, strict=True)], arrays)


def _slot(owner: int | None, slot: str | None) -> str:
    """Name an optimizer variable."""
    return f"optimizer {slot}" + ("" if owner is None else f" of weights/{owner:04d}")


def _fitted(
    pairs: list[tuple[Entry, Mapping[str, Any]]], arrays: StateDict
) -> tuple[Plan, list[str]]:
    """Check shape and values of each pair.

    Each variable gets an array of its own: JAX may take the host buffer over
    without a copy and later donate it, and one buffer under two names fails
    there ("Attempt to donate the same buffer twice").
    """
    plan: Plan = []
    problems: list[str] = []
    for entry, stored in pairs:
        array = arrays[stored["key"]]
        where = f"{entry.key} ({entry.variable.path})"
        shape = tuple(int(size) for size in entry.variable.shape)
        if tuple(array.shape) != shape:
            problems.append(
                f"{where}: shape {list(shape)} in the model, "
                f"{list(array.shape)} in the checkpoint ({stored['path']})"
            )
            continue
        cast = cast_exactly(array, np.dtype(str(entry.variable.dtype)))
        if cast is None:
            problems.append(
                f"{where}: the checkpoint's {array.dtype} values cannot be written "
                f"exactly in the model's {entry.variable.dtype}"
            )
            continue
        plan.append((entry, cast))
    return plan, problems


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


def _metrics(
    model: keras.Model,
    current: Mapping[str, list[Entry]],
    saved: Index,
    arrays: StateDict,
) -> tuple[Plan, bool, str]:
    """Plan the metrics: what to assign, whether to reset, what to note."""
    here = [without_number(str(entry.variable.path)) for entry in current["metrics"]]
    there = [without_number(str(entry["path"])) for entry in saved]
    if not there:
        return [], False, ""
    plan, unfit = _by_position(current["metrics"], saved, arrays)
    if here == there and not unfit:
        return plan, False, ""
    # Keras builds compiled metrics on the first batch: they cannot be compared yet.
    if not all(getattr(metric, "built", True) for metric in model.metrics):
        note = (
            "The model's metrics are not built before its first batch; they were "
            "not restored and start from zero."
        )
        return [], False, note
    note = (
        "The model's metrics are not those that were saved; they were reset "
        f"(saved: {_names(there)}; now: {_names(here)})."
    )
    return [], True, note


def _names(paths: Sequence[str]) -> str:
    """Name metrics from their variables' paths, each once."""
    return ", ".join(dict.fromkeys(path.rpartition("/")[0] for path in paths)) or "none"
