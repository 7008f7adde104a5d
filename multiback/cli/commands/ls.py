"""`multiback ls` and `multiback show`: what there is."""

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from multiback.checkpoint.loading.documents import variables_of
from multiback.cli.lightning_files import Listed
from multiback.cli.output import number_text, plain_table, size_text
from multiback.cli.records import Record, record, recorded_scores, runs_in
from multiback.errors import NoCheckpointError
from multiback.store import Checkpoint, Owner, Place

# Of 80 columns, what is left beside a readable name, the epoch and the size.
_WIDTH_OF_SCORES = 38


def listing(directory: Place, run: str | None = None) -> Record:
    """Describe a run directory's checkpoints, oldest commit first.

    Args:
        directory: The run directory.
        run: A run's id; None for all runs.

    Raises:
        NoCheckpointError: There is nothing to show.
    """
    location, found, skipped, writers = _found(directory, run)
    return {
        "directory": location,
        "checkpoints": [{**record(one), **_marks(one)} for one in found],
        "skipped": [{"path": str(path), "reason": reason} for path, reason in skipped],
        "writers": [_writer(one) for one in writers],
    }


def checkpoint_table(directory: Place, run: str | None = None) -> RenderableType:
    """Show a run directory's checkpoints, with what each was judged by.

    Args:
        directory: The run directory.
        run: A run's id; None for all runs.

    Raises:
        NoCheckpointError: There is nothing to show.
    """
    _, found, skipped, writers = _found(directory, run)
    parts: list[RenderableType] = []
    ids = list(dict.fromkeys(one.run_id for one in found))
    for run_id in ids:
        if len(ids) > 1:
            parts.append(f"run {run_id}")
        parts.append(_table([one for one in found if one.run_id == run_id]))
    parts += [f"passed over {path}: {reason}" for path, reason in skipped]
    parts += [_written(one) for one in writers]
    return Group(*parts)


def _writer(owner: Owner) -> Record:
    """Describe a process that writes a run."""
    return {
        "run_id": owner.run_id,
        "host": owner.host,
        "pid": owner.pid,
        "started": owner.started,
        "silent": owner.silent,
        "death": owner.death,
    }


def _written(owner: Owner) -> str:
    """Say who writes a run, or left it."""
    if owner.death is None:
        return f"being written by {owner.text}"
    return f"left by {owner.text}: {owner.death}"


def _found(
    directory: Place, run: str | None
) -> tuple[str, Sequence[Listed], Sequence[tuple[Any, str]], Sequence[Owner]]:
    """Return where it is, what there is, what was passed over, and who writes."""
    runs = runs_in(directory)
    found: Sequence[Listed] = runs.checkpoints(run)
    if not found:
        raise NoCheckpointError(
            f"{directory} holds no committed checkpoint"
            + (f" of the run {run!r}." if run else ".")
            + "".join(f" Passed over {path}: {why}" for path, why in runs.skipped)
            + "".join(f" It is {_written(one)}." for one in runs.writers())
            + " Pass the directory that was given to ModelCheckpoint."
        )
    return runs.location, found, runs.skipped, runs.writers()


def _marks(one: Listed) -> Record:
    """Return what Lightning calls one of its files, and which of ours is a copy."""
    if isinstance(one, Checkpoint):
        return {"copy_of": one.saved_as} if one.is_copy else {}
    return {"marks": list(one.marks)}


def _notes(one: Listed) -> list[str]:
    """Return what the table says behind a checkpoint."""
    marks = _marks(one)
    copies = [f"copy of {marks['copy_of']}"] if "copy_of" in marks else []
    return [*marks.get("marks", []), *copies]


def _table(found: Sequence[Listed]) -> Table:
    """Lay out one run's checkpoints."""
    scores = [recorded_scores(one) for one in found]
    labels = list(dict.fromkeys(label for each in scores for label in each))
    widths = itertools.accumulate(len(label) + 2 for label in labels)
    labels = [k for k, width in zip(labels, widths, strict=True) if _fits(width)]
    marks = [_notes(one) for one in found]
    table = plain_table("checkpoint", "epoch", *labels, "size", *[""] * any(marks))
    for one, score, marked in zip(found, scores, marks, strict=True):
        table.add_row(
            one.name,
            str(one.epoch),
            *(f"{score[k]:.4f}" if k in score else "-" for k in labels),
            size_text(one.size),
            *[", ".join(marked)] * any(marks),
        )
    return table


def _fits(width: int) -> bool:
    return width <= _WIDTH_OF_SCORES


def details(checkpoint: Listed) -> Record:
    """Describe one checkpoint: its files and variables too.

    Raises:
        CorruptCheckpointError: A file that is read is not what the manifest says.
    """
    if not isinstance(checkpoint, Checkpoint):
        return {
            **record(checkpoint),
            **_marks(checkpoint),
            "files": {checkpoint.name: {"size": checkpoint.size}},
            "variables": list(checkpoint.variables),
        }
    return {
        **record(checkpoint),
        "files": {
            name: {"size": entry.size, "xxh3": entry.xxh3}
            for name, entry in checkpoint.files.items()
        },
        "variables": variables(checkpoint),
    }


def variables(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Return a checkpoint's index of variables; empty where it has none."""
    if "variables.json" not in checkpoint.files:
        return []
    return variables_of(checkpoint)


def details_view(shown: Record, *, with_variables: bool) -> RenderableType:
    """Lay out what `details` returned.

    Args:
        shown: What `details` returned.
        with_variables: List each variable, not only how many there are.
    """
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
    metrics = plain_table("metric", "value", "judged by it")
    for name in dict.fromkeys([*shown["metrics"], *shown["scores"]]):
        metrics.add_row(
            name,
            number_text(shown["metrics"].get(name)),
            number_text(shown["scores"].get(name)),
        )
    parts: list[RenderableType] = [facts, "", metrics]
    if with_variables:
        table = plain_table("variable", "group", "shape", "dtype")
        for entry in shown["variables"]:
            shape = "x".join(map(str, entry["shape"])) or "scalar"
            table.add_row(entry["path"], entry["group"], shape, entry["dtype"])
        parts += ["", table]
    return Group(*parts)


def _without_architecture(shown: Record) -> str:
    """Say how a checkpoint is loaded that holds no architecture."""
    if "marks" in shown:
        return "none: load_from_checkpoint of your LightningModule"
    return "none: restore() into a model"


def _groups(index: Sequence[dict[str, Any]]) -> str:
    """Say how many variables each group has.

    >>> _groups([{"group": "weights"}, {"group": "weights"}, {"group": "seeds"}])
    '2 weights, 1 seeds'
    """
    counts = Counter(entry["group"] for entry in index)
    return ", ".join(f"{count} {group}" for group, count in counts.items())
