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


class Tally:
    """An accumulator, its number of batches, and its last computed value.

    Args:
        accumulator: The accumulator.
        compute_every: Compute after every so many batches; None for on demand only.
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

    def update(self, before: int, **arrays: Any) -> int:
        """Add one batch and return how many there are now.

        Args:
            before: The number of earlier batches, from the step's variable. 0 starts
                again: only this shows a reset inside of a pure function.
            **arrays: The arguments of the accumulator's `update`.

        Raises:
            ArgumentError: The earlier batches are not the ones that are here.
        """
        if before == 0 and self.batches:
            self.reset()
        if before != self.batches:
            raise ArgumentError(
                f"{self.accumulator.what} holds {self.batches} batches, but the "
                f"metric's variables speak of {before}: its state lives in this "
                "process and is in no checkpoint, nor can two loops share it. Call "
                "reset_state() first."
            )
        self.accumulator.update(**arrays)
        self.batches += 1
        self.asked = False
        if self.compute_every and self.batches % self.compute_every == 0:
            self.compute()
        return self.batches

    def compute(self) -> Array:
        """Return float32 numbers of shape `(width,)`, computed at most once a batch.

        Raises:
            ArgumentError: The library returned another number of numbers.
        """
        if self.computed_at != self.batches:
            values = np.asarray(self.accumulator.compute(), "float32")
            if values.shape != (self.width,):
                raise ArgumentError(
                    f"{self.accumulator.what} returned {values.size} numbers where "
                    f"{self.width} were expected. Its result has to have the same "
                    "shape whatever the data, and show it on made-up data."
                )
            self.values, self.computed_at = values, self.batches
        return self.values
