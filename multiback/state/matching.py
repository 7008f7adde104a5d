"""Find the saved value of each of a model's variables.

Nothing is assigned here: matches become a plan, and problems become a list of
sentences.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from multiback.errors import StateError
from multiback.state.fitting import Values, dtype_of, fitted, listing, rounded
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


@dataclass(frozen=True)
class Pairs:
    """Which saved variable belongs to which of the model's.

    Attributes:
        rows: The pairs, in the model's order.
        how: "way" or "position"; "name and way" where the two sides differ.
        missing: Variables of the model that the checkpoint does not have.
        unused: Variables of the checkpoint that the model does not have.
        contradictions: Names from the user at other places, in sentences.
    """

    rows: list[tuple[Entry, Mapping[str, Any]]]
    how: str
    missing: list[Entry]
    unused: list[Mapping[str, Any]]
    contradictions: list[str]

    @property
    def differences(self) -> list[str]:
        """Differences between both sides, in sentences."""
        return [
            *(_only_here(entry) for entry in self.missing),
            *(_only_there(entry) for entry in self.unused),
            *self.contradictions,
        ]

    def moved(self, saved: Index) -> dict[int, int]:
        """Map the position of each saved weight to the model's."""
        places = {id(stored): place for place, stored in enumerate(saved)}
        return {
            places[id(stored)]: int(entry.key.rpartition("/")[2])
            for entry, stored in self.rows
        }


def _only_here(entry: Entry) -> str:
    return f"{entry.key} ({entry.variable.path}): in the model, not in the checkpoint"


def _only_there(entry: Mapping[str, Any]) -> str:
    return f"{entry['key']} ({entry['path']}): in the checkpoint, not in the model"


def pair(current: list[Entry], saved: Index) -> Pairs:
    """Pair a group's variables by the way to each, or else by position.

    By the way where both sides have the same set of ways, as Keras's own files do. A
    position, or a place in a list, is refused if a name from the user contradicts it.
    Checkpoints without ways are paired by position.
    """
    here = [None if one.place is None else one.place.way for one in current]
    there = [one.get("way") for one in saved]
    if None not in here and len(set(here)) == len(here) and set(here) == set(there):
        by_way = dict(zip(there, saved, strict=True))
        rows = [(one, by_way[way]) for one, way in zip(current, here, strict=True)]
        listed = [row for row in rows if row[0].place and row[0].place.listed]
        wrong = _contradictions(listed, current, saved)
        return Pairs(rows, "way", [], [], wrong)
    rows = list(zip(current, saved, strict=False))
    return Pairs(
        rows,
        "position",
        current[len(saved) :],
        list(saved[len(current) :]),
        _contradictions(rows, current, saved),
    )


def pair_common(current: list[Entry], saved: Index, arrays: Values) -> Pairs:
    """Pair the variables that both sides have in the same shape.

    By the names that the user gave, where these are unique; else by the way; and by
    position for a checkpoint without ways.
    """
    if not any("way" in one for one in saved):
        rows = list(zip(current, saved, strict=False))
    else:
        named, by_name = _unique_names(current), _unique_saved(saved, "name")
        by_way = _unique_saved(saved, "way")
        rows = []
        for one in current:
            stored = None
            if one.place is not None:
                name = one.place.name
                if name in named and name in by_name:
                    stored = by_name[name]
                else:
                    stored = by_way.get(one.place.way)
                    # The user gave it another name there.
                    if stored and stored.get("name") in named:
                        stored = None
            if stored is not None:
                rows.append((one, stored))
    rows = [(one, it) for one, it in rows if _has_shape(one, arrays[it["key"]])]
    taken = {id(stored) for _, stored in rows}
    paired = {one.key for one, _ in rows}
    return Pairs(
        rows,
        "name and way",
        [one for one in current if one.key not in paired],
        [one for one in saved if id(one) not in taken],
        [],
    )


def _unique_names(current: list[Entry]) -> set[str]:
    count = Counter(one.place.name for one in current if one.place is not None)
    return {name for name, times in count.items() if name and times == 1}


def _unique_saved(saved: Index, field: str) -> dict[str, Mapping[str, Any]]:
    count = Counter(one.get(field) for one in saved)
    return {
        one[field]: one for one in saved if one.get(field) and count[one[field]] == 1
    }


def _contradictions(
    rows: list[tuple[Entry, Mapping[str, Any]]], current: list[Entry], saved: Index
) -> list[str]:
    """Find pairs whose names, given by the user, belong to other variables."""
    here, there = _unique_names(current), set(_unique_saved(saved, "name"))
    found = []
    for one, stored in rows:
        name, other = one.place.name if one.place else "", stored.get("name")
        if name != other and name in there and other in here:
            found.append(
                f"{one.key} ({one.variable.path}): its place is that of {other!r} in "
                f"the checkpoint, which has {name!r} elsewhere"
            )
    return found


def _has_shape(entry: Entry, value: Any) -> bool:
    return list(value.shape) == _shape(entry)


def by_owner(
    current: list[Entry],
    saved: Index,
    arrays: Values,
    moved: Mapping[int, int],
    rounding: bool = False,
) -> tuple[Plan, list[str]]:
    """Pair one optimizer's variables with the saved ones of the same owner and slot.

    `moved` has the model's position of each saved weight.
    """
    here = [(entry.owner, entry.slot) for entry in current]
    there: list[tuple[int | None, str | None]] = [
        (
            moved.get(entry["owner"], ABSENT),
            entry["slot"],
        )
        if "owner" in entry
        else (None, without_number(entry["slot"]))
        for entry in saved
    ]
    if not any("owner" in entry for entry in saved):
        # It had made no step: variables that `build` makes were not saved.
        known = set(there)
        current = [one for one in current if (one.owner, one.slot) in known]
        here = [(entry.owner, entry.slot) for entry in current]
    if here == there:
        return fitted_pairs(list(zip(current, saved, strict=True)), arrays, rounding)
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
    return fitted_pairs(
        [(e, places[n]) for e, n in zip(current, here, strict=True)], arrays, rounding
    )


def other_kind(current: list[Entry], saved: Index) -> list[str]:
    """Say that an optimizer makes another step than the saved one, where that is known.

    Slots of one name are not of one meaning: the velocity of RMSprop is the mean square
    of Adam.
    """
    here = next((one.kind for one in current if one.kind), None)
    there = next((one["class"] for one in saved if "class" in one), None)
    if here is None or there in (None, here):
        return []
    return [f"it is {here}, and {there} was saved"]


ABSENT = -1
"""The position of a weight that the model does not have."""


def _slot(owner: int | None, slot: str | None) -> str:
    """Name an optimizer variable."""
    if owner == ABSENT:
        return f"optimizer {slot} of a weight that was not paired"
    return f"optimizer {slot}" + ("" if owner is None else f" of weights/{owner:04d}")


def fitted_pairs(
    pairs: list[tuple[Entry, Mapping[str, Any]]],
    arrays: Values,
    rounding: bool = False,
) -> tuple[Plan, list[str]]:
    """Check shape and values of each pair.

    Each variable gets its own array: JAX may take the host buffer over without a copy
    and later donate it, and one buffer under two names fails there ("Attempt to donate
    the same buffer twice").
    """
    plan: Plan = []
    problems: list[str] = []
    for entry, stored in pairs:
        array = arrays[stored["key"]]
        where = f"{entry.key} ({entry.variable.path})"
        if not _has_shape(entry, array):
            problems.append(_other_shape(entry, stored, array.shape))
            continue
        dtype = dtype_of(str(entry.variable.dtype))
        cast = fitted(array, dtype)
        if cast is None and rounding:
            cast = rounded(array, dtype)
        if cast is None:
            advice = (
                "; rounding=True rounds" if rounded(array, dtype) is not None else ""
            )
            problems.append(
                f"{where}: the checkpoint's {array.dtype} values cannot be written "
                f"exactly in the model's {entry.variable.dtype}{advice}"
            )
            continue
        plan.append((entry, cast))
    return plan, problems


def other_shapes(pairs: list[tuple[Entry, Mapping[str, Any]]]) -> list[str]:
    """Return the pairs whose shapes differ by the index alone, in sentences.

    Whether the index is right is seen when the arrays are there.
    """
    return [
        _other_shape(entry, stored, stored["shape"])
        for entry, stored in pairs
        if "shape" in stored and stored["shape"] != _shape(entry)
    ]


def _shape(entry: Entry) -> list[int]:
    return [int(size) for size in entry.variable.shape]


def _other_shape(entry: Entry, stored: Mapping[str, Any], shape: Sequence[int]) -> str:
    return (
        f"{entry.key} ({entry.variable.path}): shape {_shape(entry)} in the model, "
        f"{list(shape)} in the checkpoint ({stored['path']})"
    )


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
    if len(here) == len(there):
        pairs = list(zip(current["metrics"], saved, strict=True))
        plan, unfit = fitted_pairs(pairs, arrays)
    else:
        plan, unfit = [], ["another number of variables"]
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
    """Return the metric of each group of variables."""
    return [owner for owner, _ in itertools.groupby(paths, _owner)]


def _owner(path: str) -> str:
    return path.rpartition("/")[0]


def _by_metric(
    current: list[Entry], saved: Index, arrays: Values
) -> tuple[Plan, list[str]]:
    """Pair each metric's variables; zeros if a metric's layout has changed."""

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
        names = [without_number(str(entry.variable.path)) for entry in here]
        same = names == [without_number(str(entry["path"])) for entry in there]
        part, unfit = fitted_pairs(list(zip(here, there, strict=same)), arrays)
        if unfit or not same:
            changed.append(owner)
            part = [(entry, _zeros(entry.variable)) for entry in here]
        plan += part
    return plan, changed


def _zeros(variable: Any) -> Any:
    return np.zeros([int(size) for size in variable.shape], str(variable.dtype))


def _names(paths: Sequence[str]) -> str:
    """Name metrics from their variables' paths, each once."""
    return ", ".join(dict.fromkeys(path.rpartition("/")[0] for path in paths)) or "none"
