"""A run directory at any URL that fsspec knows: s3://, gs://, memory://.

Object stores rename nothing, append to nothing and lock nothing, but what they show is
whole, and a listing shows all that was written before it. So the local store remains
the writer: it commits into a temporary directory (`Mirror`), where every check and
checksum is its own, and from there the files are uploaded, the manifest last. A
checkpoint is committed if its manifest is there and its files have the right sizes.
It is removed in the other order: the manifest first.

A name is claimed before anything is uploaded under it (claims.py), and a run by the
process that writes it (ownership.py).

There are no links: best and last are computed from the manifests. `runs.jsonl` and
`history.jsonl` become objects of some records each. Readers download what they read,
verify it and delete it again, so the local disk holds no more than one file a reader.
"""

import dataclasses
import functools
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from multiback.errors import CheckpointWarning, StoreError
from multiback.store.checkpoint import Checkpoint
from multiback.store.format.manifest import MANIFEST
from multiback.store.local.run_directory import SAVE_REQUEST
from multiback.store.owner import CLAIM_TIMEOUT, Owner
from multiback.store.remote.bucket import Upload
from multiback.store.remote.claims import (
    abandoned,
    abandoned_uploads,
    claim,
    is_old,
)
from multiback.store.remote.journal import RemoteJournal
from multiback.store.remote.mirror import CHECKPOINTS, mirror_of
from multiback.store.remote.ownership import RemoteOwnership
from multiback.store.remote.save_request import RemoteRequest
from multiback.store.remote.source import RemoteSource
from multiback.store.request import Request, check_name, check_run_id
from multiback.store.runs import Choice, Runs
from multiback.warn import warn

_HISTORY_RECORDS = 256


class RemoteRunDirectory(Runs):
    """The checkpoints, runs and history under one URL; see `Runs`.

    Args:
        url: As fsspec takes it, such as "s3://bucket/runs/tumour".
        claim_timeout: Seconds after which a run whose claim was not renewed is taken
            over. Writers renew it with each commit, and 20 times as often.

    Attributes:
        path: A temporary local directory with copies of the manifests.
        skipped: What the last listing skipped: URLs and reasons.

    Raises:
        ArgumentError: fsspec knows no such URL.
        MissingPackageError: The URL needs a package that is not installed.

    Examples:
        >>> import numpy as np
        >>> runs = RemoteRunDirectory("memory://doctest-run")
        >>> runs.start_run("first", {})
        >>> saved = runs.commit(
        ...     Request(
        ...         "epoch=001",
        ...         run_id="first",
        ...         tensors={"kernel": np.ones((2, 2))},
        ...         epoch=1,
        ...         step=100,
        ...         metrics={"val_f1": 0.91},
        ...     )
        ... )
        >>> saved.location
        'memory://doctest-run/checkpoints/epoch=001'
        >>> [found] = runs.checkpoints()
        >>> found == saved, found.tensors()["kernel"].sum()
        (True, np.float64(4.0))
    """

    def __init__(self, url: str, *, claim_timeout: float = CLAIM_TIMEOUT) -> None:
        self._claim_timeout = claim_timeout
        self._mirror = mirror_of(url)
        self._bucket = self._mirror.bucket
        self.path = self._mirror.local.path
        self.skipped: list[tuple[str, str]] = []
        self._runs = RemoteJournal(self._bucket, "runs", 1)
        self._history = RemoteJournal(self._bucket, "history", _HISTORY_RECORDS)
        self._ownership = RemoteOwnership(self._bucket, claim_timeout)
        self._written: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy open the same URL."""
        opened = functools.partial(type(self), claim_timeout=self._claim_timeout)
        return opened, (self.location,)

    def checkpoints(self, run_id: str | None = None) -> list[Checkpoint]:
        """List the committed checkpoints, oldest commit first."""
        with self._mirror.turn:
            self._mirror.refresh()
            self.skipped = list(self._mirror.skipped)
            return [self._remote(one) for one in self._mirror.local.checkpoints(run_id)]

    def _remote(self, checkpoint: Checkpoint) -> Checkpoint:
        source = RemoteSource(self.location, checkpoint.name)
        return dataclasses.replace(checkpoint, source=source)

    @property
    def location(self) -> str:
        """The URL."""
        return self._bucket.url

    def starts(self) -> list[dict[str, Any]]:
        """Return the record of each start of a run, oldest first."""
        return self._runs.records()

    def records(self) -> list[dict[str, Any]]:
        """Return the history's records, oldest first."""
        return self._history.records()

    def start_run(self, run_id: str, info: Mapping[str, Any]) -> None:
        """Note that a run starts, and collect what dead writers left."""
        record = {"run_id": check_run_id(run_id), "started": time.time(), "info": info}
        self._ownership.claim(run_id)
        objects = self._mirror.refresh()
        # Some stores do not list them, and some users may not.
        with suppress(StoreError):
            for upload in abandoned_uploads(self._bucket, objects, run_id):
                self._bucket.abort(upload)
        self._bucket.delete(abandoned(self._bucket, objects, run_id))
        self._runs.append(record, argument="info")

    def end_run(self, run_id: str) -> None:
        """Release a run, so that other processes may write it."""
        self._ownership.release(run_id)

    def writers(self) -> list[Owner]:
        """List the processes that write a run here, or ended without releasing it."""
        return self._ownership.owners()

    def commit(self, request: Request) -> Checkpoint:
        """Write one checkpoint: whole when this returns, or not at all.

        Raise where it could not be uploaded in several attempts; earlier ones are
        intact.
        """
        with self._mirror.turn:
            self._ownership.check(request.run_id)
            taken = set(self._mirror.refresh())
            name, mark = claim(self._bucket, request, taken)
            try:
                staged = self._mirror.local.commit(
                    dataclasses.replace(request, name=name)
                )
                self._upload(staged)
            except BaseException:
                self._mirror.forget(name)
                with suppress(StoreError):
                    self._withdraw(name)
                raise
            # A leftover claim does no harm: there is a manifest.
            with suppress(StoreError):
                self._bucket.delete([mark])
            self._mirror.keep_manifest(name)
            return self._remote(staged)

    def _upload(self, staged: Checkpoint) -> None:
        """Upload a checkpoint's files, and its manifest when all of them are there."""
        name = staged.architecture
        if name is not None and name not in self._written:
            # Once per process, even if the file exists: so it looks young to `garbage`.
            self._bucket.upload(self.path / name, name)
            self._written.add(name)
        folder = f"{CHECKPOINTS}/{staged.name}"
        for file_name in staged.files:
            self._bucket.upload(staged.path / file_name, f"{folder}/{file_name}")
        there = self._bucket.list(folder)
        for file_name, entry in staged.files.items():
            info = there.get(f"{folder}/{file_name}")
            if info is None or info.size != entry.size:
                raise StoreError(
                    f"{self._bucket.url_of(folder)}/{file_name} must have {entry.size} "
                    f"bytes once it is uploaded, but has "
                    f"{'none' if info is None else info.size}. Try again."
                )
        self._ownership.check(staged.run_id)
        self._bucket.upload(staged.path / MANIFEST, f"{folder}/{MANIFEST}")
        # Another process may have taken over the run while this one hung.
        self._ownership.check(staged.run_id)

    def _withdraw(self, name: str) -> None:
        """Delete a checkpoint's objects: it disappears with its manifest."""
        folder = f"{CHECKPOINTS}/{name}"
        self._bucket.delete([f"{folder}/{MANIFEST}"])
        self._bucket.delete(self._bucket.list(folder))

    def remove(self, checkpoint: Checkpoint, *, run_id: str) -> None:
        """Remove one checkpoint of a run; a missing one is not an error."""
        with self._mirror.turn:
            self._mirror.refresh()
            if not checkpoint.path.exists():
                return
            self._ownership.check(run_id)
            self._mirror.local.remove(checkpoint, run_id=run_id)
            self._mirror.forget(checkpoint.name)
            self._withdraw(checkpoint.name)

    def missing(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:  # noqa: ARG002 - see below
        """Return none: training does not wait for a round trip to look."""
        return []

    def prune(
        self, choose: Choice, *, run_id: str, dry_run: bool = False
    ) -> list[Checkpoint]:
        """Remove those checkpoints of one run that a function does not keep."""
        with self._mirror.turn:
            doomed = self._unkept(choose, run_id)
            for one in doomed if not dry_run else ():
                self._mirror.forget(one.name)
                self._withdraw(one.name)
            return doomed

    def append_history(self, record: Mapping[str, Any]) -> None:
        """Append one record to the history."""
        self._history.append(record, argument="record")

    def garbage(self) -> dict[str, int]:
        """Find day-old leftovers of dead writers, and unused architectures: sizes."""
        objects = self._mirror.refresh()
        found = self._ownership.garbage()
        for name in abandoned(self._bucket, objects, None):
            _, checkpoint, file_name = name.split("/", 2)
            found[name] = objects[checkpoint][file_name].size
        used = {one.architecture for one in self.checkpoints()}
        if self.skipped:
            return found
        # Listed by their folder, which is the run directory itself.
        for name, info in self._bucket.list("").items():
            is_one = name.startswith("arch-") and name.endswith(".json")
            if is_one and name not in used and is_old(info.modified):
                found[name] = info.size
        return found

    def collect_garbage(self, *, dry_run: bool = False) -> list[str]:
        """Delete what `garbage` finds, and day-old uploads that did not end.

        Return the URLs that were deleted, or would be; that of an upload has its
        `uploadId`, as in S3's own interface.
        """
        found = list(self.garbage())
        uploads: list[Upload] = []
        try:
            uploads = abandoned_uploads(self._bucket, {}, None)
        except StoreError as error:
            warn(f"Unfinished uploads are not collected: {error}", CheckpointWarning)
        if not dry_run:
            for upload in uploads:
                self._bucket.abort(upload)
            self._bucket.delete(found)
        names = [*found, *(f"{one.name}?uploadId={one.key}" for one in uploads)]
        return [self._bucket.url_of(name) for name in names]

    def scratch(self, run_id: str) -> Path:
        """Return a new path for temporary files of a run that this process holds."""
        return self._mirror.local.scratch(run_id)

    @property
    def save_request(self) -> RemoteRequest:
        """Return the object that requests a checkpoint from the writer."""
        return RemoteRequest(self.location, SAVE_REQUEST)

    def publish(self, name: str) -> None:
        """Upload a file that was written into `path`, and delete it there."""
        self._bucket.upload(self.path / name, name)
        (self.path / name).unlink()

    def point(self, label: str, checkpoint: Checkpoint) -> None:  # noqa: ARG002 - there are no links
        """Check the label and do nothing else: object stores have no links."""
        check_name("label", label)
