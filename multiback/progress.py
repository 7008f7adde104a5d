"""A bar on stderr for work that takes more than a second, in a terminal."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Faster work needs no bar, and a bar that flashes is noise.
PATIENCE = 1.0
# Work within work, as a load within an export, shows the outer bar.
_shown = threading.Lock()


@contextmanager
def progress_bar(
    doing: str, total: int | None = None, console: "Console | None" = None
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr, or a console, once the work takes more than a second.

    Yield a function to call with the number of bytes done since the last call; a total
    of None is unknown.
    """
    in_terminal = sys.stderr is not None and sys.stderr.isatty()
    if (console is None and not in_terminal) or not _shown.acquire(blocking=False):
        yield lambda _count: None
        return
    try:
        with _bar(doing, total, console) as advance:
            yield advance
    finally:
        _shown.release()


@contextmanager
def _bar(
    doing: str, total: int | None, console: "Console | None"
) -> Iterator[Callable[[int], None]]:
    starting = threading.Lock()
    is_over = False
    done = 0
    bar: Any = None

    def start() -> None:
        nonlocal bar
        with starting:
            if not is_over:
                bar = _made(doing, total, done, console)
                bar.start()

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done)

    timer = threading.Timer(PATIENCE, start)
    timer.daemon = True
    timer.start()
    try:
        yield advance
    finally:
        timer.cancel()
        with starting:
            is_over = True
            if bar is not None:
                bar.stop()


def _made(doing: str, total: int | None, done: int, console: "Console | None") -> Any:
    """Return a bar; rich is imported only where one is shown."""
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *([] if total is None else [DownloadColumn(), TimeRemainingColumn()]),
        console=console or Console(stderr=True),
        transient=True,
    )
    bar.add_task(escape(doing), total=total, completed=done)
    return bar
