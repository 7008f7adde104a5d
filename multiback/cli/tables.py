"""What a run directory holds, as a table."""

from pathlib import Path

from rich.table import Table

from multiback.errors import NoCheckpointError
from multiback.store import RunDirectory


def _size(count: float) -> str:
    """Give a number of bytes in the largest unit that leaves a whole digit.

    >>> _size(2048), _size(300)
    ('2.0 KiB', '300 B')
    """
    if count < 1024:  # noqa: PLR2004 - the unit itself
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:  # noqa: PLR2004 - the unit itself
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def checkpoint_table(directory: Path, run: str | None = None) -> Table:
    """Show a run directory's checkpoints, with what each was judged by.

    Args:
        directory: The run directory.
        run: A run's id; None for all runs.

    Raises:
        NoCheckpointError: There is nothing to show.
    """
    found = RunDirectory(directory).checkpoints(run)
    if not found:
        raise NoCheckpointError(
            f"{directory} holds no committed checkpoint"
            + (f" of the run {run!r}." if run else ".")
            + " Pass the directory that was given to ModelCheckpoint."
        )
    labels = list(dict.fromkeys(k for c in found for k in c.extra.get("scores", {})))
    table = Table(box=None, pad_edge=False)
    table.add_column("checkpoint", no_wrap=True)
    for heading in ("epoch", *labels, "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        scores = one.extra.get("scores", {})
        table.add_row(
            one.name,
            str(one.epoch),
            *(f"{float(scores[k]):.4f}" if k in scores else "-" for k in labels),
            _size(sum(entry.size for entry in one.files.values())),
        )
    return table
