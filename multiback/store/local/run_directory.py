"""A run directory: commit, list and remove checkpoints so that none is ever lost.

A checkpoint is built in a temporary directory beside its final place, every file
is on the disk before the directory gets its name, and the name is on the disk
before `commit` returns. Wherever a process stops, the old checkpoints are as they
were, and the new one is whole or absent.

Files are written under the run's lock alone, so that runs do not wait for each other;
the directory's lock is held while a number and a name are chosen and given. A temporary
directory bears its run, its number and its name (as checksums), so that other commits
leave them free. The process that holds a run knows that its temporary directories are
garbage.
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from multiback.errors import ArgumentError, NoCheckpointError, OwnerWarning, StoreError
from multiback.store.checkpoint import Checkpoint, described, read_checkpoint
from multiback.store.disk.files import (
    Files,
    make_directories,
    store_errors,
    sync_directory,
)
from multiback.store.disk.removal import (
    DELETED,
    TEMPORARY,
    collect,
    collect_if_possible,
    delete_hidden,
    discard,
    hide,
)
from multiback.store.format.manifest import MANIFEST
from multiback.store.local.commits import (
    Reservation,
    write_architecture,
    write_files,
    write_manifest,
)
from multiback.store.local.file_lock import directory_lock
from multiback.store.local.journal import append_line, read_lines
from multiback.store.local.links import check_link, drop_links, point
from multiback.store.local.listing import Listing
from multiback.store.local.locks import RunLocks
from multiback.store.owner import CLAIM_TIMEOUT, Owner, digest_of
from multiback.store.request import Request, check_run_id
from multiback.store.runs import Choice, Runs
from multiback.warn import warn

SAVE_REQUEST = "save-now"
_ARCHITECTURE = re.compile(r"arch-[0-9a-f]{32}\.json")
_OF_RUN = re.compile(rf"{re.escape(TEMPORARY)}([0-9a-f]{{32}})-")


class RunDirectory(Runs):
    """The checkpoints, runs and history under one directory; see `Runs`.

    Several runs, threads and processes may use one directory at once. Nothing is
    created before the first write.

    Args:
        path: The directory.
        files: How to change the file system; for tests.
        lock_timeout: Seconds to wait for the directory's lock, which others hold for
            moments.
        claim_timeout: On a mount without file locks: seconds after which a run whose
            claim was not renewed is taken over. Writers renew it 20 times as often.

    Attributes:
        path: The directory.
        skipped: What the last listing skipped: paths and reasons.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = RunDirectory(folder)
        ...     runs.start_run("first", {})
        ...     saved = runs.commit(
        ...         Request(
        ...             "epoch=001",
        ...             run_id="first",
        ...             tensors={"kernel": np.ones((2, 2))},
        ...             epoch=1,
        ...             step=100,
        ...             metrics={"val_f1": 0.91},
        ...         )
        ...     )
        ...     [found] = runs.checkpoints()
        ...     found.verify()
        ...     (found == saved, found.metrics, found.tensors()["kernel"].sum())
        (True, {'val_f1': 0.91}, np.float64(4.0))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        files: Files | None = None,
        *,
        lock_timeout: float = 60.0,
        claim_timeout: float = CLAIM_TIMEOUT,
    ) -> None:
        self.path = Path(path).resolve()
        self.skipped: list[tuple[Path, str]] = []
        self._files = Files() if files is None else files
        self._lock_timeout = lock_timeout
        self._run_locks = RunLocks(self.path, self._files, claim_timeout)
        self._listing = Listing(self._checkpoints)

    @property
    def location(self) -> str:
        """The path as text; of a remote run directory, its URL."""
        return str(self.path)

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoints(self, run_id: str | None = None) -> list[Checkpoint]:
        """List the committed checkpoints, oldest commit first."""
        found, self.skipped = self._listing.read()
        return [one for one in found if run_id is None or one.run_id == run_id]

    def starts(self) -> list[dict[str, Any]]:
        """Return the record of each start of a run, oldest first."""
        return read_lines(self.path / "runs.jsonl")

    def records(self) -> list[dict[str, Any]]:
        """Return the history's records, oldest first; skip torn lines."""
        return read_lines(self.path / "history.jsonl")

    def start_run(self, run_id: str, info: Mapping[str, Any]) -> None:
        """Note that a run starts, and collect what dead writers left."""
        record = {"run_id": check_run_id(run_id), "started": time.time(), "info": info}
        self._make()
        is_new = self._run_locks.start(run_id)
        mine = digest_of(run_id) if is_new else None
        # A file may be open on another machine: do not stop training for it.
        for problem in self._collect(collect_if_possible, mine):
            warn(f"Left over, and left alone: {problem}", OwnerWarning)
        append_line(self._files, self.path / "runs.jsonl", record, argument="info")

    def end_run(self, run_id: str) -> None:
        """Release a run, so that other processes may write it."""
        self._run_locks.end(run_id)

    def writers(self) -> list[Owner]:
        """List the processes that write a run here, or ended without releasing it."""
        return self._run_locks.owners()

    def commit(self, request: Request) -> Checkpoint:
        """Write one checkpoint: whole and durable when this returns, or not at all."""
        with self._holding(request.run_id):
            with self._locked():
                reserved = self._reserve(request)
            temporary = reserved.directory
            try:
                # Not before: nothing is collected while there is a reservation.
                write_architecture(
                    self._files, self.path, request, self._run_locks.temporary
                )
                entries = write_files(self._files, temporary, request)
                while True:
                    manifest = write_manifest(
                        self._files, temporary, request, reserved, entries
                    )
                    target = self._checkpoints / reserved.name
                    with self._locked():
                        # Writing took a while, in which anything may have changed.
                        self._run_locks.check(request.run_id)
                        reserved = reserved.renamed(request.name, self._listing.names())
                        if reserved.name == target.name:
                            with store_errors("name the finished checkpoint", target):
                                self._files.rename(temporary, target)
                            break
            except BaseException:
                discard(self._files, temporary)
                raise
            try:
                sync_directory(self._files, self._checkpoints)
            except BaseException:
                # Reported as failed, so it must not turn up later.
                discard(self._files, target)
                raise
        return described(target, manifest)

    def _reserve(self, request: Request) -> Reservation:
        """Choose a number and a name, and keep other commits from choosing them."""
        found, _ = self._listing.read()
        reserved = Reservation.of(
            request,
            self._checkpoints,
            found[-1].sequence if found else 0,
            self._listing.names(),
            [path.name for path in _hidden(self._checkpoints, TEMPORARY)],
        )
        with store_errors("create the directory", reserved.directory):
            self._files.make_directory(reserved.directory)
        return reserved

    def remove(self, checkpoint: Checkpoint, *, run_id: str) -> None:
        """Remove one checkpoint of a run; a missing one is not an error."""
        if checkpoint.path.parent != self._checkpoints:
            raise ArgumentError(
                f"checkpoint must lie in {self._checkpoints}, but lies in "
                f"{checkpoint.path.parent}. Ask its own RunDirectory."
            )
        with self._holding(run_id), self._locked():
            try:
                found = read_checkpoint(checkpoint.path)
            except NoCheckpointError:
                return
            # The name may belong to another commit by now.
            if found.run_id != run_id or found != checkpoint:
                raise StoreError(
                    f"{checkpoint.path} must be a checkpoint of the run {run_id!r}, "
                    f"but is commit {found.sequence} of the run {found.run_id!r}. "
                    f"Remove it with that run's id, or leave it."
                )
            doomed = hide(self._files, checkpoint.path)
        delete_hidden(self._files, [doomed])

    def missing(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Return those of its checkpoints that do not exist any more."""
        # If the folder is gone, the disk may only be unmounted.
        if not self._checkpoints.is_dir():
            return []
        return [one for one in checkpoints if not (one.path / MANIFEST).exists()]

    def prune(
        self, choose: Choice, *, run_id: str, dry_run: bool = False
    ) -> list[Checkpoint]:
        """Remove those checkpoints of one run that a function does not keep."""
        if not self._checkpoints.is_dir():
            return self._unkept(choose, run_id)
        with self._locked():
            doomed = self._unkept(choose, run_id)
            hidden = []
            if not dry_run:
                hidden = [hide(self._files, one.path) for one in doomed]
                drop_links(self._files, self.path)
        delete_hidden(self._files, hidden)
        return doomed

    def append_history(self, record: Mapping[str, Any]) -> None:
        """Append one record to the history, durably."""
        make_directories(self._files, self.path)
        append_line(self._files, self.path / "history.jsonl", record, argument="record")

    def collect_garbage(self, *, dry_run: bool = False) -> list[Path]:
        """Delete leftovers of dead writers, and unused architectures."""
        if not self._checkpoints.is_dir():
            return []
        found: list[Path] = []

        def note(_: Files, garbage: Iterable[Path]) -> list[str]:
            found.extend(garbage)
            if not dry_run:
                collect(self._files, found)
            return []

        self._collect(note)
        with self._locked():
            unused = self._unused_architectures(found)
            note(self._files, unused)
        return found

    def _collect(
        self,
        collect_all: Callable[[Files, Iterable[Path]], list[str]],
        mine: str | None = None,
    ) -> list[str]:
        """Let a function delete the leftovers of writers that have ended.

        It takes paths and returns problems; `mine` is a run that this process has
        taken, and written nothing of yet.
        """
        self._listing.check()
        with store_errors("collect garbage in", self.path):
            return self._collected(collect_all, mine)

    def _collected(
        self,
        collect_all: Callable[[Files, Iterable[Path]], list[str]],
        mine: str | None,
    ) -> list[str]:
        problems: list[str] = []
        folders = (self.path, self._checkpoints)
        digests = self._run_locks.digests()
        for path in (path for each in folders for path in _hidden(each, TEMPORARY)):
            if found := _OF_RUN.match(path.name):
                digests.add(found[1])
        for digest in sorted(digests):
            with self._run_locks.idle(digest) as is_idle:
                left = [
                    path
                    for each in folders
                    for path in _hidden(each, f"{TEMPORARY}{digest}-")
                ]
                if left and (is_idle or digest == mine):
                    problems += collect_all(self._files, left)
        with self._locked():
            # Of no run: these are only made under this lock.
            others = [
                path
                for each in folders
                for path in _hidden(each, TEMPORARY)
                if not _OF_RUN.match(path.name)
            ]
        doomed = [path for each in folders for path in _hidden(each, DELETED)]
        return problems + collect_all(self._files, [*others, *doomed])

    def _make(self) -> None:
        """Create the directory if needed; raise if a link is in its place."""
        make_directories(self._files, self._checkpoints)
        self._listing.check()

    @contextmanager
    def _holding(self, run_id: str) -> Iterator[None]:
        """Create the directory if needed, and hold a run."""
        self._make()
        with store_errors("save into", self.path), self._run_locks.holding(run_id):
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Create the directory if needed, and hold its lock."""
        self._make()
        with directory_lock(self.path / "lock", self._lock_timeout):
            yield

    def _unused_architectures(self, garbage: Sequence[Path]) -> list[Path]:
        """List the architectures that no manifest names or will name."""
        if set(_hidden(self._checkpoints, TEMPORARY)) - set(garbage):
            return []
        used = {one.architecture for one in self.checkpoints()}
        if self.skipped:
            return []
        return [
            path
            for path in sorted(self.path.iterdir())
            if _ARCHITECTURE.fullmatch(path.name) and path.name not in used
        ]

    def scratch(self, run_id: str) -> Path:
        """Return a new path for temporary files of a run that this process holds."""
        self._make()
        return self._run_locks.temporary(run_id)

    @property
    def save_request(self) -> Path:
        """Return the file that requests a checkpoint from the writer."""
        return self.path / SAVE_REQUEST

    def publish(self, name: str) -> None:
        """Let readers see a file that was written into `path`: here they do."""

    def point(self, label: str, checkpoint: Checkpoint) -> None:
        """Let a link such as `best` lead users to a checkpoint."""
        check_link(self.path, label)
        with self._locked():
            point(self._files, self.path / label, checkpoint)


def _hidden(folder: Path, prefix: str) -> list[Path]:
    """List a directory's entries by the beginning of their names."""
    return sorted(path for path in folder.iterdir() if path.name.startswith(prefix))
