"""`multiback history`: every metric of every epoch, saved or not."""

import csv
import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from multiback.checkpoint.loading.history import history
from multiback.cli.lightning_files import refuse_lightning
from multiback.cli.output import count_text, score_text
from multiback.cli.records import Record
from multiback.errors import NoCheckpointError
from multiback.store import Place

_FIXED = ("run_id", "epoch", "step", "time")


def history_rows(directory: Place, run: str | None = None) -> list[Record]:
    """Return the rows of `multiback.history`; of the run that began last by default."""
    refuse_lightning(directory)
    rows = history(directory, run=run)
    if not rows:
        raise NoCheckpointError(
            f"{directory} holds no history"
            + (f" of the run {run!r}" if run is not None else "")
            + ". Pass the directory that was given to ModelCheckpoint."
        )
    return rows


def history_csv(rows: Sequence[Record]) -> str:
    r"""Write rows as CSV: one column a metric, an array as a list in its cell.

    >>> history_csv([{"epoch": 1, "f1": 0.5}, {"epoch": 2, "loss": 0.25}])
    'epoch,f1,loss\n1,0.5,\n2,,0.25\n'
    """
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class HistoryTable:
    """Lay out what `history_rows` returned for the available width."""

    def __init__(self, rows: Sequence[Record]) -> None:
        self._rows = rows

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        runs = dict.fromkeys(row["run_id"] for row in self._rows)
        title = f"run {next(iter(runs))}" if len(runs) == 1 else f"{len(runs)} runs"
        yield f"{title}, {count_text(len(self._rows), 'row')}"
        columns = {
            name: [_text(row.get(name)) for row in self._rows]
            for name in dict.fromkeys(name for row in self._rows for name in row)
            if name not in _FIXED
        }
        columns = {
            "epoch": [str(row["epoch"]) for row in self._rows],
            "step": [str(row["step"]) for row in self._rows],
            # Validation metrics first: checkpoints are ranked by them.
            **{name: columns[name] for name in columns if name.startswith("val")},
            **columns,
            "time": [_time(row["time"]) for row in self._rows],
        }
        left = options.max_width
        taken: list[str] = []
        dropped: list[str] = []
        for name, cells in columns.items():
            needed = 2 * bool(taken) + max(map(len, [name, *cells]))
            fits = needed <= left
            (taken if fits else dropped).append(name)
            left -= needed if fits else 0
        table = Table(box=None, pad_edge=False)
        for name in taken:
            table.add_column(name, justify="right", no_wrap=True)
        for i in range(len(self._rows)):
            table.add_row(*(columns[name][i] for name in taken))
        yield table
        if dropped:
            yield f"not shown: {', '.join(dropped)}; --csv and --json have every column"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]"
    return score_text(value) if isinstance(value, int | float) else "-"


def _time(value: Any) -> str:
    if not isinstance(value, int | float):
        return "-"
    return f"{dt.datetime.fromtimestamp(value).astimezone():%Y-%m-%d %H:%M:%S}"
