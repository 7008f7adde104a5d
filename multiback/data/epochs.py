"""How `fit` iterates over this package's data, epoch by epoch, from any batch.

Keras reads a batch to build the model on JAX and torch and two on TensorFlow, which
also reads ahead in training; at an epoch's end it makes an iterator that it never uses.
So an iterator takes its epoch and position when its first batch is read, and the next
epoch starts only when Keras has seen the last batch. A hook for each batch would be too
late under TensorFlow, and a dataset's own hooks run at other times on each backend.
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
    """Data that can start an epoch at any batch, under every backend.

    A subclass defines the number of batches, how to read one, and its position.
    """

    def __init__(self) -> None:
        # Workers would read ahead of the training, in their own order.
        super().__init__(workers=0)
        self._lock = threading.RLock()
        # The start of the next iterator: the epoch, and the batch in it.
        self._next = (0, 0)
        # The iterator in `fit`: its start, and the last batch that it read.
        self._epoch, self._start, self._read = 0, 0, -1
        self._in_fit = self._fresh = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the lock, to allow copies."""
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore from a copy or pickle."""
        self.__dict__.update(state, _lock=threading.RLock())

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""

    @abc.abstractmethod
    def _look(self, index: int) -> tuple[Any, ...]:
        """Return a batch outside of training: to build the model, or to inspect it."""

    @abc.abstractmethod
    def _take(self, index: int) -> tuple[Any, ...]:
        """Return a batch by its number in the iterator in `fit`."""

    def _bind(self) -> None:
        """Start an iterator in `fit`."""
        self._epoch, self._start = self._next
        self._read, self._fresh = -1, False

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch, for Keras.

        Before training the number is that of every epoch. At the start of an epoch it
        is the number of batches that are left of this one.
        """
        left = self._next[1] if self._fresh else 0
        return Length(len(self) - left, self._is_over)

    def _is_over(self, seen: int) -> bool:
        """Return whether the epoch in `fit` is over, and the next one starts.

        Not already when the last batch is read: Keras may read it to build the model.
        """
        over = seen >= len(self) - self._start
        if over:
            self._next = (self._epoch + 1, 0)
        return over

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return a batch by its number; in `fit`, in the rest of the epoch.

        Raises:
            ArgumentError: `fit` does not read the batches in their order.
        """
        with self._lock:
            if not (self._in_fit or self._is_ahead(index)):
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

    def _is_ahead(self, index: int) -> bool:
        """Return whether TensorFlow's thread reads ahead while `fit` is between epochs.

        With steps_per_epoch= an iterator outlives the epoch.
        """
        is_next = 0 < index == self._read + 1
        return is_next and threading.current_thread() is not threading.main_thread()

    def begin_epoch(self, epoch: int) -> None:
        """Let the next iteration be this epoch, which Keras counts from 0."""
        self._next = (epoch, 0)
        self._in_fit = self._fresh = False

    def on_epoch_begin(self) -> None:
        """Keep Keras from shuffling the batches a second time."""
        frame = inspect.currentframe()
        keep_order(frame.f_back if frame else None)
        self._in_fit = self._fresh = True

    def on_epoch_end(self) -> None:
        """Allow reading of any batch again."""
        self._in_fit = self._fresh = False
