"""The lock that is held while a run directory changes.

The operating system releases it when its holder dies. Where it does not, on some
network disks or when a fork of the holder lives on, the lock is taken over if every
process that is known to write there is dead: its file is moved away, under a lock of
its own so that two who take over do not move each other's.
"""

import errno
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import filelock

from multiback.errors import OwnerWarning, StoreError
from multiback.store.disk.files import Files, store_errors
from multiback.store.disk.removal import TEMPORARY, scratch
from multiback.store.owning.owner import Owner
from multiback.store.owning.ownership import Ownership
from multiback.warn import warn

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


class ChangeLock:
    """One process and thread at a time changes a directory.

    Args:
        path: The lock's file.
        files: How to change the file system.
        timeout: Seconds to wait for another holder.
        ownership: Who may hold it.
    """

    def __init__(
        self, path: Path, files: Files, timeout: float, ownership: Ownership
    ) -> None:
        self._path = path
        self._files = files
        self._timeout = timeout
        self._ownership = ownership

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it while the block runs.

        Raises:
            StoreError: Somebody else holds it for too long.
        """
        turn = _turns.setdefault(self._path, threading.RLock())
        if not turn.acquire(timeout=self._timeout):
            raise self._busy("another thread of this process")
        try:
            # A new one each time: it may not be used in a fork or a copy.
            lock = filelock.FileLock(self._path)
            self._acquire(lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            turn.release()

    def _acquire(self, lock: filelock.BaseFileLock) -> None:
        if self._acquired(lock, 0):
            return
        seen = self._ownership.beats()
        if self._acquired(lock, self._timeout):
            return
        takeover = self._path.with_name(f"{self._path.name}-takeover")
        with (
            store_errors("lock", takeover),
            filelock.FileLock(takeover, timeout=self._timeout),
        ):
            # Whoever was here before may have done it.
            if not self._acquired(lock, 0):
                with store_errors("touch", takeover):
                    os.utime(takeover)
                self._take_over(lock, seen, takeover.stat().st_mtime)

    def _acquired(self, lock: filelock.BaseFileLock, timeout: float) -> bool:
        try:
            with store_errors("lock", self._path):
                lock.acquire(timeout=timeout)
        except StoreError as error:
            if isinstance(error.__cause__, filelock.Timeout):
                return False
            if error.errno in _NO_LOCKS:
                raise self._no_locks(os.strerror(error.errno)) from error
            raise
        except NotImplementedError as error:
            # What older versions of filelock make of it.
            raise self._no_locks(str(error)) from error
        return True

    def _take_over(
        self, lock: filelock.BaseFileLock, seen: Mapping[Owner, float], now: float
    ) -> None:
        """Move the lock away if all that may hold it are dead.

        Args:
            lock: The lock.
            seen: Who gave a sign of life when, as it was before the wait.
            now: The file system's time.
        """
        beats = self._ownership.beats()
        # No thread of this process holds it: that was the first thing to wait for.
        owners = [one for one in self._ownership.owners(now) if not one.is_me]
        # Whatever a clock says, who gave a sign during the wait is alive.
        living = [
            one
            for one in owners
            if one.death is None
            or (not one.is_gone and beats.get(one) != seen.get(one))
        ]
        if living:
            raise self._busy(
                "; ".join(one.text for one in living),
                " ".join(dict.fromkeys(one.advice for one in living)),
            )
        if not owners:
            raise self._busy("a process that left no name")
        warn(
            f"{self._path} is held, but all that may hold it are dead: "
            f"{'; '.join(f'{one.text}: {one.death}' for one in owners)}. It is taken "
            f"over.",
            OwnerWarning,
        )
        with store_errors("move away", self._path):
            self._files.rename(self._path, self._path.with_name(scratch(TEMPORARY)))
        if not self._acquired(lock, self._timeout):
            raise self._busy("a process that was quicker")

    def _no_locks(self, reason: str) -> StoreError:
        return StoreError(
            f"{self._path} must be locked while the directory changes, but its file "
            f"system has no locks: {reason}. Put the run directory on a disk that has "
            f"(NFS: mounted with locks, its lock service running), or give a URL such "
            f"as s3://bucket/run."
        )

    def _busy(
        self, who: str, advice: str = "Wait for its commit to end."
    ) -> StoreError:
        return StoreError(
            f"{self._path} must be free within {self._timeout:g} seconds, but another "
            f"process holds it: {who}. {advice} The lock is released when its holder "
            f"ends, so do not delete the file."
        )


# Threads of one process wait for each other here, not at the file.
_turns: dict[Path, threading.RLock] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.clear)
