"""`multiback gc`: delete the leftovers of dead writers."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from multiback.cli.lightning_files import refuse_lightning
from multiback.cli.output import count_text, plain_table, size_text
from multiback.cli.records import Record
from multiback.errors import NoCheckpointError, StoreError
from multiback.store import Place, is_run_directory, open_run_directory


def collect(directory: Place, *, dry_run: bool) -> Record:
    """Delete leftovers of dead writers, and architectures that no checkpoint names."""
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
        # Read again under the lock: a writer may have died in between.
        sizes = {path: sizes.get(path, 0) for path in runs.collect_garbage()}
    return {
        "directory": runs.location,
        "dry_run": dry_run,
        "removed": [{"path": str(path), "size": size} for path, size in sizes.items()],
    }


def _size(path: Path) -> int:
    """Return the size of a file or directory, without following links."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(_size(child) for child in path.iterdir())
        return path.lstat().st_size
    except OSError as error:
        raise StoreError(
            f"could not look at {path}: {error.strerror}. Check the permissions there."
        ) from error


def collect_view(done: Record) -> RenderableType:
    """Lay out the result of `collect`."""
    removed: list[dict[str, Any]] = done["removed"]
    if not removed:
        return "Nothing to collect."
    table = plain_table("path", "size")
    for one in removed:
        table.add_row(one["path"], size_text(one["size"]))
    verb = "Would remove" if done["dry_run"] else "Removed"
    total = size_text(sum(one["size"] for one in removed))
    return Group(table, f"{verb} {count_text(len(removed), 'leftover')}, {total}.")
