"""A run directory that several processes write together, through rank 0.

It has the methods of `RunDirectory` that training uses. Every process calls each of
them in the same order, and gets the same answer, or the same error.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from multiback.distributed.ranks import Ranks
from multiback.errors import StoreError
from multiback.store import Checkpoint, Owner, Request, Runs, is_remote
from multiback.store.checkpoint import described
from multiback.store.format.manifest import Manifest, manifest_bytes, parse_manifest
from multiback.store.runs import Choice

_FIELDS = tuple(field.name for field in dataclasses.fields(Manifest))


class SharedRuns(Runs):
    """Let processes share a run directory.

    Args:
        runs: The run directory, as this process sees it.
        ranks: The processes.
    """

    def __init__(self, runs: Runs, ranks: Ranks) -> None:
        self.runs = runs
        self.ranks = ranks

    @staticmethod
    def over(runs: Runs, ranks: Ranks | None) -> Runs:
        """Wrap a run directory for these ranks, unwrapping it first if needed."""
        plain = runs.runs if isinstance(runs, SharedRuns) else runs
        return plain if ranks is None else SharedRuns(plain, ranks)

    @property
    def location(self) -> str:
        """The path as text, or the URL."""
        return self.runs.location

    @property
    def path(self) -> Path:  # type: ignore[override]  # Read only here.
        """The directory."""
        return self.runs.path

    @property
    def skipped(self) -> list[tuple[Any, str]]:  # type: ignore[override]  # As above.
        """What the last listing skipped, as this process saw it."""
        return list(self.runs.skipped)

    def checkpoints(self, run_id: str | None = None) -> list[Checkpoint]:
        """List the checkpoints that rank 0 sees.

        Raises:
            StoreError: Another rank does not see them: the directory is not shared.
        """
        ranks = self.ranks
        listed = ranks.decide(lambda: [o.name for o in self.runs.checkpoints(run_id)])

        def look() -> list[Checkpoint]:
            found = {one.name: one for one in self.runs.checkpoints(run_id)}
            if missing := [name for name in listed if name not in found]:
                raise StoreError(
                    f"{self.location} must hold {missing[0]!r}, which rank 0 sees, but "
                    f"does not on rank {ranks.rank}. Give a directory that all "
                    f"processes share."
                )
            return [found[name] for name in listed]

        return ranks.together(look)

    def starts(self) -> Sequence[Mapping[str, Any]]:
        """Return the record of each start of a run, as rank 0 sees it."""
        return self.ranks.decide(lambda: list(self.runs.starts()))

    def records(self) -> Sequence[Mapping[str, Any]]:
        """Return the history's records, as this process sees them."""
        return self.runs.records()

    def prune(
        self, choose: Choice, *, run_id: str, dry_run: bool = False
    ) -> list[Checkpoint]:
        """Remove those checkpoints of one run that a function does not keep."""
        found = self.checkpoints(run_id)
        gone = self.ranks.decide(
            lambda: [
                one.name
                for one in self.runs.prune(choose, run_id=run_id, dry_run=dry_run)
            ]
        )
        return [one for one in found if one.name in gone]

    def collect_garbage(self, *, dry_run: bool = False) -> Sequence[Any]:
        """Delete what ended writers left behind; the same answer on every rank."""
        return self.ranks.decide(
            lambda: [str(one) for one in self.runs.collect_garbage(dry_run=dry_run)]
        )

    def start_run(self, run_id: str, info: Mapping[str, Any]) -> None:
        """Note that a run starts."""
        self.ranks.decide(lambda: self.runs.start_run(run_id, info))

    def end_run(self, run_id: str) -> None:
        """Release the run. After an error a process may call this alone."""
        if self.ranks.is_first:
            self.runs.end_run(run_id)

    def writers(self) -> list[Owner]:
        """List the processes that write a run here, as this process sees them."""
        return self.runs.writers()

    def scratch(self, run_id: str) -> Path:
        """Return a new path for temporary files; on rank 0 alone."""
        return self.runs.scratch(run_id)

    @property
    def save_request(self) -> Any:
        """Return the file that requests a checkpoint from the writer."""
        return self.runs.save_request

    def commit(self, request: Request) -> Checkpoint:
        """Write one checkpoint: each rank its shards, rank 0 everything else.

        Raises:
            StoreError: A rank failed. Nothing of the checkpoint is left.
        """
        return self._lead(request) if self.ranks.is_first else self._follow(request)

    def _lead(self, request: Request) -> Checkpoint:
        write = request.write_state

        def together(folder: Path) -> None:
            self.ranks.tell({"folder": str(folder)})
            self.ranks.together(lambda: write and write(folder))

        asked = dataclasses.replace(
            request, write_state=None if write is None else together
        )
        try:
            committed = self.runs.commit(asked)
            fields = {name: getattr(committed, name) for name in _FIELDS}
            raw = manifest_bytes(Manifest(**fields))
        except BaseException as error:
            self.ranks.tell_error(error)
            raise
        self.ranks.tell({"name": committed.name, "manifest": raw.decode()})
        return committed

    def _follow(self, request: Request) -> Checkpoint:
        told = self.ranks.hear()
        if "folder" in told:
            folder = Path(told["folder"])
            try:
                self.ranks.together(
                    lambda: request.write_state and request.write_state(folder)
                )
            finally:
                # The next message from rank 0 carries the error.
                told = self.ranks.hear()
        if is_remote(self.location):
            name = told["name"]
            return next(one for one in self.runs.checkpoints() if one.name == name)
        path = self.path / "checkpoints" / told["name"]
        return described(path, parse_manifest(told["manifest"].encode()))

    def remove(self, checkpoint: Checkpoint, *, run_id: str) -> None:
        """Remove one checkpoint of a run."""
        self.ranks.decide(lambda: self.runs.remove(checkpoint, run_id=run_id))

    def missing(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Return those that rank 0 does not see any more."""
        asked = list(checkpoints)
        gone = self.ranks.decide(lambda: [o.name for o in self.runs.missing(asked)])
        return [one for one in asked if one.name in gone]

    def append_history(self, record: Mapping[str, Any]) -> None:
        """Append one record to the history."""
        self.ranks.decide(lambda: self.runs.append_history(record))

    def point(self, label: str, checkpoint: Checkpoint) -> None:
        """Let a link such as `best` lead users to a checkpoint."""
        self.ranks.decide(lambda: self.runs.point(label, checkpoint))

    def publish(self, name: str) -> None:
        """Let readers see a file that was written into `path`; on rank 0 alone."""
        self.runs.publish(name)
