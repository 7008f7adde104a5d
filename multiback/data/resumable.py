"""Arrays in batches, in an order that can be taken up again in the middle of an epoch.

What a batch holds follows from (seed, epoch, number of the batch) alone, never from
a global generator or from what was read before. So it does not matter that Keras reads
a batch to build the model on JAX and torch, that TensorFlow reads ahead, or that at
an epoch's end Keras makes an iterator that it never uses. An iterator is of the epoch
and begins at the position that are set when its first batch is read, and the next
epoch comes only when Keras has seen its last. A hook for each batch would be too late
under TensorFlow, and a dataset's own hooks come at other times on each backend.
"""

import inspect
import math
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from multiback.data.keras_private import Length, keep_order
from multiback.data.order import epoch_order
from multiback.errors import ArgumentError, StateError


class Resumable(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Arrays for `fit` and for loops of your own, resumable at any batch.

    Use it in place of `fit(x, y, batch_size=)` where a run that is killed in the
    middle of an epoch is to go on there, bit for bit, with
    `ModelCheckpoint(..., data=data, every_n_train_steps=n, resume="auto")`. The
    order is the same on every backend.

    In a loop of your own, `for batch in data` is one epoch, or what is left of it;
    `state_dict()` is the position after the batch that was handed out last.

    Args:
        x: An array, or arrays in nested dicts, tuples and lists: what the model
            takes. All of them `(samples, ...)`. Lists become tuples.
        y: The targets, likewise.
        sample_weight: The weights, `(samples,)`, likewise.
        batch_size: Samples a batch; the last one may have fewer.
        shuffle: Visit the samples in an order that follows from (seed, epoch).
        seed: A non-negative integer.

    Raises:
        ArgumentError: An argument is not usable.

    Example:
        >>> import numpy as np, multiback as mb
        >>> data = mb.data.Resumable(np.arange(5), batch_size=2, seed=0)
        >>> [x.tolist() for (x,) in data]
        [[0, 3], [1, 2], [4]]
        >>> batches = iter(data)  # The second epoch.
        >>> first, position = next(batches), data.state_dict()
        >>> position["epoch"], position["batch"]
        (1, 1)
        >>> again = mb.data.Resumable(np.arange(5), batch_size=2, seed=0)
        >>> again.load_state_dict(position)
        >>> [x.tolist() for (x,) in again] == [x.tolist() for (x,) in batches]
        True
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        # Workers would read ahead of what is trained on, in an order of their own.
        super().__init__(workers=0)
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0)):
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least:
                raise ArgumentError(
                    f"{name}= wants an integer of at least {least}, not {value!r}."
                )
        if y is None and sample_weight is not None:
            raise ArgumentError("sample_weight= weighs targets; give y= too.")
        parts = {"x": x, "y": y, "sample_weight": sample_weight}
        given = {name: part for name, part in parts.items() if part is not None}
        self._parts = tuple(_arrays(part, name) for name, part in given.items())
        self._samples = _samples(self._parts)
        self._batch_size = int(batch_size)
        self._shuffle = bool(shuffle)
        self._seed = int(seed)
        self._lock = threading.Lock()
        # Where the next iterator begins: the epoch, and the batch in it.
        self._next = (0, 0)
        # The iterator in `fit`: where it began, and the last batch that it read.
        self._epoch, self._start, self._read = 0, 0, -1
        self._order: np.ndarray | None = None
        self._in_fit = self._fresh = False

    def __getstate__(self) -> dict[str, Any]:
        """Allow copies: all but the lock."""
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the copy up."""
        self.__dict__.update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return math.ceil(self._samples / self._batch_size)

    @property
    def num_batches(self) -> int:
        """The number of batches of an epoch, for Keras.

        What it asks before training holds for every epoch. What it asks as an epoch
        begins is for the iterator: how many are left of this one.
        """
        left = self._next[1] if self._fresh else 0
        return Length(len(self) - left, self._is_over)

    def _is_over(self, seen: int) -> bool:
        """Tell whether the epoch in `fit` is over; then the next one is next.

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
                return self._batch(self._order_of(self._next[0]), index)
            if index == 0:
                self._epoch, self._start = self._next
                self._order = self._order_of(self._epoch)
                self._read, self._fresh = -1, False
            if index > self._read + 1:
                raise ArgumentError(
                    f"Resumable is to be read in order, and batch {index} came after "
                    f"{self._read}: this Keras shuffles the batches once more. Pass "
                    "shuffle=False to fit(); the data shuffles itself."
                )
            self._read = max(self._read, index)
            order, number = self._order, self._start + index
        return self._batch(order, number)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Go through what is left of the epoch, for a loop of one's own."""
        epoch, start = self._next
        order = self._order_of(epoch)
        for number in range(start, len(self)):
            last = number == len(self) - 1
            self._next = (epoch + 1, 0) if last else (epoch, number + 1)
            yield self._batch(order, number)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and what it is a position in, as JSON values.

        Inside of `fit` it is the begin of the epoch: how much of it was trained on,
        only a callback knows.
        """
        epoch, batch = self._next
        return {
            "epoch": epoch,
            "batch": batch,
            "samples": self._samples,
            "batch_size": self._batch_size,
            "shuffle": self._shuffle,
            "seed": self._seed,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the next iteration at a position.

        Args:
            state: What `state_dict` returned.

        Raises:
            StateError: It is of data of another size, order or batch size.
        """
        here = self.state_dict()
        other = [k for k in here if k not in ("epoch", "batch") and here[k] != state[k]]
        if other:
            raise StateError(
                "The position is of other data: "
                + ", ".join(f"{k} was {state[k]!r}, is {here[k]!r}" for k in other)
                + ". Make the data as it was made then."
            )
        self._next = (int(state["epoch"]), int(state["batch"]))
        self._in_fit = self._fresh = False

    def on_epoch_begin(self) -> None:
        """Keep Keras from shuffling the batches a second time."""
        frame = inspect.currentframe()
        keep_order(frame.f_back if frame else None)
        self._in_fit = self._fresh = True

    def on_epoch_end(self) -> None:
        """Allow any batch to be looked at again."""
        self._in_fit = self._fresh = False

    def _order_of(self, epoch: int) -> np.ndarray | None:
        """Return the order of an epoch's samples; None as they are."""
        if not self._shuffle:
            return None
        return epoch_order(self._samples, self._seed, epoch)

    def _batch(self, order: np.ndarray | None, number: int) -> tuple[Any, ...]:
        """Return a batch, by its number in the epoch."""
        if not 0 <= number < len(self):
            raise IndexError(f"There is no batch {number} among {len(self)}.")
        rows = slice(number * self._batch_size, (number + 1) * self._batch_size)
        taken = rows if order is None else order[rows]
        # A copy: a slice would let whoever gets the batch change the data.
        return tuple(
            keras.tree.map_structure(lambda array: np.array(array[taken]), part)
            for part in self._parts
        )


def _arrays(part: Any, name: str) -> Any:
    """Make arrays of what is in a structure, and tuples of its lists."""
    if isinstance(part, Mapping):
        return {key: _arrays(each, f"{name}[{key!r}]") for key, each in part.items()}
    if isinstance(part, list | tuple):
        # TensorFlow would stack the members of a list.
        return tuple(_arrays(each, f"{name}[{i}]") for i, each in enumerate(part))
    if keras.ops.is_tensor(part):
        part = keras.ops.convert_to_numpy(part)
    array = np.asarray(part)
    if array.ndim == 0 or array.dtype == object:
        raise ArgumentError(
            f"{name} wants an array of shape (samples, ...) with numbers, not "
            f"{type(part).__name__} {part!r}."
        )
    return array


def _samples(parts: tuple[Any, ...]) -> int:
    """Return the number of samples, which all arrays share."""
    lengths = [len(array) for array in keras.tree.flatten(parts)]
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise ArgumentError(
            "x=, y= and sample_weight= want arrays of one length above 0, not of "
            f"{lengths}."
        )
    return lengths[0]
