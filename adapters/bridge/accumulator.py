"""Another library's accumulated state, and how often it was updated."""

import abc
import dataclasses
import math
from typing import Any

import numpy as np

from multiback.errors import ArgumentError

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape without the batch axis, and dtype.

    While TensorFlow traces, a size may be unknown (None), and so may the rank, which
    makes the whole shape None.
    """

    shape: tuple[int | None, ...] | None
    dtype: str


class Accumulator(abc.ABC):
    """Accumulate batches in another library's way.

    Arrays are NumPy's or, where Keras runs on it, PyTorch's. They belong to the
    accumulator: it may keep them.

    Attributes:
        takes_weights: Whether `update` understands `sample_weight`.
        what: The metric's name in its library, for error messages.
    """

    takes_weights: bool
    what: str

    @abc.abstractmethod
    def layout(self, y_true: Spec, y_pred: Spec) -> tuple[str, ...]:
        """Name each number that `compute` returns: `""` for a single one.

        Raises:
            ArgumentError: Their number depends on the data.
        """

    @abc.abstractmethod
    def update(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> None:
        """Add one batch; masked elements do not count."""

    @abc.abstractmethod
    def compute(self) -> Array:
        """Return the numbers for everything added since the last reset, 1-D."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Forget all batches."""

    def doubt(self) -> str:
        """Return why the numbers may be wrong, or ""."""
        return ""


# So many batches wait to be added one after the other: each then takes half as long as
# alone between two steps, which find nothing of it in the processor's caches.
MOST_WAITING = 32
MOST_WAITING_BYTES = 2**26


class Tally:
    """An accumulator, its number of batches, and its last computed value.

    Batches of a compiled step wait, in order, until there are several or a value is
    asked for. Then an error in one of them is raised, and again until the next reset.
    It computes after every `compute_every` batches; None for on demand only.
    """

    def __init__(self, accumulator: Accumulator, compute_every: int | None) -> None:
        self.accumulator = accumulator
        self.compute_every = compute_every
        self.width = 1
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.accumulator.reset()
        self.batches = 0
        self.computed_at = 0
        self.asked = False
        self.values = np.full(self.width, math.nan, "float32")
        self._waiting: list[dict[str, Any]] = []
        self._waiting_bytes = 0
        self._error: Exception | None = None

    def update(self, before: int, *, may_wait: bool = False, **arrays: Any) -> int:
        """Add one batch and return how many there are now.

        Args:
            before: The number of earlier batches, from the step's variable. 0 starts
                again: only this shows a reset inside of a pure function.
            may_wait: Whether the arrays belong to the tally, which may add them later.
            **arrays: The arguments of the accumulator's `update`.

        Raises:
            ArgumentError: The earlier batches are not the ones that are here, or one
                of them had an error.
        """
        if before == 0 and self.batches:
            self.reset()
        self.check()
        if before != self.batches:
            raise ArgumentError(
                f"{self.accumulator.what} holds {self.batches} batches, but the "
                f"metric's variables speak of {before}: its state lives in this "
                "process and is in no checkpoint, nor can two loops share it. Call "
                "reset_state() first."
            )
        self._waiting.append(arrays)
        self.batches += 1
        self.asked = False
        due = self.compute_every and self.batches % self.compute_every == 0
        if due or not (may_wait and self._has_room(arrays)):
            try:
                self.add_waiting()
            except Exception:
                if self.batches == before:  # The caller has the error of its own batch.
                    self._error = None
                raise
        if due:
            self.compute()
        return self.batches

    def _has_room(self, arrays: dict[str, Any]) -> bool:
        """Return whether a batch may wait; the first does not, so errors come early."""
        self._waiting_bytes += sum(each.nbytes for each in arrays.values())
        return (
            len(self._waiting) < min(MOST_WAITING, self.batches)
            and self._waiting_bytes < MOST_WAITING_BYTES
        )

    def add_waiting(self) -> None:
        """Add the batches that wait."""
        waiting, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        for number, arrays in enumerate(waiting, self.batches - len(waiting) + 1):
            try:
                self.accumulator.update(**arrays)
            except Exception as error:
                error.add_note(f"{self.accumulator.what} was given batch {number}.")
                self._error = error
                self.batches = number - 1
                raise

    def check(self) -> None:
        """Raise an ArgumentError if an earlier batch had an error."""
        if self._error is not None:
            raise ArgumentError(
                f"{self.accumulator.what} had an error in an earlier batch: "
                f"{self._error} Call reset_state() first."
            ) from self._error

    def compute(self) -> Array:
        """Return float32 numbers of shape `(width,)`, computed at most once a batch."""
        self.check()
        self.add_waiting()
        if self.computed_at != self.batches:
            values = np.asarray(self.accumulator.compute(), "float32")
            if values.shape != (self.width,):
                raise ArgumentError(
                    f"{self.accumulator.what} must return {self.width} numbers, as on "
                    f"made-up data, but returned {values.size}. Make the shape of its "
                    "result independent of the data."
                )
            self.values, self.computed_at = values, self.batches
        return self.values
