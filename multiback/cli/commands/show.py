"""`multiback show`: one checkpoint, its metrics, files and variables."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from multiback.checkpoint.loading.documents import recorded_threshold, variables_of
from multiback.cli.lightning_files import Listed
from multiback.cli.output import number_text, plain_table, size_text
from multiback.cli.records import Record, marks, peers_not_told_apart, record
from multiback.store import Checkpoint


def details(checkpoint: Listed) -> Record:
    """Describe one checkpoint: its files and variables too."""
    if not isinstance(checkpoint, Checkpoint):
        return {
            **record(checkpoint),
            **marks(checkpoint),
            "files": {checkpoint.name: {"size": checkpoint.size}},
            "variables": list(checkpoint.variables),
        }
    return {
        **record(checkpoint),
        "threshold": recorded_threshold(checkpoint),
        "cannot_be_told_apart": peers_not_told_apart(checkpoint),
        "parents": checkpoint.extra.get("parents", []),
        "files": {
            name: {"size": entry.size, "xxh3": entry.xxh3}
            for name, entry in checkpoint.files.items()
        },
        "variables": variables(checkpoint),
    }


def variables(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Return a checkpoint's index of variables; empty without one."""
    if "variables.json" not in checkpoint.files:
        return []
    return variables_of(checkpoint)


def details_view(shown: Record, *, with_variables: bool) -> RenderableType:
    """Lay out the result of `details`, with each variable or their number."""
    when = dt.datetime.fromtimestamp(shown["created"]).astimezone()
    versions = ", ".join(f"{name} {value}" for name, value in shown["versions"].items())
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in {
        "checkpoint": shown["name"],
        "run": shown["run_id"],
        "epoch": f"{shown['epoch']}, step {shown['step']}",
        "saved": f"{when:%Y-%m-%d %H:%M:%S %z}",
        "backend": shown["backend"] or "unknown",
        "versions": versions or "unknown",
        "architecture": shown["architecture"] or _without_architecture(shown),
        "variables": _groups(shown["variables"]) or "no index",
        "format": shown["format"],
        "files": ", ".join(
            f"{name} {size_text(entry['size'])}"
            for name, entry in shown["files"].items()
        ),
    }.items():
        facts.add_row(name, value)
    if shown.get("threshold") is not None:
        facts.add_row("threshold", _threshold(shown["threshold"]))
    intervals = shown["intervals"]
    columns = ("value", "judged by it", *(["95% interval"] if intervals else []))
    metrics = plain_table("metric", *columns)
    for name in dict.fromkeys([*shown["metrics"], *shown["scores"]]):
        ends = intervals.get(name)
        metrics.add_row(
            name,
            number_text(shown["metrics"].get(name)),
            number_text(shown["scores"].get(name)),
            f"{ends['lower']:.4g} to {ends['upper']:.4g}" if ends else "",
        )
    parts: list[RenderableType] = [facts, "", metrics]
    if parents := shown.get("parents"):
        names = ", ".join(str(each.get("name")) for each in parents)
        parts += ["", f"The average of {names}."]
    if near := shown.get("cannot_be_told_apart"):
        parts += ["", f"Cannot be told apart from it by that: {', '.join(near)}."]
    if with_variables:
        table = plain_table("variable", "group", "shape", "dtype")
        for entry in shown["variables"]:
            shape = "x".join(map(str, entry["shape"])) or "scalar"
            table.add_row(entry["path"], entry["group"], shape, entry["dtype"])
        parts += ["", table]
    return Group(*parts)


def _without_architecture(shown: Record) -> str:
    """Return how to load a checkpoint without an architecture."""
    if "marks" in shown:
        return "none: load_from_checkpoint of your LightningModule"
    return "none: restore() into a model"


def _threshold(found: float | Sequence[float]) -> str:
    """Return the threshold of the best score, or one a class."""
    return ", ".join(f"{one:.6g}" for one in np.ravel(found).tolist())


def _groups(index: Sequence[dict[str, Any]]) -> str:
    """Return how many variables each group has.

    >>> _groups([{"group": "weights"}, {"group": "weights"}, {"group": "seeds"}])
    'weights 2, seeds 1'
    """
    counts = Counter(entry["group"] for entry in index)
    return ", ".join(f"{group} {count}" for group, count in counts.items())
