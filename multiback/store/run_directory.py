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
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock

from multiback.errors import (
    ArgumentError,
    NoCheckpointError,
    StoreError,
)
from multiback.store.checkpoint import (
    STATE,
    Checkpoint,
    described,
    read_checkpoint,
)
from multiback.store.files import Files, delete_tree, make_directories, store_errors
from multiback.store.journal import append_line, read_lines
from multiback.store.listing import Listing
from multiback.store.manifest import MANIFEST, Manifest, manifest_bytes, parse_manifest
from multiback.store.names import free_name
from multiback.store.payload import FileEntry, copied, verify_file, write_file
from multiback.store.request import Request, check_name, check_run_id, checked_request
from multiback.store.tensor_file import Array, write_tensors

_TEMPORARY = ".tmp-"
_DELETED = ".del-"
_OWN_NAMES = frozenset({"checkpoints", "history.jsonl", "lock", "runs.jsonl"})
_ARCHITECTURE = re.compile(r"arch-[0-9a-f]{32}\.json")
_EMPTY: Mapping[str, Any] = {}


class RunDirectory:
    """The checkpoints, runs and history under one directory.

    Several runs, threads and processes may use one directory at once. Nothing is
    created before the first write.

    Args:
        path: The directory.
        files: How to change the file system; for tests.
        lock_timeout: Seconds to wait for another writer. A commit holds the lock
            for as long as writing its files takes.

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
        ...         "epoch=001",
        ...         run_id="first",
        ...         tensors={"kernel": np.ones((2, 2))},
        ...         epoch=1,
        ...         step=100,
        ...         metrics={"val_f1": 0.91},
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
    ) -> None:
        self.path = Path(path).resolve()
        self.skipped: list[tuple[Path, str]] = []
        self._files = Files() if files is None else files
        self._lock_timeout = lock_timeout
        self._lock = filelock.FileLock(self.path / "lock")
        self._listing = Listing(self._checkpoints)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the lock: a copy takes its own."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over everything, with a lock of its own."""
        vars(self).update(state)
        self._lock = filelock.FileLock(self.path / "lock")

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

    def latest_run(self) -> str | None:
        """Return the run that started last among those that have a checkpoint."""
        found = self.checkpoints()
        having = {checkpoint.run_id for checkpoint in found}
        for record in reversed(read_lines(self.path / "runs.jsonl")):
            # Compared, not looked up: in a file by others it may be a list.
            if any(record.get("run_id") == run_id for run_id in having):
                return str(record["run_id"])
        return found[-1].run_id if found else None

    def start_run(self, run_id: str, info: Mapping[str, Any]) -> None:
        """Note that a run starts, and collect what dead writers left.

        Args:
            run_id: The run; a run that is resumed starts again.
            info: Anything JSON: code and library versions, monitors.
        """
        record = {"run_id": check_run_id(run_id), "started": time.time()}
        with self._locked():
            self._collect(self._garbage())
            append_line(
                self._files,
                self.path / "runs.jsonl",
                {**record, "info": info},
                argument="info",
            )

    def commit(
        self,
        name: str,
        *,
        run_id: str,
        tensors: Mapping[str, Array],
        documents: Mapping[str, Any] = _EMPTY,
        extra_files: Mapping[str, Path] = _EMPTY,
        epoch: int,
        step: int,
        metrics: Mapping[str, float],
        backend: str = "",
        versions: Mapping[str, str] = _EMPTY,
        architecture: Any | None = None,
        extra: Mapping[str, Any] = _EMPTY,
    ) -> Checkpoint:
        """Write one checkpoint: whole and on the disk when this returns, or not at all.

        Args:
            name: The directory's name. If it is taken, by whichever run, "-v2",
                "-v3" and so on is put behind: nothing is ever overwritten.
            run_id: The run that owns it.
            tensors: NumPy arrays by name.
            documents: JSON documents by name, without ".json".
            extra_files: Files to copy, by the name to give them.
            epoch: Stored as given.
            step: Stored as given.
            metrics: Numbers by name; NaN and infinities are kept.
            backend: The Keras backend, or "".
            versions: Library versions.
            architecture: Anything JSON; stored once in the run directory under its
                checksum and shared by the checkpoints that name it.
            extra: Anything JSON, for the manifest.

        Returns:
            The checkpoint; its `name` tells which name it got.

        Raises:
            ArgumentError: An argument cannot be stored; the disk is untouched.
            StoreError: The operating system refused, for example because the disk
                is full. Nothing of the new checkpoint is left, earlier ones are
                intact, and the next commit starts afresh.
        """
        request = checked_request(
            name,
            run_id=run_id,
            tensors=tensors,
            documents=documents,
            extra_files=extra_files,
            epoch=epoch,
            step=step,
            metrics=metrics,
            backend=backend,
            versions=versions,
            architecture=architecture,
            extra=extra,
        )
        return self.commit_request(request)

    def commit_request(self, request: Request) -> Checkpoint:
        """Commit what was checked before; see `commit`."""
        with self._locked():
            self._write_architecture(request)
            found, _ = self._listing.read()
            sequence = found[-1].sequence + 1 if found else 1
            temporary = self._checkpoints / _scratch(_TEMPORARY)
            try:
                manifest = self._build(temporary, request, sequence)
                taken = frozenset(self._listing.names())
                target = self._checkpoints / free_name(request.name, taken)
                with store_errors("name the finished checkpoint", target):
                    self._files.rename(temporary, target)
            except BaseException:
                self._discard(temporary)
                raise
            try:
                with store_errors("fsync the directory", self._checkpoints):
                    self._files.sync_directory(self._checkpoints)
            except BaseException:
                # Reported as failed, so it must not turn up later.
                self._discard(target)
                raise
        return described(target, manifest)

    def _build(self, temporary: Path, request: Request, sequence: int) -> Manifest:
        """Write a checkpoint's files, the manifest last, and wait for the disk."""
        with store_errors("create the directory", temporary):
            self._files.make_directory(temporary)
        files = {STATE: write_tensors(self._files, temporary / STATE, request.tensors)}
        for name, content in request.documents.items():
            files[name] = write_file(self._files, temporary / name, [content])
        for name, source in request.extra_files.items():
            files[name] = write_file(self._files, temporary / name, copied(source))
        manifest = Manifest(
            run_id=request.run_id,
            sequence=sequence,
            epoch=request.epoch,
            step=request.step,
            metrics=request.metrics,
            created=time.time(),
            backend=request.backend,
            versions=request.versions,
            files=files,
            architecture=request.architecture_name,
            architecture_checksum=(
                None
                if request.architecture is None
                else FileEntry.of(request.architecture).xxh3
            ),
            extra=request.extra,
        )
        content = manifest_bytes(manifest)
        write_file(self._files, temporary / MANIFEST, [content])
        with store_errors("fsync the directory", temporary):
            self._files.sync_directory(temporary)
        # As a reader will see it: JSON makes lists of tuples.
        return parse_manifest(content)

    def _write_architecture(self, request: Request) -> None:
        """Write the architecture's file unless it is there, intact."""
        content, name = request.architecture, request.architecture_name
        if content is None or name is None:
            return
        path = self.path / name
        with suppress(StoreError):
            verify_file(path, FileEntry.of(content))
            return
        temporary = self.path / _scratch(_TEMPORARY)
        try:
            write_file(self._files, temporary, [content])
            with store_errors("name the finished file", path):
                self._files.replace(temporary, path)
        except BaseException:
            self._discard(temporary)
            raise
        with store_errors("fsync the directory", self.path):
            self._files.sync_directory(self.path)

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
            self._delete(checkpoint.path)

    def prune(
        self,
        choose: Callable[[Sequence[Checkpoint]], Iterable[Checkpoint]],
        *,
        run_id: str,
        dry_run: bool = False,
    ) -> list[Checkpoint]:
        """Remove those checkpoints of one run that a function does not keep.

        It is asked under the lock, so that no commit slips between the choice and
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
            found = self.checkpoints(run_id)
            if not found:
                raise self._nothing_of(run_id)
            keep = set(choose(found))
            doomed = [one for one in found if one not in keep]
            if not dry_run:
                for one in doomed:
                    self._delete(one.path)
                self._drop_labels()
        return doomed

    def _nothing_of(self, run_id: str) -> NoCheckpointError:
        return NoCheckpointError(
            f"{self.path} must hold a checkpoint of the run {run_id!r}, but holds "
            f"none. Pass the id of a run that has some."
        )

    def _drop_labels(self) -> None:
        """Remove the links that lead to a checkpoint that is gone."""
        for path in sorted(self.path.iterdir()):
            if not path.is_symlink() or path.exists():
                continue
            if path.readlink().parts[:-1] == (self._checkpoints.name,):
                with store_errors("remove", path):
                    self._files.unlink(path)

    def _delete(self, path: Path) -> None:
        """Make a checkpoint invisible in one step, durably; then delete it."""
        doomed = self._checkpoints / _scratch(_DELETED)
        with store_errors("remove", path):
            self._files.rename(path, doomed)
            self._files.sync_directory(self._checkpoints)
            delete_tree(self._files, doomed)

    def _discard(self, path: Path) -> None:
        """Clean up after a failure; what cannot be deleted now is garbage later."""
        with suppress(OSError):
            if path.name.startswith("."):
                delete_tree(self._files, path)
            else:
                self._delete(path)

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
                self._collect(garbage)
            return garbage

    def _garbage(self) -> list[Path]:
        """List temporary and doomed entries; under the lock they are no one's."""
        return [
            path
            for directory in (self.path, self._checkpoints)
            for path in sorted(directory.iterdir())
            if path.name.startswith((_TEMPORARY, _DELETED))
        ]

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

    def _collect(self, garbage: Iterable[Path]) -> None:
        """Delete files, links and directories."""
        for path in garbage:
            with store_errors("collect", path):
                delete_tree(self._files, path)

    def point(self, label: str, checkpoint: Checkpoint) -> None:
        """Let a link such as `best` lead people to a checkpoint.

        A convenience for eyes and shells: readers of this package compute the best
        and the last from the manifests. Where links are not possible, a text file
        holds the relative path.

        Args:
            label: The link's name in the run directory.
            checkpoint: What it leads to.
        """
        check_name("label", label)
        if label.casefold() in _OWN_NAMES or label.casefold().startswith("arch-"):
            raise ArgumentError(
                f"label must not be the name of the run directory's own files, but "
                f"is {label!r}. Choose another, such as 'best'."
            )
        link, target = self.path / label, f"checkpoints/{checkpoint.name}"
        if link.is_dir() and not link.is_symlink():
            raise StoreError(
                f"{link} must be a link or absent, but is a directory. Move it away, "
                f"or choose another label."
            )
        with self._locked():
            temporary = self.path / _scratch(_TEMPORARY)
            try:
                try:
                    self._files.symlink(target, temporary)
                except OSError:
                    # Windows without the right to link, FAT, some network disks.
                    text = f"{target}\n".encode()
                    write_file(self._files, temporary, [text])
                with store_errors("replace", link):
                    self._files.replace(temporary, link)
            except BaseException:
                self._discard(temporary)
                raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Create the directory if need be and hold its lock."""
        make_directories(self._files, self._checkpoints)
        try:
            with store_errors("lock", self.path / "lock"):
                self._lock.acquire(timeout=self._lock_timeout)
        except StoreError as error:
            if not isinstance(error.__cause__, filelock.Timeout):
                raise
            raise StoreError(
                f"{self.path / 'lock'} must be free within {self._lock_timeout:g} "
                f"seconds, but another process holds it. Wait for its commit to end, "
                f"raise lock_timeout, or stop that process; the lock is released "
                f"when it ends, so do not delete the file."
            ) from error.__cause__
        try:
            yield
        finally:
            self._lock.release()


def _scratch(prefix: str) -> str:
    """Return a name that no one has."""
    return prefix + secrets.token_hex(8)
