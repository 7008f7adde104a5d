"""One lock of the operating system, by a file whose name others open.

A lock means something only as long as its file has the name that others open. So the
file behind the lock is compared with the one that has the name, after it was taken and
before each rename; if it was removed, it is made and taken again.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from multiback.errors import NoLocksWarning, StoreError
from multiback.store.disk.files import store_errors
from multiback.warn import warn

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_Identity = tuple[int, int]


class Busy(Exception):  # noqa: N818 - caught here
    """Another process holds a lock."""


@dataclass
class Lock:
    """A lock that this process holds."""

    path: Path
    lock: filelock.BaseFileLock
    identity: _Identity

    @property
    def is_current(self) -> bool:
        """Whether the lock's file still has the name that others open."""
        return _identity(self.path) == self.identity


def _identity(path: Path) -> _Identity | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def locked(path: Path, timeout: float) -> Lock | None:
    """Lock a file; None where the file system has no locks.

    Raise `Busy` where another process, or another thread, holds it for too long.
    """
    held: list[os.stat_result] = []
    lock = filelock.FileLock(
        path,
        timeout=timeout,
        # Taken in one thread and released in another.
        thread_local=False,
        fallback_to_soft=False,
        preserve_lock_file=True,
        on_acquired=lambda descriptor: held.append(os.fstat(descriptor)),
    )
    while True:
        try:
            lock.acquire()
        except filelock.Timeout:
            raise Busy from None
        except NotImplementedError:
            _warn_of_no_locks(path)
            return None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                _warn_of_no_locks(path)
                return None
            with store_errors("lock", path):
                raise
        taken = Lock(path, lock, (held[-1].st_dev, held[-1].st_ino))
        if taken.is_current:
            return taken
        # Removed since it was opened: other processes lock a new file.
        lock.release()


def _warn_of_no_locks(path: Path) -> None:
    """Warn once per directory that its file system has no locks."""
    if path.parent not in _told:
        _told.add(path.parent)
        warn(
            f"{path.parent!s:.80} is on a mount without file locks: a note guards each "
            f"run instead; let one process at a time write there, or mount it with "
            f"locks.",
            NoLocksWarning,
        )


_told: set[Path] = set()


@contextmanager
def directory_lock(path: Path, timeout: float) -> Iterator[None]:
    """Hold the directory's lock while the block runs."""
    # Threads of one process wait for each other here, not at the file.
    turn = _turns.setdefault(path, threading.Lock())
    if not turn.acquire(timeout=timeout):
        raise _busy(path, timeout, "another thread of this process")
    try:
        try:
            taken = locked(path, timeout)
        except Busy:
            raise _busy(path, timeout, "another process") from None
        try:
            yield
        finally:
            if taken is not None:
                taken.lock.release()
    finally:
        turn.release()


_turns: dict[Path, threading.Lock] = {}
if hasattr(os, "register_at_fork"):
    # Another thread of the parent may have held one.
    os.register_at_fork(after_in_child=_turns.clear)


def _busy(path: Path, timeout: float, who: str) -> StoreError:
    return StoreError(
        f"{path} must be free within {timeout:g} seconds, but {who} holds it. It is "
        f"held for moments only: look for a stopped process, and end it. The lock is "
        f"released when its holder ends, so do not delete the file."
    )
