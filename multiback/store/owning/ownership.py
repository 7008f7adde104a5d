"""Let one process at a time write a run, and take over from those that died.

`lock-HASH.json` in the run directory names the process that writes a run; it is
written and removed under the directory's lock, and touched while that process lives.
The rule, for whoever wants to write a run that another process has taken:

1. on the same machine a process that exists is never taken over from, and one that is
   gone is, at once;
2. elsewhere, one that gives signs of life is never taken over from, and one that gives
   none is, once it has been silent for `STALE_BEATS` intervals. Whoever comes earlier
   waits so long, or until there is a sign; and two intervals in any case, for a clock
   that was set, or a machine that slept, makes a living process look silent;
3. a process that was taken over from, and wakes up, is refused its next change.

How long is told by the file system's clock alone, against a file that was written just
now: the clocks of two machines differ. This process's own runs are never in its way.
"""

import atexit
import functools
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

import xxhash

from multiback.errors import OwnerWarning, StoreError
from multiback.store.disk.files import Files, store_errors
from multiback.store.disk.removal import TEMPORARY, discard, scratch
from multiback.store.format.payload import write_file
from multiback.store.owning.heartbeat import Heart, read_record, touch
from multiback.store.owning.owner import Owner, parse_owner, this_process
from multiback.warn import warn

_PREFIX = "lock-"
_LOOKS_PER_BEAT = 2
# So long a silent process is watched, and never longer, whatever its file says.
_WATCHED_BEATS, _WATCHED_SECONDS = 2, 600.0

# Who writes a run, and when that was last touched.
_Seen = tuple[Owner, float]


class Ownership:
    """Know who writes the runs of one directory.

    Args:
        directory: The run directory.
        files: How to change the file system.
        interval: Seconds between signs of life.
    """

    def __init__(self, directory: Path, files: Files, interval: float) -> None:
        self._directory = directory
        self._files = files
        self._interval = interval

    def path_of(self, run_id: str) -> Path:
        """Return the file that names a run's writer."""
        digest = xxhash.xxh3_128_hexdigest(run_id.encode("utf-8", "surrogatepass"))
        return self._directory / f"{_PREFIX}{digest}.json"

    def owners(self, now: float | None = None) -> list[Owner]:
        """List the processes that write a run, or died while they did.

        Args:
            now: The file system's time; this machine's where nobody asked.
        """
        found = (self._read(path, now) for path in self.files())
        return sorted((one for one in found if one), key=lambda one: one.started)

    def beats(self) -> dict[Owner, float]:
        """Return when each process that writes a run last gave a sign of life."""
        there = [(path, read_record(path)) for path in self.files()]
        known = [(parse_owner(one[0], 0.0), one[1]) for _, one in there if one]
        return {owner: touched for owner, touched in known if owner}

    def files(self) -> list[Path]:
        """List the files that name a writer, or are to."""
        return sorted(self._directory.glob(f"{_PREFIX}*.json"))

    def _read(self, path: Path, now: float | None = None) -> Owner | None:
        there = read_record(path)
        if there is None:
            return None
        raw, touched = there
        return parse_owner(raw, (time.time() if now is None else now) - touched)

    def dead(self) -> list[Path]:
        """List the files that name processes of this machine that are gone, or none."""
        found = []
        for path in self.files():
            owner = self._read(path)
            # By this machine's clock nobody can say that another's is silent.
            if owner is None or (owner.is_here and owner.death):
                found.append(path)
        return found

    def claim(
        self, run_id: str, locked: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Take a run; wait until it is known whether another process still writes it.

        Args:
            run_id: The run.
            locked: Holds the directory's lock while a block runs.

        Raises:
            StoreError: Another process writes it.
        """
        seen: _Seen | None = None
        begun = time.monotonic()
        while True:
            with locked():
                now = self._try(run_id, seen, time.monotonic() - begun)
            if now is None:
                return
            if seen is None:
                seen = now
            time.sleep(min(now[0].interval, self._interval) / _LOOKS_PER_BEAT)

    def _try(self, run_id: str, seen: _Seen | None, waited: float) -> _Seen | None:
        """Take a run unless somebody else may still write it; return who that is."""
        path = self.path_of(run_id)
        me = this_process(run_id, self._interval)
        content = me.dumped()
        mine = self._directory / scratch(TEMPORARY)
        try:
            write_file(self._files, mine, [content])
            owner = self._read(path, mine.stat().st_mtime)
            if owner is not None and not owner.is_me:
                now = owner, path.stat().st_mtime
                if not self._is_dead(now, seen, waited):
                    discard(self._files, mine)
                    return now
            with store_errors("name the writer in", path):
                self._files.replace(mine, path)
        except BaseException:
            discard(self._files, mine)
            raise
        _claims.begin(path, content, me.interval)
        return None

    def _is_dead(self, now: _Seen, seen: _Seen | None, waited: float) -> bool:
        """Tell whether another process is dead; False if it is too early to tell.

        Raises:
            StoreError: It is alive.
        """
        owner = now[0]
        if now == seen:
            # Whatever the file system's clock says.
            owner = replace(owner, silent=max(owner.silent, waited))
        watch = min(_WATCHED_BEATS * owner.interval, _WATCHED_SECONDS)
        was_watched = now == seen and waited >= watch
        if (death := owner.death) and (owner.is_gone or was_watched):
            warn(owner.left(self._directory, death), OwnerWarning)
            return True
        if owner.is_known_alive or seen not in (None, now):
            raise StoreError(owner.refusal(self._directory))
        return False

    def check(self, run_id: str) -> None:
        """Refuse a change of a run that another process has taken.

        Raises:
            StoreError: It has, or this process had it and has it no more.
        """
        path = self.path_of(run_id)
        owner = self._read(path)
        if owner is None:
            if not _claims.has(path):
                return
            now = "has none: it was taken over and ended, or the file was deleted"
        elif owner.is_me or (owner.is_gone and not _claims.has(path)):
            # Of one elsewhere only `claim` finds out, which waits.
            return
        else:
            now = f"is written by {owner.text}"
        raise StoreError(
            f"{path} must name this process as the writer of the run {run_id!r}, but "
            f"the run {now}. Nothing was changed. Start a new run, or resume this one "
            f"once it has ended."
        )

    def release(self, run_id: str) -> None:
        """Give a run back; one that is another's, or no one's, is left alone."""
        _claims.end(self._files, self.path_of(run_id))


class _Claims:
    """The runs that this process writes; given back at the latest when it ends."""

    def __init__(self) -> None:
        self._contents: dict[Path, bytes] = {}
        self._heart = Heart()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """After a fork these are the parent's, and so is the thread."""
        self._contents, self._heart = {}, Heart()

    def has(self, path: Path) -> bool:
        """Tell whether a run was taken and not given back."""
        return path in self._contents

    def begin(self, path: Path, content: bytes, interval: float) -> None:
        """Keep a run, and show signs of life."""
        self._contents[path] = content
        self._heart.begin(path, functools.partial(touch, path, content), interval)

    def end(self, files: Files, path: Path) -> None:
        """Give a run back."""
        content = self._contents.pop(path, None)
        self._heart.end(path)
        there = read_record(path)
        if content is not None and there is not None and there[0] == content:
            # Left over, it names a process that is gone: no harm.
            with suppress(OSError):
                files.unlink(path)

    def end_all(self) -> None:
        """Give all of them back."""
        for path in list(self._contents):
            self.end(Files(), path)


_claims = _Claims()
atexit.register(_claims.end_all)
