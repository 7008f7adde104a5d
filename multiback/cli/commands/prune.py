"""`multiback prune` and `multiback gc`: what may go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from multiback.checkpoint.choosing.slots import kept
from multiback.cli.commands.best import best_record, entries_of
from multiback.cli.lightning_files import refuse_lightning
from multiback.cli.output import count_text, plain_table, size_text
from multiback.cli.records import Record, record, the_run
from multiback.cli.slots import parse_slot
from multiback.errors import (
    ArgumentError,
    MonitorError,
    NoCheckpointError,
    StoreError,
)
from multiback.store import (
    Checkpoint,
    Place,
    Runs,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)


def prune(
    directory: Place, keep: Sequence[str], *, run: str | None = None, dry_run: bool
) -> Record:
    """Remove those checkpoints of one run that no slot keeps.

    Args:
        directory: The run directory.
        keep: Slots, as `parse_slot` reads them.
        run: A run's id; the latest run by default. No other is touched.
        dry_run: Remove nothing.

    Returns:
        What was removed and what was kept.

    Raises:
        ArgumentError: A slot cannot be read, or none keeps anything.
        MonitorError: A metric was never recorded, or has no known direction.
    """
    slots = [parse_slot(text) for text in keep]
    if not slots:
        raise ArgumentError(
            'prune wants at least one slot, such as --keep "Last(1)"; without any it '
            "would remove everything."
        )
    runs, found = the_run(directory, run)
    remaining: list[Checkpoint] = []

    def choose(found: Sequence[Checkpoint]) -> list[Checkpoint]:
        held: set[int] = set()
        for slot in slots:
            # Each on its own: two slots may judge one name by two conditions.
            held |= kept(entries_of(found, slot.monitors), [slot])
        if not held:
            raise ArgumentError(
                f"--keep {' '.join(map(repr, keep))} would remove all of the "
                f'{count_text(len(found), "checkpoint")}. Add "Last(1)", or delete '
                f"the directory yourself if that is what you want."
            )
        remaining[:] = [found[order] for order in sorted(held)]
        return remaining

    run_id = found[-1].run_id
    labels = [name for name in ("best", "last") if (runs.path / name).is_symlink()]
    removed = runs.prune(choose, run_id=run_id, dry_run=dry_run)
    if not dry_run:
        _point_again(runs, labels, run_id, remaining[-1])
    return {
        "directory": runs.location,
        "run_id": run_id,
        "dry_run": dry_run,
        "removed": [record(one) for one in removed],
        "kept": [record(one) for one in remaining],
    }


def _point_again(
    runs: Runs, labels: Sequence[str], run_id: str, last: Checkpoint
) -> None:
    """Let links that led to a removed checkpoint lead to the next in line."""
    for label in labels:
        if (runs.path / label).is_symlink():
            continue
        target = last
        if label == "best":
            try:
                target = open_checkpoint(best_record(runs.path, run=run_id)["path"])
            except (MonitorError, NoCheckpointError):
                continue
        runs.point(label, target)


def prune_view(done: Record) -> RenderableType:
    """Lay out what `prune` returned."""
    removed, remaining = done["removed"], done["kept"]
    table = plain_table("checkpoint", "epoch", "size", "")
    for one in sorted([*removed, *remaining], key=lambda one: one["sequence"]):
        verdict = "keep" if one in remaining else "remove"
        table.add_row(one["name"], str(one["epoch"]), size_text(one["size"]), verdict)
    freed = size_text(sum(one["size"] for one in removed))
    verb = "Would remove" if done["dry_run"] else "Removed"
    return Group(
        table,
        f"{verb} {len(removed)} of "
        f"{count_text(len(removed) + len(remaining), 'checkpoint')} of the run "
        f"{done['run_id']}, {freed}.",
    )


def collect(directory: Place, *, dry_run: bool) -> Record:
    """Delete what dead writers left, and architectures that no checkpoint names.

    Args:
        directory: The run directory.
        dry_run: Delete nothing.

    Raises:
        ArgumentError: It is a directory of Lightning's.
        NoCheckpointError: It is no run directory.
        StoreError: Another process holds the lock, or a file cannot be deleted.
    """
    refuse_lightning(directory)
    runs = open_run_directory(directory)
    if not is_run_directory(directory):
        raise NoCheckpointError(
            f"{directory} must be a run directory, but has no `checkpoints` in it. "
            f"Pass the directory that was given to ModelCheckpoint."
        )
    found = runs.collect_garbage(dry_run=True)
    sizes = {path: _size(path) if isinstance(path, Path) else 0 for path in found}
    if not dry_run:
        # Asked again under the lock: a writer may have died in between.
        sizes = {path: sizes.get(path, 0) for path in runs.collect_garbage()}
    return {
        "directory": runs.location,
        "dry_run": dry_run,
        "removed": [{"path": str(path), "size": size} for path, size in sizes.items()],
    }


def _size(path: Path) -> int:
    """Add up what a file or directory holds, without following links."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(_size(child) for child in path.iterdir())
        return path.lstat().st_size
    except OSError as error:
        raise StoreError(
            f"could not look at {path}: {error.strerror}. Check the permissions there."
        ) from error


def collect_view(done: Record) -> RenderableType:
    """Lay out what `collect` returned."""
    removed: list[dict[str, Any]] = done["removed"]
    if not removed:
        return "Nothing to collect."
    table = plain_table("path", "size")
    for one in removed:
        table.add_row(one["path"], size_text(one["size"]))
    verb = "Would remove" if done["dry_run"] else "Removed"
    total = size_text(sum(one["size"] for one in removed))
    return Group(table, f"{verb} {count_text(len(removed), 'leftover')}, {total}.")
