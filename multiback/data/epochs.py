"""How `fit` goes through data of ours, epoch by epoch, from any batch on.

Keras reads a batch to build the model on JAX and torch and two on TensorFlow, which
also reads ahead in training; at an epoch's end it makes an iterator that it never uses.
So an iterator is of the epoch and begins at the position that are set when its first
batch is read, and the next epoch comes only when Keras has seen its last. A hook for
each batch would be too late under TensorFlow, and a dataset's own hooks come at other
times on each backend.
"""

import abc
import inspect
import threading
from collections.abc import Mapping
from typing import Any

import keras

from multiback.errors import ArgumentError
from multiback.keras_private import Length, keep_order


class Epochs(keras.utils.PyDataset, abc.ABC):  # type: ignore[misc]  # Keras has no types
    """Data that begins an epoch where it is told to, under every backend.

    A subclass says how many batches there are, how to take one, and what its
    position is.
    """

    def __init__(self) -> None:
        # Workers would read ahead of what is trained on, in an order of their own.
        super().__init__(workers=0)
        self._lock = threading.RLock()
        # Where the next iterator begins: the epoch, and the batch in it.
        self._next = (0, 0)
        # The iterator in `fit`: where it began, and the last batch that it read.
        self._epoch, self._start, self._read = 0, 0, -1
        self._in_fit = self._fresh = False

    def __getstate__(self) -> dict[str, Any]:
        """Allow copies: all but the lock."""
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the copy up."""
        self.__dict__.update(state, _lock=threading.RLock())

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""

    @abc.abstractmethod
    def _look(self, index: int) -> tuple[Any, ...]:
        """Return a batch outside of training: to build the model, or to look at it."""

    @abc.abstractmethod
    def _take(self, index: int) -> tuple[Any, ...]:
        """Return a batch by its number in the iterator in `fit`."""

    def _bind(self) -> None:
        """Begin an iterator in `fit`."""
        self._epoch, self._start = self._next
        self._read, self._fresh = -1, False

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch, for Keras.

        What it asks before training holds for every epoch. What it asks as an epoch
        begins is for the iterator: how many are left of this one.
        """
        left = self._next[1] if self._fresh else 0
        return Length(len(self) - left, self._is_over)

    def _is_over(self, seen: int) -> bool:
        """Return whether the epoch in `fit` is over; then the next one is next.

        Only then, not when the last batch is read: that may be to build the model.
        """
        over = seen >= len(self) - self._start
        if over:
            self._next = (self._epoch + 1, 0)
        return over

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return a batch by its number: in `fit`, in what is left of the epoch.

        Raises:
            ArgumentError: `fit` does not read the batches in their order.
        """
        with self._lock:
            if not self._in_fit:
                return self._look(index)
            if index == 0:
                self._bind()
            if index > self._read + 1:
                raise ArgumentError(
                    f"{type(self).__name__} is to be read in order, and batch {index} "
                    f"came after {self._read}: this Keras shuffles the batches once "
                    "more. Pass shuffle=False to fit(); the data shuffles itself."
                )
            self._read = max(self._read, index)
            return self._take(index)

    def begin_epoch(self, epoch: int) -> None:
        """Let the next iteration be of an epoch, from its first batch.

        Args:
            epoch: Its number as Keras counts, from 0.
        """
        self._next = (epoch, 0)
        self._in_fit = self._fresh = False

    def on_epoch_begin(self) -> None:
        """Keep Keras from shuffling the batches a second time."""
        frame = inspect.currentframe()
        keep_order(frame.f_back if frame else None)
        self._in_fit = self._fresh = True

    def on_epoch_end(self) -> None:
        """Allow any batch to be looked at again."""
        self._in_fit = self._fresh = False
