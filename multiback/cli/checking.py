"""`multiback verify`: whether every byte is as it was written."""

from collections.abc import Callable

from rich.console import Group, RenderableType

from multiback.cli.output import count_text, size_text
from multiback.cli.records import Record
from multiback.errors import CorruptCheckpointError, NoCheckpointError
from multiback.store import (
    Checkpoint,
    Place,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)

Found = tuple[list[Checkpoint], list[Record]]


def find(path: Place, run: str | None = None) -> Found:
    """Return the checkpoints that are to be verified, and what is wrong already.

    Args:
        path: A run directory, or one checkpoint.
        run: Only this run of the directory.

    Raises:
        NoCheckpointError: There is nothing there.
    """
    if not is_run_directory(path):
        try:
            return [open_checkpoint(path)], []
        except CorruptCheckpointError as error:
            return [], [{"path": str(path), "problem": str(error)}]
    runs = open_run_directory(path)
    found = runs.checkpoints(run)
    wrong = [{"path": str(where), "problem": why} for where, why in runs.skipped]
    if not found and not wrong:
        raise NoCheckpointError(
            f"{path} holds no committed checkpoint"
            + (f" of the run {run!r}." if run else ".")
            + " Pass the directory that was given to ModelCheckpoint."
        )
    return found, wrong


def verify(found: Found, progress: Callable[[int], None] | None = None) -> Record:
    """Read every file once and compare it with its manifest.

    Args:
        found: What `find` returned.
        progress: Called with the number of bytes read since the last call.

    Returns:
        How many are intact, and everything that is wrong.
    """
    checkpoints, wrong = found
    wrong = list(wrong)
    intact = []
    for one in checkpoints:
        damage = one.damage(progress)
        wrong += [{"path": one.location, "problem": str(each)} for each in damage]
        if not damage:
            intact.append(one)
    return {
        "checked": len(checkpoints),
        "intact": len(intact),
        "bytes": sum(one.size for one in checkpoints),
        "ok": not wrong,
        "wrong": wrong,
    }


def verify_view(done: Record) -> RenderableType:
    """Lay out what `verify` returned."""
    read = f"{count_text(done['checked'], 'checkpoint')}, {size_text(done['bytes'])}"
    if done["ok"]:
        return f"Every byte is as it was written: {read}."
    return Group(
        *(f"✗ {each['problem']}" for each in done["wrong"]),
        f"{count_text(len(done['wrong']), 'problem')} found; {done['intact']} of "
        f"{read} intact.",
    )
