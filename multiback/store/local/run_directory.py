"""A run directory: commit, list and remove checkpoints so that none is ever lost.

A checkpoint is built in a temporary directory beside its final place, every file
is on the disk before the directory gets its name, and the name is on the disk
before `commit` returns. Whoever stops the process at any instant leaves the old
checkpoints as they were, and the new one whole or absent. A lock, which the
operating system releases when its holder dies, is held while the directory
changes; so a temporary directory seen under the lock belongs to a dead process.
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
from multiback.store.disk.files import Files, make_directories, store_errors
from multiback.store.disk.removal import (
    TEMPORARY,
    collect,
    collect_if_possible,
    delete,
    discard,
    garbage_in,
    scratch,
)
from multiback.store.format.manifest import MANIFEST
from multiback.store.format.names import free_name
from multiback.store.local.commits import write_architecture, write_checkpoint
from multiback.store.local.copies import originals
from multiback.store.local.journal import append_line, last_first, read_lines
from multiback.store.local.links import check_label, drop_labels, point
from multiback.store.local.listing import Listing
from multiback.store.owning.locking import ChangeLock
from multiback.store.owning.owner import Owner
from multiback.store.owning.ownership import Ownership
from multiback.store.request import Request, check_run_id
from multiback.warn import warn

SAVE_REQUEST = "save-now"
_ARCHITECTURE = re.compile(r"arch-[0-9a-f]{32}\.json")


class RunDirectory:
    """The checkpoints, runs and history under one directory.

    Several runs, threads and processes may use one directory at once. Nothing is
    created before the first write.

    Args:
        path: The directory.
        files: How to change the file system; for tests.
        lock_timeout: Seconds to wait for another writer. A commit holds the lock
            for as long as writing its files takes.
        heartbeat: Seconds between the signs of life of a run that was started. On
            another machine it can be taken over once eight of them did not come.

    Attributes:
        path: The directory.
        skipped: What the last listing passed over: paths and reasons.

    Example:
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
        heartbeat: float = 15.0,
    ) -> None:
        self.path = Path(path).resolve()
        self.skipped: list[tuple[Path, str]] = []
        self._files = Files() if files is None else files
        self._ownership = Ownership(self.path, self._files, heartbeat)
        self._lock = ChangeLock(
            self.path / "lock", self._files, lock_timeout, self._ownership
        )
        self._listing = Listing(self._checkpoints)

    @property
    def location(self) -> str:
        """The path as text; of a remote run directory, its URL."""
        return str(self.path)

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoints(self, run_id: str | None = None) -> list[Checkpoint]:
        """List the committed checkpoints, oldest commit first.

        Args:
            run_id: Only those of this run; None for all.

        Returns:
            The checkpoints whose manifest can be trusted; their other files were
            not read (`Checkpoint.verify` does). `skipped` tells of the others.
        """
        found, self.skipped = self._listing.read()
        return [one for one in found if run_id is None or one.run_id == run_id]

    def run_ids(self) -> list[str]:
        """List the runs, the one that started last first."""
        return self._last_first(self.checkpoints())

    def _last_first(self, found: Sequence[Checkpoint]) -> list[str]:
        return last_first(
            read_lines(self.path / "runs.jsonl"), [one.run_id for one in found]
        )

    def latest_run(self) -> str | None:
        """Return the run that started last among those that have a checkpoint."""
        found = self.checkpoints()
        having = {one.run_id for one in found}
        return next((one for one in self._last_first(found) if one in having), None)

    def start_run(self, run_id: str, info: Mapping[str, Any]) -> None:
        """Note that a run starts, and collect what dead writers left.

        From now on this process is the run's only writer, until `end_run` or its own
        end. A run whose writer died is taken over, with a warning; where only silence
        tells so, on another machine, this waits for up to eight heartbeats.

        Args:
            run_id: The run; a run that is resumed starts again.
            info: Anything JSON: code and library versions, monitors.

        Raises:
            StoreError: Another process is writing this run.
        """
        record = {"run_id": check_run_id(run_id), "started": time.time()}
        self._ownership.claim(run_id, self._locked)
        with self._locked():
            # Somebody else's, or open on another machine: no reason not to train.
            for problem in collect_if_possible(self._files, self._garbage()):
                warn(f"Left over, and left alone: {problem}", OwnerWarning)
            append_line(
                self._files,
                self.path / "runs.jsonl",
                {**record, "info": info},
                argument="info",
            )

    def end_run(self, run_id: str) -> None:
        """Let other processes write a run, should this one have been its writer.

        Args:
            run_id: The run. If it was never started, nothing happens.
        """
        self._ownership.release(run_id)

    def writers(self) -> list[Owner]:
        """List the processes that write a run here, or died while they did."""
        return self._ownership.owners()

    def commit(self, request: Request) -> Checkpoint:
        """Write one checkpoint: whole and on the disk when this returns, or not at all.

        Args:
            request: What to write.

        Returns:
            The checkpoint; its `name` tells which name it got.

        Raises:
            StoreError: The operating system refused, for example because the disk
                is full. Nothing of the new checkpoint is left, earlier ones are
                intact, and the next commit starts afresh.
        """
        with self._locked():
            self._ownership.check(request.run_id)
            write_architecture(self._files, self.path, request)
            found, _ = self._listing.read()
            sequence = found[-1].sequence + 1 if found else 1
            temporary = self._checkpoints / scratch(TEMPORARY)
            try:
                manifest = write_checkpoint(
                    self._files,
                    temporary,
                    request,
                    sequence,
                    lambda: free_name(request.name, frozenset(self._listing.names())),
                )
                target = self._checkpoints / str(manifest.saved_as)
                # Once more: writing took a while, in which this machine may have slept.
                self._ownership.check(request.run_id)
                with store_errors("name the finished checkpoint", target):
                    self._files.rename(temporary, target)
            except BaseException:
                discard(self._files, temporary)
                raise
            try:
                with store_errors("fsync the directory", self._checkpoints):
                    self._files.sync_directory(self._checkpoints)
            except BaseException:
                # Reported as failed, so it must not turn up later.
                discard(self._files, target)
                raise
        return described(target, manifest)

    def remove(self, checkpoint: Checkpoint, *, run_id: str) -> None:
        """Remove one checkpoint of a run; one that is gone already is no error.

        Args:
            checkpoint: Which one.
            run_id: The run that asks; it can only remove its own.

        Raises:
            ArgumentError: The checkpoint lies in another directory.
            StoreError: It belongs to another run, or cannot be removed.
        """
        if checkpoint.path.parent != self._checkpoints:
            raise ArgumentError(
                f"checkpoint must lie in {self._checkpoints}, but lies in "
                f"{checkpoint.path.parent}. Ask its own RunDirectory."
            )
        with self._locked():
            self._ownership.check(run_id)
            try:
                found = read_checkpoint(checkpoint.path)
            except NoCheckpointError:
                return
            # The name may have been given to another commit in the meantime.
            if found.run_id != run_id or found != checkpoint:
                raise StoreError(
                    f"{checkpoint.path} must be a checkpoint of the run {run_id!r}, "
                    f"but is commit {found.sequence} of the run {found.run_id!r}. "
                    f"Remove it with that run's id, or leave it."
                )
            delete(self._files, checkpoint.path)

    def missing(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Return those of its checkpoints that are not there any more.

        Args:
            checkpoints: Checkpoints of this directory.
        """
        # A disk that is away has lost nothing.
        if not self._checkpoints.is_dir():
            return []
        return [one for one in checkpoints if not (one.path / MANIFEST).exists()]

    def prune(
        self,
        choose: Callable[[Sequence[Checkpoint]], Iterable[Checkpoint]],
        *,
        run_id: str,
        dry_run: bool = False,
    ) -> list[Checkpoint]:
        """Remove those checkpoints of one run that a function does not keep.

        Copies that people made, and what they renamed, neither count nor go. It is
        asked under the lock, so that no commit slips between the choice and
        the removal. Links such as `best` that led to a removed checkpoint are
        removed too.

        Args:
            choose: Takes the run's checkpoints, oldest first, and returns those to
                keep.
            run_id: The run; no other run's checkpoint is touched.
            dry_run: Remove nothing.

        Returns:
            The checkpoints that were removed, or would be, oldest first.

        Raises:
            NoCheckpointError: The run has no checkpoint.
            StoreError: The operating system refused; what was removed before stays
                removed.
        """
        check_run_id(run_id)
        if not self._checkpoints.is_dir():
            raise self._nothing_of(run_id)
        with self._locked():
            found = originals(self.checkpoints(run_id))
            if not found:
                raise self._nothing_of(run_id)
            keep = set(choose(found))
            doomed = [one for one in found if one not in keep]
            if not dry_run:
                for one in doomed:
                    delete(self._files, one.path)
                drop_labels(self._files, self.path)
        return doomed

    def _nothing_of(self, run_id: str) -> NoCheckpointError:
        return NoCheckpointError(
            f"{self.path} must hold a checkpoint of the run {run_id!r}, but holds "
            f"none. Pass the id of a run that has some."
        )

    def append_history(self, record: Mapping[str, Any]) -> None:
        """Append one record to the history, durably.

        Args:
            record: Anything JSON; its "run_id" is what `history` selects by.
        """
        make_directories(self._files, self.path)
        append_line(self._files, self.path / "history.jsonl", record, argument="record")

    def history(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """Read the history's records, oldest first; a torn line is passed over."""
        return [
            record
            for record in read_lines(self.path / "history.jsonl")
            if run_id is None or record.get("run_id") == run_id
        ]

    def collect_garbage(self, *, dry_run: bool = False) -> list[Path]:
        """Delete what dead writers left behind, and architectures nobody names.

        Architectures stay as long as some manifest cannot be read, for it may name
        any of them.

        Args:
            dry_run: Delete nothing.

        Returns:
            What was deleted, or would be.
        """
        if not self._checkpoints.is_dir():
            return []
        with self._locked():
            garbage = [*self._garbage(), *self._unused_architectures()]
            if not dry_run:
                collect(self._files, garbage)
            return garbage

    def _garbage(self) -> list[Path]:
        """List temporary and doomed entries; under the lock they are no one's."""
        return [
            *garbage_in(self.path),
            *garbage_in(self._checkpoints),
            *self._ownership.dead(),
        ]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Create the directory if need be and hold its lock."""
        make_directories(self._files, self._checkpoints)
        with self._lock.held():
            yield

    def _unused_architectures(self) -> list[Path]:
        """List the architectures that no manifest names."""
        used = {one.architecture for one in self.checkpoints()}
        if self.skipped:
            return []
        return [
            path
            for path in sorted(self.path.iterdir())
            if _ARCHITECTURE.fullmatch(path.name) and path.name not in used
        ]

    @property
    def save_request(self) -> Path:
        """A file by which others ask the writer for a checkpoint."""
        return self.path / SAVE_REQUEST

    def publish(self, name: str) -> None:
        """Let readers see a file that was written into `path`: here, they do."""

    def point(self, label: str, checkpoint: Checkpoint) -> None:
        """Let a link such as `best` lead people to a checkpoint.

        A convenience for eyes and shells: readers of this package compute the best
        and the last from the manifests. Where links are not possible, a text file
        holds the relative path.

        Args:
            label: The link's name in the run directory.
            checkpoint: What it leads to.
        """
        check_label(self.path, label)
        with self._locked():
            point(self._files, self.path / label, checkpoint)
