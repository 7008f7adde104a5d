"""Commit in the background, so that training waits for one memory copy only.

Each commit runs in its own thread, not a daemon: Python joins it before it exits, so a
pending commit finishes, and there is no idle thread to stop. The thread spends its time
in system calls and in the checksum, which both release the GIL. It gets the GIL back
from a loop in Python after the interpreter's switch interval: with a tenth of that a
save beside such a loop took 0.8 of the time, which no training waits for.
"""

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from multiback.errors import ArgumentError, SlowDiskWarning, StoreError
from multiback.store.background.buffers import Buffer, Kind, allocate_aligned
from multiback.store.checkpoint import Checkpoint
from multiback.store.format.tensor_file import Array
from multiback.store.request import Request
from multiback.store.runs import Runs
from multiback.warn import warn

# Do not warn of short waits. Warn if the wait is longer than this, and longer than this
# share of the time between saves.
_WORTH_TELLING_SECONDS = 1.0
_WORTH_TELLING_SHARE = 0.1

WRITER_THREAD = "multiback-writer"

Then = Callable[[Checkpoint], object]


class _Outcome:
    """Outcome of the last commit; outlives the writer, to be reported at the end."""

    error: BaseException | None = None
    newest: Checkpoint | None = None

    def raise_error(self) -> None:
        """Raise the stored error, once."""
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
    """Commit, and store the result or the error."""
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

    Submitted arrays must not change until they are written. The arrays of `buffer` are
    made for this: fill them, submit them, and ask again for the next checkpoint; the
    memory changes hands by itself and is allocated once.

    Args:
        runs: The run directory to commit into.
        buffers: How many sets of arrays `buffer` hands out in turn. With 2 the next
            state can be copied while the last one is still being written; 1 takes
            half the memory and waits.

    Raises:
        ArgumentError: `buffers` is below 1.

    Examples:
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
        ...         # Here training continues.
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
        # An error that was never raised is reported when the writer or Python ends.
        weakref.finalize(self, self._outcome.raise_error)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the pending commit: a copy starts idle."""
        return {"runs": self._runs, "buffers": self._number}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start idle."""
        self.__init__(**state)  # type: ignore[misc]  # The same class, no other's

    def is_for(self, path: Path) -> bool:
        """Return whether this writer commits into a run directory."""
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

        They keep their last content; until they are submitted, the same arrays are
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
        """Wait until `submit` would not have to wait.

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

        If the previous one is not written yet, wait for it; the first long wait raises
        a `SlowDiskWarning`.

        Args:
            request: What to write.
            then: Called in the background thread once the checkpoint is on the
                disk, to remove others for example; its errors are kept too.
            cleanup: Called in the background thread once the request's
                `extra_files` are not needed any more, whether or not they were
                written.

        Raises:
            ArgumentError: The writer is closed.
            Exception: The commit before this one failed; this one is not begun. Submit
                it again to continue training.
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
        _commit(self._runs, request, then, cleanup, self._outcome)
        # A stored error refers to this frame, and must not keep the writer alive.
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
        """Wait for the pending commit; warn at the first long wait."""
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
        """Raise the error of a background commit, once; do not block.

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
        """Wait until nothing is pending; a stored error stays stored."""
        with self._turn:
            if self._thread is not None:
                self._thread.join()
            self._release_if_done()

    def close(self) -> None:
        """Wait until nothing is pending, and accept no more commits.

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
        """Close; an exception in flight continues, with our error as a note."""
        try:
            self.close()
        except BaseException as ours:
            if error is None:
                raise
            error.add_note(f"A checkpoint was not saved either: {ours}")


def check_buffers(buffers: Any) -> None:
    """Raise unless `buffers` is a positive integer."""
    if not isinstance(buffers, int) or buffers < 1:
        raise ArgumentError(
            f"buffers must be a whole number of at least 1, but is {buffers!r}. "
            f"Pass 2, or 1 to save memory."
        )


_writers: "weakref.WeakSet[Writer]" = weakref.WeakSet()


def wait_for(path: Path) -> None:
    """Wait for this process's pending commit into a run directory (resolved path).

    So a reader sees the last save of the same program. Stored errors stay stored.
    """
    for writer in list(_writers):
        if writer.is_for(path):
            writer.join()
