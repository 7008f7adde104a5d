"""Put host arrays back into a model: everything is checked, then assigned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from multiback.errors import StateError
from multiback.state.fitting import Values, listing
from multiback.state.matching import (
    Index,
    Pairs,
    Plan,
    by_group,
    by_owner,
    fitted_pairs,
    metrics_plan,
    other_kind,
    pair,
    pair_common,
)
from multiback.state.own_state import follow_variables
from multiback.state.variables import (
    GROUPS,
    Entry,
    build_optimizer,
    check_model,
    entries,
    has_stepped,
    optimizer_entries,
    optimizer_of,
    optimizers_of,
)

_OPTIMIZER_ADVICE = (
    "For the saved state, compile the model with the optimizer and the trainable "
    "layers that it had then (was a layer frozen or freed without compiling again?)."
)


@dataclass(frozen=True)
class RestoreReport:
    """What `restore` did.

    Attributes:
        restored: How many variables were assigned, for each group.
        metrics_reset: The metrics differ from the saved ones; they start from zero.
        notes: Everything that was left out, in sentences.
        left_out: The notes that change how training continues, or what the model
            predicts: each caller warns of them.
        paired: How the variables of a group were paired with the saved ones: by "way",
            which goes through attributes and containers, by "position", or, with
            `strict=False`, by "name and way".
        kept: With `strict=False`: the model's variables that kept their values.
        unused: With `strict=False`: what only the checkpoint has.
    """

    restored: Mapping[str, int]
    metrics_reset: bool = False
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    paired: Mapping[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def restore(
    model: keras.Model,
    arrays: Values,
    index: Index,
    *,
    optimizer: bool = True,
    strict: bool = True,
    rounding: bool = False,
) -> RestoreReport:
    """Assign a snapshot's values to a model that has the same variables.

    Nothing is assigned before everything was checked: after a `StateError` the model is
    unchanged (only its optimizer may have been built).

    Args:
        model: A built model. Its optimizer is built if it is not yet.
        arrays: The values by key, from `Snapshot.arrays` or a file; `DeviceValue` if
            they are sharded over processes.
        index: The entries of `Snapshot.index`.
        optimizer: Restore the variables of the optimizers. Without them, or without an
            optimizer on either side, an optimizer is left as it is. So is one whose
            variables or class differ from the saved ones, and the report says so.
        strict: Raise where the weights or the seeds differ. False: restore what both
            sides have in the same shape, by the names that the user gave or by the way
            to each.
        rounding: Round floats to a narrower dtype of the model, such as bfloat16.

    Returns:
        What was restored and what was not.

    Raises:
        ArgumentError: `model` is not a Keras model.
        StateError: The model is not built; the snapshot is a tree's; a weight
            is missing, extra, of another shape, or a value does not fit the
            variable's dtype. The message lists all of them.

    Examples:
        >>> import keras
        >>> from multiback.state import snapshot
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> before = snapshot(model)
        >>> model.set_weights([value + 1 for value in model.get_weights()])
        >>> restore(model, before.arrays, before.index).restored
        {'weights': 2, 'seeds': 0, 'optimizer': 0, 'metrics': 0}
    """
    return Prepared(
        model,
        arrays,
        index,
        optimizer=optimizer,
        strict=strict,
        rounding=rounding,
    ).apply()


class Prepared:
    """A `restore` whose checks are done: `apply` only assigns."""

    def __init__(
        self,
        model: keras.Model,
        arrays: Values,
        index: Index,
        *,
        optimizer: bool = True,
        strict: bool = True,
        rounding: bool = False,
    ) -> None:
        check_model(model)
        self._model, self._arrays, self._rounding = model, arrays, rounding
        saved = by_group(arrays, index)
        build_optimizer(model)
        current = entries(model)
        self._plans: dict[str, Plan] = {}
        self._notes: list[str] = []
        self._left_out: list[str] = []
        self._paired: dict[str, str] = {}
        self._kept: list[str] = []
        self._unused: list[str] = []
        problems: list[str] = []
        for group in ("weights", "seeds"):
            pairs = (
                pair(current[group], saved[group])
                if strict
                else pair_common(current[group], saved[group], arrays)
            )
            if group == "weights":
                moved = pairs.moved(saved["weights"])
            problems += self._plan_pairs(group, pairs, strict=strict)
        raise_if_any(model, problems)
        if optimizer:
            _build_attributes(model, saved["optimizer"], current["weights"], moved)
            self._plan_optimizers(entries(model)["optimizer"], saved, moved)
        self._plans["metrics"], self._reset, note = metrics_plan(
            model, current, saved["metrics"], arrays
        )
        self._notes += [note] if note else []

    def _plan_pairs(self, group: str, pairs: Pairs, *, strict: bool) -> list[str]:
        """Plan a group of weights or seeds; return what does not fit."""
        plan, unfit = fitted_pairs(pairs.rows, self._arrays, self._rounding)
        self._plans[group], self._paired[group] = plan, pairs.how
        if strict:
            return unfit + pairs.differences
        self._kept += [f"{one.key} ({one.variable.path})" for one in pairs.missing]
        self._unused += [f"{one['key']} ({one['path']})" for one in pairs.unused]
        return unfit

    def _plan_optimizers(
        self,
        current: list[Entry],
        saved: Mapping[str, Index],
        moved: Mapping[int, int],
    ) -> None:
        """Plan each optimizer whose variables match the saved ones."""
        here: dict[str | None, list[Entry]] = {}
        for one in current:
            here.setdefault(one.optimizer, []).append(one)
        there: dict[str | None, list[Mapping[str, Any]]] = {}
        for stored in saved["optimizer"]:
            there.setdefault(stored.get("optimizer"), []).append(stored)
        plan: Plan = []
        for way in {**here, **there}:
            if way not in here:
                self._leave_out(_not_here(self._model, way))
            elif way not in there:
                text = f"The checkpoint holds no {_name(way)}; the model's was kept."
                # `save_weights_only` leaves out a compiled optimizer on purpose.
                (self._notes.append if way is None else self._leave_out)(text)
            else:
                found, problems = by_owner(
                    here[way], there[way], self._arrays, moved, self._rounding
                )
                slots_lack = not any("owner" in one for one in there[way])
                if slots_lack and len(found) < len(here[way]):
                    problems = problems or self._keeps_nothing(there[way])
                other = other_kind(here[way], there[way])
                if other or problems:
                    what = f"The {_name(way)} has other variables than were saved"
                    if other:
                        what = f"The {_name(way)} is another one ({other[0]})"
                    problems = other + problems
                    self._leave_out(
                        f"{what}: the weights were restored, the optimizer starts "
                        "fresh. multiback.restore(model, path).notes says more."
                    )
                    listed = f"{listing(problems)}\n{_OPTIMIZER_ADVICE}"
                    self._notes[-1] = f"{self._notes[-1]}{listed}"
                elif (
                    slots_lack
                    and len(found) < len(here[way])
                    and has_stepped(here[way])
                ):
                    plan += found
                    self._leave_out(
                        f"The saved {_name(way)} had made no step; what the model's "
                        "keeps for each weight was left as it is."
                    )
                else:
                    plan += found
        self._plans["optimizer"] = plan

    def _keeps_nothing(self, saved: Index) -> list[str]:
        """Say that an optimizer made steps and kept nothing for a weight."""
        counts = [one["key"] for one in saved if one["slot"] == "iteration"]
        stepped = any(np.any(np.asarray(self._arrays[key]) > 0) for key in counts)
        return ["the saved one keeps nothing for each weight"] if stepped else []

    def _leave_out(self, text: str) -> None:
        self._notes.append(text)
        self._left_out.append(text)

    def apply(self) -> RestoreReport:
        """Assign the values."""
        for plan in self._plans.values():
            for entry, array in plan:
                entry.variable.assign(array)
        follow_variables(self._model)
        if self._reset:
            self._model.reset_metrics()
        return RestoreReport(
            restored={group: len(self._plans.get(group, ())) for group in GROUPS},
            metrics_reset=self._reset,
            notes=self._notes,
            left_out=self._left_out,
            paired=self._paired,
            kept=self._kept,
            unused=self._unused,
        )


class PreparedOptimizer:
    """The same for an optimizer without a model, at a place in a tree.

    It is built for the weights that it had.
    """

    def __init__(
        self, optimizer: Any, arrays: Values, index: Index, where: str
    ) -> None:
        current = optimizer_entries(optimizer)
        places = {i: i for i in range(len(current) + len(index))}
        self._plan, problems = by_owner(current, index, arrays, places)
        problems += other_kind(current, index)
        if problems:
            raise StateError(
                f"The optimizer at {where!r} and the checkpoint do not fit together, "
                f"and nothing was restored:{listing(problems)}\nBuild it first: "
                "optimizer.build(model.trainable_variables)."
            )

    def apply(self) -> RestoreReport:
        """Assign the values."""
        for entry, array in self._plan:
            entry.variable.assign(array)
        return RestoreReport({"optimizer": len(self._plan)})


def _name(way: str | None) -> str:
    """Name an optimizer."""
    return "optimizer" if way is None else f"optimizer in model.{way}"


def _not_here(model: keras.Model, way: str | None) -> str:
    """Note that the model lacks a saved optimizer."""
    if way is None and optimizer_of(model) is None:
        return "The model is not compiled; the checkpoint's optimizer was left out."
    return (
        f"The model has no {_name(way)}, which the checkpoint holds; it was left out."
    )


def _build_attributes(
    model: keras.Model, saved: Index, weights: list[Entry], moved: Mapping[int, int]
) -> None:
    """Build the optimizers that are attributes, for their saved weights."""
    for way, optimizer in optimizers_of(model):
        if way is None or optimizer.built:
            continue
        owners = dict.fromkeys(
            moved[one["owner"]]
            for one in saved
            if one.get("optimizer") == way and one.get("owner") in moved
        )
        if owners:
            optimizer.build([weights[owner].variable for owner in owners])


def without_frozen_slots(model: keras.Model, index: Index) -> list[Mapping[str, Any]]:
    """Leave out optimizer variables of weights that do not train.

    They are in a snapshot of a model that was frozen after its optimizer was built,
    without compiling it again. Keras does not update them any more, and a newly
    compiled model does not have them.

    Args:
        model: The model to restore.
        index: The entries of `Snapshot.index`.
    """
    weights = [entry for entry in index if entry["group"] == "weights"]
    places = {id(entry): place for place, entry in enumerate(weights)}
    frozen = {
        places[id(stored)]
        for entry, stored in pair(entries(model)["weights"], weights).rows
        if not entry.variable.trainable
    }
    return [
        entry
        for entry in index
        if entry["group"] != "optimizer" or entry.get("owner") not in frozen
    ]


def raise_if_any(model: keras.Model, problems: list[str]) -> None:
    """Raise one error that lists every problem."""
    if not problems:
        return
    raise StateError(
        f"The model {model.name!r} and the checkpoint do not fit together "
        f"({len(problems)} differences), and nothing was restored:"
        f"{listing(problems)}\nBuild the model with the architecture that was saved, "
        "or pass strict=False to take what both have."
    )
