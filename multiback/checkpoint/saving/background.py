"""Save in the background, and report the result.

The training thread copies the state and decides; the writer's thread commits, moves the
links and removes checkpoints that no slot holds any more. Only the writer's thread
changes what is kept while it runs, and only the training thread while it does not.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.saving.kept import KeptCheckpoints
from multiback.checkpoint.saving.snapshots import Draft, Memory
from multiback.errors import ArgumentError, StoreError
from multiback.progress import progress_bar
from multiback.store import Checkpoint, Writer
from multiback.store.background.writer import check_buffers
from multiback.store.disk.files import as_store_error

T = TypeVar("T")
OnSaveError = Literal["raise", "warn"]


class Saver:
    """Commit snapshots in the order they came, one at a time.

    Args:
        kept: Where the checkpoints are kept.
        tell: Takes sentences to warn of.
        background: Return while a draft is written.
        buffers: Copies of the state in memory.
        on_error: "raise", or "warn" and continue.

    Raises:
        ArgumentError: An argument is not usable.
    """

    def __init__(
        self,
        kept: KeptCheckpoints,
        tell: Callable[[Sequence[str]], None],
        *,
        background: bool,
        buffers: int,
        on_error: OnSaveError,
    ) -> None:
        check_buffers(buffers)
        if on_error not in ("raise", "warn"):
            raise ArgumentError(
                f'on_save_error= wants "raise" or "warn", not {on_error!r}.'
            )
        self._kept = kept
        self._tell = tell
        self._background = background
        self._buffers = buffers if background else 1
        self._on_error = on_error
        self._problems: list[str] = []
        self._lost = 0
        self._writer: Writer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Allow copies, as tuners make of a callback: each with its own writer."""
        return {**vars(self), "_writer": None}

    def buffer(
        self, kinds: Mapping[str, Any], memory: Memory | None
    ) -> Mapping[str, np.ndarray]:
        """Return arrays to copy a state into; wait if all of them are being written."""
        writer = self._open()
        return writer.buffer(kinds, memory) if memory else writer.buffer(kinds)

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = Writer(self._kept.directory, buffers=self._buffers)
        return self._writer

    def save(self, draft: Draft, entry: Entry, run_id: str) -> None:
        """Commit a draft, then remove what no slot holds.

        Raise the previous one's error; or, without background, this one's.
        """
        writer = self._open()
        try:
            self.guard(writer.ready)
            self._kept.expect(entry)

            def then(checkpoint: Checkpoint) -> None:
                self._lost = 0
                exact = dataclasses.replace(entry, created=checkpoint.created)
                self._kept.add(exact, checkpoint)
                self._problems += self._kept.tidy(entry.order, run_id)

            try:
                writer.submit(draft.request, then=then, cleanup=draft.cleanup)
            except StoreError as error:
                # No thread can be started.
                draft.cleanup()
                self._fail(error)
                return
        except BaseException:
            draft.cleanup()
            raise
        if not self._background:
            self.wait()

    def guard(self, call: Callable[[], T]) -> T | None:
        """Call `call`, which changes the disk, and return its result; raise or warn."""
        try:
            return call()
        except (OSError, MemoryError) as error:
            self._fail(as_store_error(error, self._kept.directory.location))
        except Exception:
            # Ctrl-C is not an error of the disk: the pending write is finished.
            self._kept.expect_nothing()
            raise
        return None

    def _fail(self, error: StoreError) -> None:
        """Raise an error, or warn: of the first save, the second, the fourth, ..."""
        self._kept.expect_nothing()
        if self._on_error == "raise":
            raise error
        self._lost += 1
        if self._lost == 1:
            self._tell([f"Something was not saved, and training continues: {error}"])
        elif self._lost & (self._lost - 1) == 0:
            self._tell([f"{self._lost} saves in a row failed: {error}"])

    def surface(self) -> None:
        """Raise any pending background error, or warn; do not block."""
        if self._writer is not None:
            self.guard(self._writer.raise_error)
        if self._problems:
            problems, self._problems = self._problems, []
            self._tell(problems)

    @property
    def is_idle(self) -> bool:
        """Whether no write is pending, so that the kept checkpoints may be changed."""
        return self._writer is None or not self._writer.is_busy

    def settle(self) -> None:
        """Wait for the pending write; keep its error for the next caller."""
        if self._writer is not None:
            with progress_bar("Writing a checkpoint"):
                self._writer.join()

    def wait(self) -> None:
        """Wait for the pending write, and `surface` its error."""
        self.settle()
        self.surface()

    def close(self) -> None:
        """Wait, and release the memory."""
        try:
            self.wait()
        finally:
            self._writer = None
        if self._lost > 1:
            lost, self._lost = self._lost, 0
            where = self._kept.directory.location
            self._tell([f"The last {lost} saves into {where} failed."])
