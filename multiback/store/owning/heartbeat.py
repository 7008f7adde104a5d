"""Show that this process is alive: touch what says which runs it writes.

One thread for all of them, a daemon that sleeps almost always: it keeps no process
alive, and a `fit` that is busy for hours still beats. It touches a file only while
that says what this process wrote, so nobody keeps a successor's run alive.
"""

import os
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path

from multiback.store.disk.files import open_regular

MAX_RECORD = 1 << 16


def read_record(path: Path) -> tuple[bytes, float] | None:
    """Return a small file's content and when it was touched; None if it is none."""
    try:
        # Opened, and not only asked for: network disks then look at the server.
        descriptor = open_regular(path)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        try:
            return stream.read(MAX_RECORD), os.fstat(descriptor).st_mtime
        except OSError:
            return None


def touch(path: Path, content: bytes) -> None:
    """Touch a file if it has this content."""
    there = read_record(path)
    if there is not None and there[0] == content:
        with suppress(OSError):
            os.utime(path)


class Heart:
    """Call functions again and again, each as often as it is asked to.

    They must not raise; one that takes long delays the others.
    """

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._beating: dict[Hashable, tuple[Callable[[], object], float]] = {}
        self._thread: threading.Thread | None = None

    def begin(self, key: Hashable, beat: Callable[[], object], interval: float) -> None:
        """Call `beat` every `interval` seconds, until the end of this key."""
        with self._turn:
            self._beating[key] = beat, interval
            self._turn.notify()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="multiback-heartbeat", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:
                    # No more threads: on this machine the process table tells.
                    self._thread = None

    def end(self, key: Hashable) -> None:
        """Call it no more."""
        with self._turn:
            self._beating.pop(key, None)
            self._turn.notify()

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._beating:
                    self._thread = None
                    return
                beating = dict(self._beating)
                pause = min(interval for _, interval in beating.values())
                # Also woken early, to count with a newcomer.
                self._turn.wait(pause)
                # What has ended meanwhile must not come back.
                beats = [beating[key][0] for key in beating if key in self._beating]
            for beat in beats:
                beat()
