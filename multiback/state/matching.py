"""Find for each of a model's variables the value that was saved of it.

Nothing is assigned here: what fits becomes a plan, what does not a list of sentences.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback.errors import StateError
from multiback.state.fitting import Values, fitted, listing
from multiback.state.variables import GROUPS, Entry, without_number

Index = Sequence[Mapping[str, Any]]
Plan = list[tuple[Entry, Any]]


def by_group(arrays: Values, index: Index) -> dict[str, list[Mapping[str, Any]]]:
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


def by_position(
    current: list[Entry], saved: Index, arrays: Values
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


def by_owner(
    current: list[Entry], saved: Index, arrays: Values
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
    pairs: list[tuple[Entry, Mapping[str, Any]]], arrays: Values
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
        cast = fitted(array, np.dtype(str(entry.variable.dtype)))
        if cast is None:
            problems.append(
                f"{where}: the checkpoint's {array.dtype} values cannot be written "
                f"exactly in the model's {entry.variable.dtype}"
            )
            continue
        plan.append((entry, cast))
    return plan, problems


def metrics_plan(
    model: keras.Model,
    current: Mapping[str, list[Entry]],
    saved: Index,
    arrays: Values,
) -> tuple[Plan, bool, str]:
    """Plan the metrics: what to assign, whether to reset, what to note."""
    here = [without_number(str(entry.variable.path)) for entry in current["metrics"]]
    there = [without_number(str(entry["path"])) for entry in saved]
    if not there:
        return [], False, ""
    plan, unfit = by_position(current["metrics"], saved, arrays)
    if here == there and not unfit:
        return plan, False, ""
    # Keras builds compiled metrics on the first batch: they cannot be compared yet.
    if not all(getattr(metric, "built", True) for metric in model.metrics):
        note = (
            "The model's metrics are not built before its first batch; they were "
            "not restored and start from zero."
        )
        return [], False, note
    if _owners(here) == _owners(there):
        plan, changed = _by_metric(current["metrics"], saved, arrays)
        note = (
            f"The state of {', '.join(changed)} was saved in another layout, as by an "
            "earlier version; each of them starts from zero."
        )
        return plan, False, note
    note = (
        "The model's metrics are not those that were saved; they were reset "
        f"(saved: {_names(there)}; now: {_names(here)})."
    )
    return [], True, note


def _owners(paths: Sequence[str]) -> list[str]:
    """Return the metric of each run of variables."""
    return [owner for owner, _ in itertools.groupby(paths, _owner)]


def _owner(path: str) -> str:
    return path.rpartition("/")[0]


def _by_metric(
    current: list[Entry], saved: Index, arrays: Values
) -> tuple[Plan, list[str]]:
    """Pair each metric's variables; zeros where a metric's layout has changed."""

    def key_here(entry: Entry) -> str:
        return _owner(without_number(str(entry.variable.path)))

    def key_there(entry: Mapping[str, Any]) -> str:
        return _owner(without_number(str(entry["path"])))

    plan: Plan = []
    changed = []
    runs = zip(
        itertools.groupby(current, key_here),
        itertools.groupby(saved, key_there),
        strict=True,
    )
    for (owner, mine), (_, theirs) in runs:
        here, there = list(mine), list(theirs)
        part, unfit = by_position(here, there, arrays)
        names = [without_number(str(entry.variable.path)) for entry in here]
        if unfit or names != [without_number(str(entry["path"])) for entry in there]:
            changed.append(owner)
            part = [(entry, _zeros(entry.variable)) for entry in here]
        plan += part
    return plan, changed


def _zeros(variable: Any) -> Any:
    return np.zeros([int(size) for size in variable.shape], str(variable.dtype))


def _names(paths: Sequence[str]) -> str:
    """Name metrics from their variables' paths, each once."""
    return ", ".join(dict.fromkeys(path.rpartition("/")[0] for path in paths)) or "none"
