"""Commit in the background, so that training waits for one memory copy only.

Each commit runs in a thread of its own that is no daemon: Python joins it before it
exits, so a pending commit finishes, and there is no idle thread to stop. The thread
spends its time in system calls and in the checksum, both of which release the GIL, and
gets it back soon (switching.py).
"""

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from multiback.errors import ArgumentError, SlowDiskWarning, StoreError
from multiback.store.background.buffers import Buffer, Kind, allocate_aligned
from multiback.store.background.switch_interval import soon
from multiback.store.checkpoint import Checkpoint
from multiback.store.format.tensor_file import Array
from multiback.store.request import Request
from multiback.store.runs import Runs
from multiback.warn import warn

# A shorter wait is nothing to bother anyone with.
# A wait is worth a warning if it is longer, and this share of the time between saves.
_WORTH_TELLING_SECONDS = 1.0
_WORTH_TELLING_SHARE = 0.1

WRITER_THREAD = "multiback-writer"

Then = Callable[[Checkpoint], object]


class _Outcome:
    """What became of the last commit; outlives the writer, to be told at the end."""

    error: BaseException | None = None
    newest: Checkpoint | None = None

    def raise_error(self) -> None:
        """Raise the error that is kept, once."""
        error, self.error = self.error, None
        if error is not None:
            raise error


def _commit(
    runs: Runs,
    request: Request,
    then: Then | None,
    cleanup: Callable[[], object] | None,
    outcome: _Outcome,
) -> None:
    """Commit, and keep what comes of it."""
    try:
        try:
            outcome.newest = runs.commit(request)
        finally:
            if cleanup is not None:
                cleanup()
        if then is not None:
            then(outcome.newest)
    except BaseException as error:  # noqa: BLE001  (submit, wait or close raise it)
        outcome.error = error


class Writer:
    """Commit checkpoints in a background thread, at most one at a time.

    Arrays that are handed over must not change until they are written. The arrays
    of `buffer` are made for this: fill them, submit them, and ask again for the next
    checkpoint; the memory changes hands by itself and is allocated once.

    Args:
        runs: The run directory to commit into.
        buffers: How many sets of arrays `buffer` hands out in turn. With 2 the next
            state can be copied while the last one is still being written; 1 takes
            half the memory and waits.

    Raises:
        ArgumentError: `buffers` is below 1.

    Example:
        >>> import tempfile
        >>> from multiback.store import Request, RunDirectory
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Writer(RunDirectory(folder)) as writer:
        ...         arrays = writer.buffer({"w": ("float32", (2, 3))})
        ...         arrays["w"][:] = 2  # Here the state is copied.
        ...         request = Request(
        ...             "first", run_id="a", tensors=arrays, epoch=1, step=9, metrics={}
        ...         )
        ...         writer.submit(request)
        ...         # Here training goes on.
        ...         writer.wait().tensors()["w"][0, 0]
        np.float32(2.0)
    """

    def __init__(self, runs: Runs, *, buffers: int = 2) -> None:
        check_buffers(buffers)
        self._runs = runs
        self._number = buffers
        self._buffers = [Buffer() for _ in range(buffers)]
        self._busy: list[Buffer] = []
        self._thread: threading.Thread | None = None
        self._outcome = _Outcome()
        self._turn = threading.RLock()
        self._is_closed = False
        self._submitted = 0.0
        self._has_told = False
        # An error that nobody asks for is told when the writer or Python ends.
        weakref.finalize(self, self._outcome.raise_error)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is going on: a copy begins anew."""
        return {"runs": self._runs, "buffers": self._number}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin anew."""
        self.__init__(**state)  # type: ignore[misc]  # The same class, no other's

    def is_for(self, path: Path) -> bool:
        """Return whether it commits into a run directory."""
        return self._runs.path == path

    @property
    def is_busy(self) -> bool:
        """Whether a commit is being written."""
        return self._thread is not None and self._thread.is_alive()

    def buffer(
        self,
        kinds: Mapping[str, Kind],
        allocate: Callable[[int], Array] = allocate_aligned,
    ) -> dict[str, Array]:
        """Return arrays to copy a state into, that no commit is reading.

        They hold what they held last; until they are submitted, the same are
        returned again. If every buffer is being written, this waits.

        Args:
            kinds: Dtype and shape by name. As long as they stay the same, nothing
                is allocated.
            allocate: Makes the memory: takes a number of bytes and returns an array
                of that many uint8. For page-locked memory.
        """
        with self._turn:
            self._check_open("buffer")
            self._release_if_done()
            free = [one for one in self._buffers if one not in self._busy]
            if not free:
                self._join()
                free = self._buffers
            return free[0].arrays(kinds, allocate)

    def ready(self) -> None:
        """Wait until a submission would not have to, as `submit` does.

        Raises:
            Exception: As for `submit`.
        """
        with self._turn:
            self._join()
            self._outcome.raise_error()

    def submit(
        self,
        request: Request,
        *,
        then: Then | None = None,
        cleanup: Callable[[], object] | None = None,
    ) -> None:
        """Hand a checkpoint over and return while it is written.

        If the one before is not written yet, wait for it; the first time that this
        takes long with a `SlowDiskWarning`.

        Args:
            request: What to write.
            then: Called in the background thread once the checkpoint is on the
                disk, to remove others for example; its errors are kept too.
            cleanup: Called in the background thread once the request's
                `extra_files` are not needed any more, whether or not they were
                written.

        Raises:
            ArgumentError: The writer is closed.
            Exception: The commit before this one failed; this one is not begun.
                Submit it again if training is to go on.
        """
        with self._turn:
            self._check_open("submit")
            self._join()
            self._outcome.raise_error()
            arrays = request.tensors.values()
            self._busy = [one for one in self._buffers if one.is_in(arrays)]
            self._thread = threading.Thread(
                target=self._work,
                args=(request, then, cleanup),
                name=WRITER_THREAD,
            )
            try:
                self._thread.start()
            except RuntimeError as error:
                self._thread, self._busy = None, []
                raise StoreError(
                    f"could not start a thread to write {request.name!r}: {error}. "
                    f"Commit with RunDirectory.commit instead."
                ) from error
            self._submitted = time.perf_counter()
            _writers.add(self)

    def _work(
        self,
        request: Request,
        then: Then | None,
        cleanup: Callable[[], object] | None,
    ) -> None:
        """Commit in the background; the thread keeps the writer until it is done."""
        with soon():
            _commit(self._runs, request, then, cleanup, self._outcome)
        # An error that is kept leads to this frame, and must not keep the writer.
        del self

    def _check_open(self, method: str) -> None:
        if self._is_closed:
            raise ArgumentError(
                f"{method} must come before close, but this writer is closed. Make "
                f"another."
            )

    def _release_if_done(self) -> None:
        if not self.is_busy:
            self._thread, self._busy = None, []

    def _join(self) -> None:
        """Wait for the pending commit; the first time that it takes long, say so."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            start = time.perf_counter()
            thread.join()
            waited = time.perf_counter() - start
            share = waited / (time.perf_counter() - self._submitted)
            is_long = waited > _WORTH_TELLING_SECONDS and share > _WORTH_TELLING_SHARE
            if is_long and not self._has_told:
                self._has_told = True
                warn(
                    f"A save waited {waited:.1f} seconds ({share:.0%} of the time) for "
                    "the one before it to be written: save less often, or to a faster "
                    f"disk than that of {self._runs.location}.",
                    SlowDiskWarning,
                )
        self._release_if_done()

    def raise_error(self) -> None:
        """Raise what a commit in the background ran into, once; never wait.

        Raises:
            Exception: The last commit failed.
        """
        self._outcome.raise_error()

    def wait(self) -> Checkpoint | None:
        """Wait until nothing is pending.

        Returns:
            The newest checkpoint that this writer committed.

        Raises:
            Exception: The last commit failed. It is raised once.
        """
        self.join()
        self._outcome.raise_error()
        return self._outcome.newest

    def join(self) -> None:
        """Wait until nothing is pending; an error is kept."""
        with self._turn:
            if self._thread is not None:
                self._thread.join()
            self._release_if_done()

    def close(self) -> None:
        """Wait until nothing is pending, and take nothing more.

        Raises:
            Exception: As for `wait`.
        """
        self._is_closed = True
        try:
            self.wait()
        finally:
            self._buffers = []

    def __enter__(self) -> Self:
        """Return itself; `close` is called at the block's end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Close; an error that is on its way goes on, with ours as a note."""
        try:
            self.close()
        except BaseException as ours:
            if error is None:
                raise
            error.add_note(f"Besides, a checkpoint was not saved: {ours}")


def check_buffers(buffers: Any) -> None:
    """Refuse a number of buffers that is none."""
    if not isinstance(buffers, int) or buffers < 1:
        raise ArgumentError(
            f"buffers must be a whole number of at least 1, but is {buffers!r}. "
            f"Pass 2, or 1 to save memory."
        )


_writers: "weakref.WeakSet[Writer]" = weakref.WeakSet()


def wait_for(path: Path) -> None:
    """Wait for what this process is committing into a run directory.

    So that a reader sees what the same program has saved just before. Errors stay
    where they are.

    Args:
        path: The run directory, resolved.
    """
    for writer in list(_writers):
        if writer.is_for(path):
            writer.join()
