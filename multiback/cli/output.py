"""Shared parts of every command's output: JSON, numbers, sizes, progress.

Results go to stdout, everything else to stderr: a pipe gets only the results.
"""

import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Table

from multiback.errors import cleaned
from multiback.store.format.jsontext import dump

# Faster work needs no bar, and a bar that flashes is noise.
PATIENCE = 1.0


class CleanConsole(Console):
    """Print names and ids from files of unknown origin."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does; only rich's own codes reach the terminal."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(cleaned(segment.text), segment.style)


def print_json(document: Any) -> None:
    """Print one JSON document; NaN and infinities as the strings of their names."""
    sys.stdout.write(dump(document, argument="document", indent=2).decode() + "\n")


def size_text(count: float) -> str:
    """Give a number of bytes in the largest unit that leaves a whole digit.

    >>> size_text(2048), size_text(300)
    ('2.0 KiB', '300 B')
    """
    if count < 1024:  # noqa: PLR2004 - the unit itself
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1024:  # noqa: PLR2004 - the unit itself
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} TiB"


def number_text(value: float | None, digits: int = 4) -> str:
    """Return a number in few characters, or a dash for None.

    >>> number_text(0.9134567), number_text(1.5e-7, 3), number_text(None)
    ('0.9135', '1.5e-07', '-')
    """
    return "-" if value is None else f"{value:.{digits}g}"


def score_text(value: float | None) -> str:
    """Give a number that stands in a column: four decimals, where they say something.

    >>> score_text(0.5), score_text(12.0), score_text(1.5e-7), score_text(None)
    ('0.5000', '12.0000', '1.5e-07', '-')
    """
    if value is None or not (value == 0 or 1e-3 <= abs(value) < 1e5):  # noqa: PLR2004 - where four decimals say something
        return number_text(value)
    return f"{value:.4f}"


def interval_text(score: float, half: float) -> str:
    """Give a score with half of its interval's length, to two digits of that.

    >>> interval_text(0.91234, 0.0193), interval_text(12.34, 2.5)
    ('0.912 ± .019', '12.3 ± 2.5')
    """
    if not 0.0 < half < math.inf:
        return score_text(score)
    digits = max(0, 1 - math.floor(math.log10(half)))
    around = f"{half:.{digits}f}"
    return f"{score:.{digits}f} ± {around.removeprefix('0') if digits else around}"


def count_text(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> count_text(1, "checkpoint"), count_text(2, "checkpoint")
    ('1 checkpoint', '2 checkpoints')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def plain_table(name: str, *numbers: str) -> Table:
    """Return a table of names, which fold instead of being cut, and numbers."""
    table = Table(box=None, pad_edge=False)
    table.add_column(name, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


@contextmanager
def progress_bar(
    doing: str, total: int | None, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr once the work has taken more than a second.

    Args:
        doing: The name of the work.
        total: The total in bytes; None if unknown.
        console: Where to show it instead.

    Yields:
        A function to call with the number of bytes done since the last call.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *([] if total is None else [DownloadColumn(), TimeRemainingColumn()]),
        console=console or Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(doing, total=total)
    starting = threading.Lock()
    is_over = False
    is_shown = False

    def start() -> None:
        nonlocal is_shown
        with starting:
            if not is_over:
                bar.start()
                is_shown = True

    timer = threading.Timer(PATIENCE, start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda count: bar.advance(task, count)
    finally:
        timer.cancel()
        with starting:
            is_over = True
            if is_shown:
                bar.stop()
