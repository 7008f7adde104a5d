"""`multiback verify`: whether every byte is as it was written."""

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType

from multiback.cli.lightning_files import Listed, lightning_directory, lightning_file
from multiback.cli.output import count_text, size_text
from multiback.cli.records import Record, run_or_every, runs_in
from multiback.errors import CorruptCheckpointError, NoCheckpointError
from multiback.store import Checkpoint, Place, is_run_directory, open_checkpoint

Found = tuple[Sequence[Listed], list[Record]]


def find(path: Place, run: str | None = None) -> Found:
    """Return the checkpoints of a directory, a run or a path, and first errors."""
    if lightning_directory(path) is None and not is_run_directory(path):
        try:
            return [lightning_file(path) or open_checkpoint(path)], []
        except CorruptCheckpointError as error:
            return [], [{"path": str(path), "problem": str(error)}]
    run, runs = run_or_every(path, run), runs_in(path)
    found: Sequence[Listed] = runs.checkpoints(run)
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

    `progress` gets the number of bytes read since its last call. Return the number of
    intact checkpoints, and all errors.
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
        "checksum": "xxh3" if all(map(_is_ours, checkpoints)) else "crc32",
        "ok": not wrong,
        "wrong": wrong,
    }


def _is_ours(one: object) -> bool:
    return isinstance(one, Checkpoint)


def verify_view(done: Record) -> RenderableType:
    """Lay out the result of `verify`."""
    read = f"{count_text(done['checked'], 'checkpoint')}, {size_text(done['bytes'])}"
    if done["ok"] and done["checksum"] == "crc32":
        return (
            f"Every part of each file fits its CRC-32: {read}. Lightning writes no "
            "checksum of a file, so one that was replaced whole goes unnoticed."
        )
    if done["ok"]:
        return f"Every byte is as it was written: {read}."
    return Group(
        *(f"✗ {each['problem']}" for each in done["wrong"]),
        f"{count_text(len(done['wrong']), 'problem')} found; {done['intact']} of "
        f"{read} intact.",
    )
