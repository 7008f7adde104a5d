"""`multiback ls`: the checkpoints of a run directory."""

import contextlib
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from multiback.checkpoint.loading.documents import recorded_scores_of
from multiback.checkpoint.loading.find import rank
from multiback.checkpoint.loading.history import measurements
from multiback.cli.lightning_files import Listed
from multiback.cli.output import count_text, size_text
from multiback.cli.records import (
    Record,
    marks,
    record,
    recorded_scores,
    run_or_every,
    runs_in,
    score_and_interval,
)
from multiback.errors import MultibackError, NoCheckpointError, cleaned
from multiback.store import Checkpoint, Owner, Place

METRICS = 3
# A longer name is folded.
_NAME, _SHARE = 24, 0.5
# A monitor of more letters has the heading "score".
_LONG = 20


def listing(directory: Place, run: str | None = None) -> Record:
    """Describe the checkpoints of a run or of all, oldest commit first."""
    location, found, skipped, writers = _found(directory, run)
    runs = _runs(directory, found)
    return {
        "directory": location,
        "runs": [
            {
                "run_id": one.run_id,
                "epochs": one.epochs,
                "monitor": one.monitor,
                "mode": one.mode,
            }
            for one in runs
        ],
        "checkpoints": [
            {**record(one), **marks(one), "marks": notes}
            for run_of in runs
            for one, notes in zip(run_of.found, run_of.marks, strict=True)
        ],
        "skipped": [{"path": str(path), "reason": reason} for path, reason in skipped],
        "writers": [_writer(one) for one in writers],
    }


def checkpoint_table(directory: Place, run: str | None = None) -> RenderableType:
    """Show the checkpoints of a run or of all, with their scores."""
    _, found, skipped, writers = _found(directory, run)
    parts: list[RenderableType] = []
    for one in _runs(directory, found):
        parts += ["", one] if parts else [one]
    parts += [f"passed over {path}: {reason}" for path, reason in skipped]
    parts += [_written(one) for one in writers]
    return Group(*parts)


class _Run(NamedTuple):
    """One run's checkpoints, laid out for the available width.

    Attributes:
        run_id: The run.
        found: Its checkpoints, oldest first.
        marks: The notes behind each: "best", "last", or Lightning's own words.
        epochs: The epochs that ran; None if there is no history.
        monitor: The monitor's label, or None.
        mode: Which way is better, or None.
    """

    run_id: str
    found: Sequence[Listed]
    marks: Sequence[list[str]]
    epochs: int | None
    monitor: str | None
    mode: str | None

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        room, columns = self._columns(options.max_width)
        yield self._title(dated="saved" not in columns)
        # One text: rich's table of 5,000 rows takes four seconds.
        yield Text("\n".join(self._lines(room, columns)), no_wrap=True)

    def _title(self, *, dated: bool) -> str:
        own = self.run_id != "."
        facts = [f"run {self.run_id}" if own else "checkpoints of Lightning"]
        if self.epochs is not None:
            facts.append(count_text(self.epochs, "epoch"))
        if self.monitor is not None:
            facts.append(f"judged by {self.monitor} ({self.mode})")
        if dated:
            facts.append(f"last saved {_time(self.found[-1].created)}")
        return ", ".join(facts)

    def _columns(self, width: int) -> tuple[int, dict[str, list[str]]]:
        """Return the width of the names, and the columns that fit.

        The most important ones are taken first.
        """
        longest = max(len("checkpoint"), *(cell_len(one.name) for one in self.found))
        names = min(longest, max(_NAME, int(width * _SHARE)))
        left = width - names
        notes = [", ".join([*each, *copied(one)]) for one, each in self._marked()]
        columns = {
            "epoch": [str(one.epoch) for one in self.found],
            "": notes,
            "size": [size_text(one.size) for one in self.found],
            "saved": [_time(one.created) for one in self.found],
        }
        scores = self._scores()
        judged, others = list(scores)[:1], list(scores)[1:]
        order = ["", "epoch", *judged, "size", *others, "saved"]
        columns |= scores
        taken: list[str] = []
        for name in order:
            needed = 2 + max(map(cell_len, [name, *columns[name]]))
            if needed == 2 or needed > left:  # noqa: PLR2004 - nothing to show
                continue
            if name in others and judged[0] not in taken:
                continue  # It would look like what decides.
            taken.append(name)
            left -= needed
        shown = ("epoch", *scores, "size", "saved", "")
        return min(longest, names + left), {
            name: columns[name] for name in shown if name in taken
        }

    def _lines(self, room: int, columns: Mapping[str, list[str]]) -> Iterator[str]:
        """Yield a line a checkpoint; a long name folds, and numbers end in line."""
        sizes = [max(map(cell_len, [name, *columns[name]])) for name in columns]
        rows = (
            zip(*columns.values(), strict=True) if columns else [()] * len(self.found)
        )
        names = ["checkpoint", *(cleaned(one.name) for one in self.found)]
        for name, cells in zip(names, [tuple(columns), *rows], strict=True):
            first, *more = chop_cells(name, room) or [""]
            line = set_cell_size(first, room)
            for heading, cell, size in zip(columns, cells, sizes, strict=True):
                space = " " * (size - cell_len(cell))
                line += f"  {cell}{space}" if heading == "" else f"  {space}{cell}"
            yield line.rstrip()
            yield from more

    def _marked(self) -> Sequence[tuple[Listed, list[str]]]:
        return list(zip(self.found, self.marks, strict=True))

    def _scores(self) -> dict[str, list[str]]:
        """Return up to three metrics by name: the monitor first."""
        rows: list[Mapping[str, float]] = [
            {**one.metrics, **recorded_scores(one)} for one in self.found
        ]
        judged = dict.fromkeys(
            name for one in self.found for name in recorded_scores(one)
        )
        # What the monitor reads, such as the name in its condition, decides too.
        read = re.findall(r"\w+", " ".join(judged))
        others = sorted(
            dict.fromkeys(name for row in rows for name in row),
            key=lambda name: name not in read,
        )
        names = list(dict.fromkeys([*judged, *others]))[:METRICS]
        return {
            # The title has the whole name.
            "score" if name == self.monitor and len(name) > _LONG else name: [
                score_and_interval(one, name, row.get(name))
                for one, row in zip(self.found, rows, strict=True)
            ]
            for name in names
        }


def _time(created: float) -> str:
    return f"{dt.datetime.fromtimestamp(created).astimezone():%Y-%m-%d %H:%M}"


def _runs(directory: Place, found: Sequence[Listed]) -> list[_Run]:
    """Describe each run of some checkpoints, in their order."""
    described = []
    for run_id in dict.fromkeys(one.run_id for one in found):
        own = [one for one in found if one.run_id == run_id]
        ours = [one for one in own if isinstance(one, Checkpoint)]
        if len(ours) < len(own):
            theirs = [list(getattr(one, "marks", [])) for one in own]
            described.append(_Run(run_id, own, theirs, None, None, None))
            continue
        monitor = mode = best = None
        with contextlib.suppress(MultibackError):  # No monitor, or no score.
            recorded = recorded_scores_of(ours[-1])
            monitor = next(iter(recorded.ranking), None)
            mode = recorded.modes.get(monitor) if monitor else None
            best = rank(ours, None, "auto")[0]
        originals = [one for one in ours if not one.is_copy]
        last = originals[-1] if originals else None
        notes = [["best"] * (one is best) + ["last"] * (one is last) for one in own]
        described.append(
            _Run(run_id, own, notes, _epochs(directory, run_id), monitor, mode)
        )
    return described


def _epochs(directory: Place, run_id: str) -> int | None:
    """Return how many epochs a run has completed, by its history."""
    rows = measurements(directory, run=run_id)
    return rows[-1]["epoch"] if rows else None


def copied(one: Listed) -> list[str]:
    """Return which checkpoint this one is a copy of, if any."""
    is_copy = isinstance(one, Checkpoint) and one.is_copy
    return [f"copy of {one.saved_as}"] if is_copy else []  # type: ignore[union-attr]


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
    """Return which process writes a run, or has left it."""
    if owner.death is None:
        return f"being written by {owner.text}"
    return f"left by {owner.text}: {owner.death}"


def _found(
    directory: Place, run: str | None
) -> tuple[str, Sequence[Listed], Sequence[tuple[Any, str]], Sequence[Owner]]:
    """Return the location, the checkpoints, the skipped paths and the writers."""
    run, runs = run_or_every(directory, run), runs_in(directory)
    found: Sequence[Listed] = runs.checkpoints(run)
    if not found:
        raise NoCheckpointError(
            f"{directory} holds no committed checkpoint"
            + (f" of the run {run!r}." if run else ".")
            + "".join(f" Passed over {path}: {why}" for path, why in runs.skipped)
            + "".join(f" It is {_written(one)}." for one in runs.writers())
            + ("" if _is_there(directory) else " There is no such directory.")
            + " Pass the directory that was given to ModelCheckpoint."
        )
    return runs.location, found, runs.skipped, runs.writers()


def _is_there(directory: Place) -> bool:
    """Return whether a directory exists; True for a URL, which was looked up before."""
    return "://" in str(directory) or Path(directory).exists()
