"""Commit in the background, so that training waits for one memory copy only.

Each commit runs in a thread of its own that is no daemon: Python joins it before it
exits, so a pending commit finishes, and there is no idle thread to stop. The thread
spends its time in system calls and in the checksum, both of which release the GIL.
"""

import math
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from multiback.errors import ArgumentError, StoreError
from multiback.store.checkpoint import Checkpoint
from multiback.store.opening import Runs
from multiback.store.request import Request, checked_request
from multiback.store.tensor_file import Array

# What vector units and direct memory access like best.
_ALIGNMENT = 64
_EMPTY: Mapping[str, Any] = {}

Kind = tuple[npt.DTypeLike, tuple[int, ...]]


class SlowDiskWarning(UserWarning):
    """A save had to wait for the one before it."""


class _Outcome:
    """What became of the last commit; outlives the writer, to be told at the end."""

    error: BaseException | None = None
    newest: Checkpoint | None = None

    def raise_error(self) -> None:
        """Raise the error that is kept, once."""
        error, self.error = self.error, None
        if error is not None:
            raise error


class _Buffer:
    """Host memory, cut into arrays; the same memory as long as it is large enough."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._memory: Array = np.empty(0, np.uint8)
        self._arrays: dict[str, Array] = {}

    def arrays(
        self, kinds: Mapping[str, Kind], allocate: Callable[[int], Array]
    ) -> dict[str, Array]:
        """Return arrays of these dtypes and shapes, with whatever they held last."""
        wanted = {
            name: (np.dtype(d), tuple(shape)) for name, (d, shape) in kinds.items()
        }
        if wanted == self._kinds:
            return self._arrays
        places, size = {}, 0
        for name, (dtype, shape) in wanted.items():
            end = size + dtype.itemsize * math.prod(shape)
            places[name] = slice(size, end)
            size = -(-end // _ALIGNMENT) * _ALIGNMENT
        # First let go of the old memory: two states may not fit at once.
        self._kinds, self._arrays = {}, {}
        if self._memory.size < size:
            self._memory = np.empty(0, np.uint8)
            self._memory = allocate(size)
        self._arrays = {
            name: self._memory[places[name]].view(dtype).reshape(shape)
            for name, (dtype, shape) in wanted.items()
        }
        self._kinds = wanted
        return self._arrays

    def is_in(self, arrays: Iterable[Array]) -> bool:
        """Tell whether an array lies in this memory."""
        return any(np.may_share_memory(array, self._memory) for array in arrays)


def _allocate(size: int) -> Array:
    return np.empty(size, np.uint8)


def _commit(
    runs: Runs,
    request: Request,
    then: Callable[[Checkpoint], object] | None,
    outcome: _Outcome,
) -> None:
    """Commit, and keep what comes of it."""
    try:
        outcome.newest = runs.commit_request(request)
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
        allocate: Makes the buffers' memory: takes a number of bytes and returns an
            array of that many uint8. For page-locked memory.

    Raises:
        ArgumentError: `buffers` is below 1.

    Example:
        >>> import tempfile
        >>> from multiback.store import RunDirectory
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Writer(RunDirectory(folder)) as writer:
        ...         arrays = writer.buffer({"w": ("float32", (2, 3))})
        ...         arrays["w"][:] = 2  # Here the state is copied.
        ...         writer.submit(
        ...             "first",
        ...             run_id="a",
        ...             tensors=arrays,
        ...             epoch=1,
        ...             step=100,
        ...             metrics={},
        ...         )
        ...         # Here training goes on.
        ...         writer.wait().tensors()["w"][0, 0]
        np.float32(2.0)
    """

    def __init__(
        self,
        runs: Runs,
        *,
        buffers: int = 2,
        allocate: Callable[[int], Array] = _allocate,
    ) -> None:
        if not isinstance(buffers, int) or buffers < 1:
            raise ArgumentError(
                f"buffers must be a whole number of at least 1, but is {buffers!r}. "
                f"Pass 2, or 1 to save memory."
            )
        self._runs = runs
        self._allocate = allocate
        self._buffers = [_Buffer() for _ in range(buffers)]
        self._busy: list[_Buffer] = []
        self._thread: threading.Thread | None = None
        self._outcome = _Outcome()
        self._turn = threading.RLock()
        self._is_closed = False
        self._has_told = False
        # An error that nobody asks for is told when the writer or Python ends.
        weakref.finalize(self, self._outcome.raise_error)

    @property
    def is_busy(self) -> bool:
        """Whether a commit is being written."""
        return self._thread is not None and self._thread.is_alive()

    def buffer(self, kinds: Mapping[str, Kind]) -> dict[str, Array]:
        """Return arrays to copy a state into, that no commit is reading.

        They hold what they held last; until they are submitted, the same are
        returned again. If every buffer is being written, this waits.

        Args:
            kinds: Dtype and shape by name. As long as they stay the same, nothing
                is allocated.
        """
        with self._turn:
            self._check_open("buffer")
            self._release_if_done()
            free = [one for one in self._buffers if one not in self._busy]
            if not free:
                self._join()
                free = self._buffers
            return free[0].arrays(kinds, self._allocate)

    def submit(
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
        then: Callable[[Checkpoint], object] | None = None,
    ) -> None:
        """Hand a checkpoint over and return while it is written.

        If the one before is not written yet, wait for it; the first time with a
        `SlowDiskWarning`.

        Args:
            name: As for `RunDirectory.commit`, like all that is not said here.
            run_id: The run that owns it.
            tensors: Arrays that do not change until they are written.
            documents: JSON documents by name; they may change afterwards.
            extra_files: Files that stay until they are copied.
            epoch: Stored as given.
            step: Stored as given.
            metrics: Numbers by name.
            backend: The Keras backend, or "".
            versions: Library versions.
            architecture: Anything JSON.
            extra: Anything JSON.
            then: Called in the background thread once the checkpoint is on the
                disk, to remove others for example; its errors are kept too.

        Raises:
            ArgumentError: An argument cannot be stored, or the writer is closed.
            Exception: The commit before this one failed; this one is not begun.
                Submit it again if training is to go on.
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
        with self._turn:
            self._check_open("submit")
            self._join()
            self._outcome.raise_error()
            arrays = request.tensors.values()
            self._busy = [one for one in self._buffers if one.is_in(arrays)]
            self._thread = threading.Thread(
                target=self._work, args=(request, then), name="multiback-writer"
            )
            try:
                self._thread.start()
            except RuntimeError as error:
                self._thread, self._busy = None, []
                raise StoreError(
                    f"could not start a thread to write {name!r}: {error}. Commit "
                    f"with RunDirectory.commit instead."
                ) from error

    def _work(
        self, request: Request, then: Callable[[Checkpoint], object] | None
    ) -> None:
        """Commit in the background; the thread keeps the writer until it is done."""
        _commit(self._runs, request, then, self._outcome)
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
        """Wait for the pending commit; say so the first time."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            start = time.perf_counter()
            thread.join()
            waited = time.perf_counter() - start
            if not self._has_told:
                self._has_told = True
                warnings.warn(
                    f"A save waited {waited:.1f} seconds for the one before it to be "
                    f"written to {self._runs.location}. Save less often, or to a "
                    f"faster disk; this is said once.",
                    SlowDiskWarning,
                    stacklevel=3,
                )
        self._release_if_done()

    def wait(self) -> Checkpoint | None:
        """Wait until nothing is pending.

        Returns:
            The newest checkpoint that this writer committed.

        Raises:
            Exception: The last commit failed. It is raised once.
        """
        with self._turn:
            if self._thread is not None:
                self._thread.join()
            self._release_if_done()
            self._outcome.raise_error()
            return self._outcome.newest

    def close(self) -> None:
        """Wait until nothing is pending, and take nothing more.

        Raises:
            Exception: As for `wait`.
        """
        self._is_closed = True
        self.wait()
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
