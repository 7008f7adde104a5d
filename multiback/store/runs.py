"""The interface of a run directory: subclass `Runs` to add a store.

What follows from the manifests alone, such as the latest run, is written here once.
Stores differ in how they list, write, rename and remove.
"""

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from multiback.errors import NoCheckpointError
from multiback.store.checkpoint import Checkpoint
from multiback.store.copies import without_copies
from multiback.store.format.manifest import MAX_TEXT
from multiback.store.owner import Owner
from multiback.store.request import Request, check_run_id

Choice = Callable[[Sequence[Checkpoint]], Iterable[Checkpoint]]


class Runs(abc.ABC):
    """The checkpoints, runs and history in one place.

    Get one from `open_run_directory`. `StoreContract` in the tests says what each must
    do.

    Attributes:
        path: The directory; of a remote one, a local directory with its manifests.
        skipped: What the last listing skipped: places and reasons.
    """

    path: Path
    skipped: Sequence[tuple[Any, str]]

    @property
    @abc.abstractmethod
    def location(self) -> str:
        """The path as text, or the URL."""

    @abc.abstractmethod
    def checkpoints(self, run_id: str | None = None) -> list[Checkpoint]:
        """List the committed checkpoints, oldest commit first.

        Args:
            run_id: Only those of this run; None for all.

        Returns:
            The checkpoints whose manifest can be trusted; their other files were
            not read (`Checkpoint.verify` does). `skipped` has the others.
        """

    @abc.abstractmethod
    def starts(self) -> Sequence[Mapping[str, Any]]:
        """Return the record of each start of a run, oldest first."""

    @abc.abstractmethod
    def records(self) -> Sequence[Mapping[str, Any]]:
        """Return the history's records, oldest first; skip torn lines."""

    def run_ids(self) -> list[str]:
        """List the runs, the latest start first."""
        return self._last_first(self.checkpoints())

    def latest_run(self) -> str | None:
        """Return the run that started last among those that have a checkpoint."""
        found = self.checkpoints()
        having = {one.run_id for one in found}
        return next((one for one in self._last_first(found) if one in having), None)

    def _last_first(self, found: Sequence[Checkpoint]) -> list[str]:
        return last_first(self.starts(), [one.run_id for one in found])

    def history(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """Read the history's records, oldest first.

        Args:
            run_id: Only those of this run; None for all.
        """
        return [
            dict(record)
            for record in self.records()
            if run_id is None or record.get("run_id") == run_id
        ]

    @abc.abstractmethod
    def start_run(self, run_id: str, info: Mapping[str, Any]) -> None:
        """Take a run, note that it starts, and collect what ended writers left.

        Args:
            run_id: The run; a run that is resumed starts again.
            info: Anything JSON: code and library versions, monitors.

        Raises:
            StoreError: Another process is writing this run.
        """

    @abc.abstractmethod
    def end_run(self, run_id: str) -> None:
        """Release a run, so that other processes may write it.

        Args:
            run_id: The run. If this process did not start it, nothing happens.
        """

    @abc.abstractmethod
    def writers(self) -> list[Owner]:
        """List the processes that write a run here, or ended without releasing it."""

    @abc.abstractmethod
    def commit(self, request: Request) -> Checkpoint:
        """Write one checkpoint: whole and durable when this returns, or not at all.

        Args:
            request: What to write.

        Returns:
            The checkpoint; its `name` is the one that was free.

        Raises:
            StoreError: It could not be written, or another process writes this run.
                Nothing of the new checkpoint is left, earlier ones are intact, and the
                next commit starts afresh.
        """

    @abc.abstractmethod
    def remove(self, checkpoint: Checkpoint, *, run_id: str) -> None:
        """Remove one checkpoint of a run; a missing one is not an error.

        Args:
            checkpoint: Which one.
            run_id: The run that asks; it can only remove its own.

        Raises:
            ArgumentError: The checkpoint lies in another directory.
            StoreError: It belongs to another run, or cannot be removed.
        """

    @abc.abstractmethod
    def missing(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Return those of some checkpoints that do not exist any more."""

    @abc.abstractmethod
    def prune(
        self, choose: Choice, *, run_id: str, dry_run: bool = False
    ) -> list[Checkpoint]:
        """Remove those checkpoints of one run that a function does not keep.

        Copied and renamed directories are neither counted nor removed. No commit
        happens between the choice and the removal. Links such as `best` that led to a
        removed checkpoint are removed too.

        Args:
            choose: Takes the run's checkpoints, oldest first, and returns those to
                keep.
            run_id: The run; no other run's checkpoint is touched.
            dry_run: Remove nothing.

        Returns:
            The checkpoints that were removed, or would be, oldest first.

        Raises:
            NoCheckpointError: The run has no checkpoint.
            StoreError: Something could not be removed; what was removed before stays
                removed.
        """

    def _unkept(self, choose: Choice, run_id: str) -> list[Checkpoint]:
        """Return the checkpoints of a run that a function does not keep."""
        found = without_copies(self.checkpoints(check_run_id(run_id)))
        if not found:
            raise NoCheckpointError(
                f"{self.location} must hold a checkpoint of the run {run_id!r}, but "
                f"holds none. Pass the id of a run that has some."
            )
        keep = set(choose(found))
        return [one for one in found if one not in keep]

    @abc.abstractmethod
    def append_history(self, record: Mapping[str, Any]) -> None:
        """Append one record to the history, durably.

        Args:
            record: Anything JSON; its "run_id" is what `history` selects by.
        """

    @abc.abstractmethod
    def collect_garbage(self, *, dry_run: bool = False) -> Sequence[Any]:
        """Delete leftovers of ended writers, and unused architectures.

        Args:
            dry_run: Delete nothing.

        Returns:
            The paths or URLs that were deleted, or would be.
        """

    @abc.abstractmethod
    def scratch(self, run_id: str) -> Path:
        """Return a new path for temporary files of a run that this process holds.

        What is left there is collected when the run starts again.
        """

    @property
    @abc.abstractmethod
    def save_request(self) -> Any:
        """Return the file that requests a checkpoint from the writer."""

    @abc.abstractmethod
    def publish(self, name: str) -> None:
        """Let readers see a file that was written into `path`."""

    @abc.abstractmethod
    def point(self, label: str, checkpoint: Checkpoint) -> None:
        """Let a link such as `best` lead users to a checkpoint.

        A convenience for eyes and shells: readers of this package compute the best and
        the last from the manifests. Where links are not possible, a text file holds the
        relative path; at a URL there is no link.

        Args:
            label: The link's name in the run directory.
            checkpoint: What it leads to.
        """


def last_first(
    started: Iterable[Mapping[str, Any]], committed: Iterable[str]
) -> list[str]:
    """List runs, the latest start first, then those without a recorded start.

    `committed` is the run of each checkpoint, oldest first.

    >>> last_first([{"run_id": "a"}, {"run_id": "b"}, {"run_id": "a"}], ["c", "b"])
    ['a', 'b', 'c']
    """
    # In a file by others it may be anything.
    told = [one.get("run_id") for one in started]
    known = [id_ for id_ in told if isinstance(id_, str) and len(id_) <= MAX_TEXT]
    return list(dict.fromkeys([*known[::-1], *list(committed)[::-1]]))
