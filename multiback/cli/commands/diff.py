"""`multiback diff`: what differs between two checkpoints."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from multiback.cli.commands.show import variables
from multiback.cli.output import count_text, number_text, plain_table
from multiback.cli.records import Record
from multiback.store import ArrayDifference, Checkpoint, Difference, compare

_LONGEST_VALUE = 60
_DIGITS = 3


def difference(a: Checkpoint, b: Checkpoint) -> Record:
    """Compare two checkpoints of any runs and backends."""
    found = compare(a, b)
    # Keys are positions; the paths are for users, and so is the index's order.
    paths = {entry["key"]: entry["path"] for one in (b, a) for entry in variables(one)}
    places = {key: place for place, key in enumerate(paths)}
    ordered = sorted(found.arrays, key=lambda one: places.get(one.name, len(places)))
    return {
        "a": a.location,
        "b": b.location,
        "same": _is_same(found),
        "fields": {name: list(pair) for name, pair in found.fields.items()},
        "metrics": {name: list(pair) for name, pair in found.metrics.items()},
        "architecture": {name: list(pair) for name, pair in found.architecture.items()},
        "variables": [_variable(one, paths) for one in ordered],
    }


def _is_same(found: Difference) -> bool:
    return found.same_state and not found.architecture


def _variable(one: ArrayDifference, paths: Mapping[str, str]) -> Record:
    return {
        "key": one.name,
        "path": paths.get(one.name, one.name),
        "verdict": one.verdict,
        "shapes": [shape and list(shape) for shape in one.shapes],
        "dtypes": list(one.dtypes),
        "norms": list(one.norms),
        "change": one.change,
        "largest": one.largest,
    }


def difference_view(shown: Record) -> RenderableType:
    """Lay out the result of `difference`: equal entries are only counted."""
    parts: list[RenderableType] = [f"a  {shown['a']}", f"b  {shown['b']}", ""]
    parts += [
        f"{name}: {_value(old)} → {_value(new)}"
        for name, (old, new) in shown["fields"].items()
    ]
    parts += [_metrics(shown["metrics"]), ""]
    parts += [
        f"architecture {place or '(whole)'}: {_value(old)} → {_value(new)}"
        for place, (old, new) in shown["architecture"].items()
    ]
    if not shown["architecture"]:
        parts.append("The architectures are the same.")
    return Group(*parts, *_variables(shown["variables"]))


def _metrics(metrics: Mapping[str, Sequence[float | None]]) -> RenderableType:
    """Lay out the metrics of both."""
    table = plain_table("metric", "a", "b", "b - a")
    for name, (old, new) in metrics.items():
        step = None if old is None or new is None else new - old
        change = "-" if step is None else f"{step:+.4g}"
        table.add_row(name, number_text(old), number_text(new), change)
    return table


def _variables(found: Sequence[Record]) -> list[RenderableType]:
    """Lay out the variables that differ."""
    differing = [one for one in found if one["verdict"] != "same"]
    same = len(found) - len(differing)
    if not differing:
        return [f"All {count_text(same, 'variable')} are the same, bit for bit."]
    table = plain_table("variable", "‖a‖", "‖b‖", "‖b - a‖", "largest")
    for one in differing:
        name = one["path"]
        if one["verdict"] != "changed":
            shapes = " → ".join("-" if s is None else str(s) for s in one["shapes"])
            name += f" ({one['verdict']}: {shapes})"
        elif one["dtypes"][0] != one["dtypes"][1]:
            name += f" ({' → '.join(one['dtypes'])})"
        numbers = (*one["norms"], one["change"], one["largest"])
        table.add_row(name, *(number_text(number, _DIGITS) for number in numbers))
    return [
        table,
        (
            f"{count_text(len(differing), 'variable')} of {len(found)} differ; {same} "
            f"are the same, bit for bit."
        ),
    ]


def _value(value: Any) -> str:
    """Write a value on part of a line.

    >>> _value({"units": 4})
    '{"units": 4}'
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
