"""The locks of a run directory: one of the directory, and one a run.

The directory's lock guards what all runs share, sequence numbers and names; it is held
for milliseconds. A run's lock is held from `start_run` to `end_run`: one process at a
time writes a run. Both are locks of the operating system, which releases them when
their holder ends, and only then: a stopped process keeps its run.

Some network mounts have no locks. There the note that names the writer is the claim,
renewed and taken over as at a URL (owner.py), and nothing guards the directory.
"""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from multiback.errors import StoreError
from multiback.store.disk.files import Files, open_regular, store_errors
from multiback.store.disk.removal import TEMPORARY, discard, scratch
from multiback.store.format.payload import write_file
from multiback.store.local.file_lock import Busy, Lock, locked
from multiback.store.owner import (
    CLAIM_TIMEOUT,
    MAX_NOTE,
    RENEWALS_A_TIMEOUT,
    Owner,
    Renewal,
    digest_of,
    left,
    parse_owner,
    refusal,
    take_claim,
    this_process,
    warn_of_takeover,
)

LOCK_PREFIX = "lock-"
# A process that was killed takes a moment to end.
_PATIENCE = 1.0


@dataclass
class _Held:
    """A run that this process holds; `lock` is None where there are no locks."""

    run_id: str
    lock: Lock | None
    note: bytes
    users: int = 0
    is_started: bool = False
    renewal: Renewal | None = None


class RunLocks:
    """The locks of one directory's runs.

    Where there are no locks, a claim that was not renewed for `claim_timeout` seconds
    is taken over.
    """

    def __init__(
        self, directory: Path, files: Files, claim_timeout: float = CLAIM_TIMEOUT
    ) -> None:
        self._directory = directory
        self._files = files
        self._timeout = claim_timeout

    def _path(self, digest: str) -> Path:
        return self._directory / f"{LOCK_PREFIX}{digest}"

    def temporary(self, run_id: str) -> Path:
        """Return a new temporary name that identifies its run."""
        return self._directory / scratch(f"{TEMPORARY}{digest_of(run_id)}-")

    def start(self, run_id: str) -> bool:
        """Take a run, until `end` or the process ends; return whether it is new here.

        Raise where another process writes it.
        """
        path = self._path(digest_of(run_id))
        is_new = path not in _held

        def attempt() -> Owner | None:
            with _turn:
                held, other = self._take(path, run_id)
                if held is None:
                    return other
                held.is_started = True
                if held.lock is not None:
                    self._write_note(path, held)
                return None

        take_claim(attempt, self._directory, self._timeout)
        return is_new

    def _take(self, path: Path, run_id: str) -> tuple[_Held | None, Owner | None]:
        """Take a run, or return its other owner where there are no locks."""
        held = _held.get(path)
        if held is not None:
            self._keep(path, held)
            return held, None
        note = this_process(run_id).dumped()
        try:
            lock = locked(path, _PATIENCE)
        except Busy:
            raise refusal(_read(path)[0], self._directory, run_id) from None
        held = _Held(run_id, lock, note)
        if lock is None:
            other = self._claim(path, note)
            if other is not None:
                return None, other
            interval = self._timeout / RENEWALS_A_TIMEOUT
            held.renewal = Renewal(lambda: _renew(path, note), interval)
        _held[path] = held
        return held, None

    def _keep(self, path: Path, held: _Held) -> None:
        """Raise if a run is another process's; take it again if it was lost."""
        if held.lock is None:
            other = None if _renew(path, held.note) else self._claim(path, held.note)
            if other is not None:
                raise refusal(other, self._directory, held.run_id)
            return
        if held.lock.is_current:
            return
        try:
            lock = locked(path, 0)
        except Busy:
            raise refusal(_read(path)[0], self._directory, held.run_id) from None
        held.lock.lock.release()
        held.lock = lock
        if held.is_started:
            self._write_note(path, held)

    def _write_note(self, path: Path, held: _Held) -> None:
        """Note which process holds a lock."""
        temporary = self.temporary(held.run_id)
        note = _note_of(path)
        try:
            write_file(self._files, temporary, [held.note])
            with store_errors("name the writer in", note):
                self._files.replace(temporary, note)
        except BaseException:
            discard(self._files, temporary)
            raise

    def _claim(self, path: Path, content: bytes) -> Owner | None:
        """Create the note where there are no locks; return its owner."""
        note = _note_of(path)
        probe = self._directory / scratch(TEMPORARY)
        write_file(self._files, probe, [])
        # By the file system's clock: this machine's clock may differ.
        now = probe.stat().st_mtime
        discard(self._files, probe)
        other, age = _read(path, now)
        if other is not None:
            why = left(other, self._timeout)
            if why is None:
                return other
            warn_of_takeover(other, why)
        if age is not None and (other is not None or age > self._timeout):
            with suppress(FileNotFoundError), store_errors("take over", note):
                self._files.unlink(note)
        try:
            write_file(self._files, note, [content])
        except StoreError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            # Another process was faster.
            return _read(path, now)[0] or parse_owner(content)
        return None

    @contextmanager
    def holding(self, run_id: str) -> Iterator[None]:
        """Hold a run while the block runs; a started run is held already."""
        path = self._path(digest_of(run_id))
        with _turn:
            held, other = self._take(path, run_id)
            if held is None:
                raise refusal(other, self._directory, run_id)
            held.users += 1
        try:
            yield
        finally:
            with _turn:
                held.users -= 1
                _release_unused(path, held, self._files)

    def check(self, run_id: str) -> None:
        """Raise unless a run that is held is this process's still."""
        path = self._path(digest_of(run_id))
        with _turn:
            self._keep(path, _held[path])

    def end(self, run_id: str) -> None:
        """Release a run; skip one that this process did not start."""
        path = self._path(digest_of(run_id))
        with _turn:
            held = _held.get(path)
            if held is not None:
                held.is_started = False
                _release_unused(path, held, self._files)

    def owners(self) -> list[Owner]:
        """List the processes that say they write a run."""
        found = []
        for note in sorted(self._directory.glob(f"{LOCK_PREFIX}*.json")):
            owner, _ = _read(note.with_suffix(""))
            if owner is not None:
                found.append(owner)
        return sorted(found, key=lambda one: one.started)

    @contextmanager
    def idle(self, digest: str) -> Iterator[bool]:
        """Hold a run by the digest of its id; yield whether no process writes it.

        If so, its leftovers may be deleted in the block.
        """
        path = self._path(digest)
        with _turn:
            if path in _held:
                yield False
                return
            try:
                lock = locked(path, 0)
            except Busy:
                yield False
                return
            if lock is None:
                owner, age = _read(path)
                yield age is None or (owner is not None and owner.is_gone)
                return
            try:
                yield True
            finally:
                _unlink(path, self._files)
                lock.lock.release()

    def digests(self) -> set[str]:
        """Return the digests of the runs that have a lock's file or a note here."""
        return {
            path.name.removeprefix(LOCK_PREFIX).removesuffix(".json")
            for path in self._directory.glob(f"{LOCK_PREFIX}*")
        }


def _note_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _read(path: Path, now: float | None = None) -> tuple[Owner | None, float | None]:
    """Read a run's owner and the age of the note; None without one."""
    try:
        # Open the file, do not only stat it: network disks then ask the server.
        descriptor = open_regular(_note_of(path))
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            raw, modified = stream.read(MAX_NOTE), os.fstat(descriptor).st_mtime
    except OSError:
        return None, None
    age = 0.0 if now is None else max(now - modified, 0.0)
    return parse_owner(raw, age), age


def _renew(path: Path, content: bytes) -> bool:
    """Renew this process's note; return whether it exists."""
    note = _note_of(path)
    try:
        if note.read_bytes() != content:
            return False
        os.utime(note)
    except OSError:
        return False
    return True


def _unlink(path: Path, files: Files) -> None:
    """Remove a run's note and lock; leftovers do no harm."""
    with suppress(OSError):
        if os.path.lexists(_note_of(path)):
            files.unlink(_note_of(path))
    # Made by filelock, past `files`.
    with suppress(OSError):
        path.unlink()


def _release_unused(path: Path, held: _Held, files: Files) -> None:
    """Release a run that this process does not need any more."""
    if held.users or held.is_started or _held.get(path) is not held:
        return
    del _held[path]
    if held.renewal is not None:
        held.renewal.end()
        if _renew(path, held.note):
            _unlink(path, files)
    elif held.lock is not None:
        # Unlink while it is locked: a waiting process notices that its name is gone.
        if held.lock.is_current:
            _unlink(path, files)
        held.lock.lock.release()


_held: dict[Path, _Held] = {}
_turn = threading.RLock()


def _release_all() -> None:
    for path, held in list(_held.items()):
        held.users, held.is_started = 0, False
        _release_unused(path, held, Files())


def _forget() -> None:
    """After a fork the locks are the parent's; filelock has closed the files."""
    global _turn  # noqa: PLW0603 - another thread may have held it
    _held.clear()
    _turn = threading.RLock()


atexit.register(_release_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
