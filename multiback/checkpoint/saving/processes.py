"""The processes of a training as the state_writer sees them: several, or one."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras

from multiback.distributed import (
    Ranks,
    SharedRuns,
    StateWriter,
    ranks_here,
    refuse_workers,
    state_writer_of,
)
from multiback.errors import ArgumentError
from multiback.store import Runs

T = TypeVar("T")


class Processes:
    """Communicate with the other processes, if any.

    Args:
        format: How the state is written.
        distributed: Whether others make the same calls, if there are others.

    Attributes:
        format: As given.
        state_writer: The state writer, if it is not the store itself.
    """

    def __init__(self, format: str, *, distributed: bool) -> None:
        self.format = format
        self.state_writer: StateWriter | None = None
        self._distributed = distributed
        self._ranks: Ranks | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Allow copies, as tuners make of a callback; `gather` must be called again."""
        return {**vars(self), "state_writer": None, "_ranks": None}

    def gather(self, runs: Runs) -> Runs:
        """Find the processes, and return the run directory for all of them."""
        if self._distributed:
            refuse_workers(keras.backend.backend(), os.environ)
        self._ranks = ranks_here() if self._distributed else None
        if self._ranks is not None:
            self._meet(self._ranks, runs.location)
        self.state_writer = state_writer_of(self.format, self._ranks)
        return SharedRuns.over(runs, self._ranks)

    def _meet(self, ranks: Ranks, location: str) -> None:
        """Raise on every rank unless all have the same directory."""
        mine = [self.format, location]
        wanted = ranks.decide(lambda: mine)

        def compare() -> None:
            if mine != wanted:
                raise ArgumentError(
                    f"format= and dirpath= must be the same in every process, but are "
                    f"{wanted} on rank 0 and {mine} on rank {ranks.rank}."
                )

        ranks.together(compare)

    @property
    def is_alone(self) -> bool:
        """Whether no other process makes the same calls."""
        return self._ranks is None

    @property
    def is_writer(self) -> bool:
        """Whether this process decides and writes."""
        return self._ranks is None or self._ranks.is_first

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Build variables in the block in this process alone.

        JAX would shard them over all processes, and wait for those that build nothing.
        """
        if self.is_alone:
            yield
            return
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def decide(self, action: Callable[[], T]) -> T:
        """Return the JSON result of an action of rank 0 everywhere, or raise."""
        return action() if self._ranks is None else self._ranks.decide(action)
