"""Arrays in batches, in an order that can resume in the middle of an epoch.

The content of a batch depends on (seed, epoch, number of the batch) alone, never on a
global generator or on earlier reads. So it does not matter how often and how far ahead
Keras reads.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from multiback.data.arrays import as_arrays
from multiback.data.epochs import Epochs
from multiback.errors import ArgumentError, StateError


class Resumable(Epochs):
    """Arrays for `fit` and for your own loops, resumable at any batch.

    Use it in place of `fit(x, y, batch_size=)` if a run that was killed in the middle
    of an epoch should continue there, bit for bit, with `ModelCheckpoint(...,
    data=data, every_n_train_steps=n, resume="auto")`. The order is the same on every
    backend.

    In your own loop, `for batch in data` is one epoch, or the rest of it;
    `state_dict()` is the position after the last returned batch.

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

    Examples:
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
        super().__init__()
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
        self._parts = tuple(as_arrays(part, name) for name, part in given.items())
        self._samples = _samples(self._parts)
        self._batch_size = int(batch_size)
        self._shuffle = bool(shuffle)
        self._seed = int(seed)
        self._order: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return math.ceil(self._samples / self._batch_size)

    def _bind(self) -> None:
        super()._bind()
        self._order = self._order_of(self._epoch)

    def _look(self, index: int) -> tuple[Any, ...]:
        return self._batch(self._order_of(self._next[0]), index)

    def _take(self, index: int) -> tuple[Any, ...]:
        return self._batch(self._order, self._start + index)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rest of the epoch, for a user's own loop."""
        epoch, start = self._next
        order = self._order_of(epoch)
        for number in range(start, len(self)):
            last = number == len(self) - 1
            self._next = (epoch + 1, 0) if last else (epoch, number + 1)
            yield self._batch(order, number)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and what it is a position in, as JSON values.

        Inside `fit` it is the start of the epoch: only a callback knows how much of it
        was trained on.
        """
        return self.state_at(*self._next)

    def state_at(self, epoch: int, batch: int) -> dict[str, Any]:
        """Return the state before a batch, as `state_dict` does.

        Args:
            epoch: The number of the epoch, from 0.
            batch: The number of the batch in it, from 0.
        """
        return {
            "epoch": epoch,
            "batch": batch,
            "samples": self._samples,
            "batch_size": self._batch_size,
            "shuffle": self._shuffle,
            "seed": self._seed,
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raise if a position belongs to other data.

        Args:
            state: What `state_dict` returned.

        Raises:
            StateError: It is of data of another size, order or batch size.
        """
        here = self.state_dict()
        facts = [k for k in here if k not in ("epoch", "batch")]
        other = [k for k in facts if k not in state or here[k] != state[k]]
        if other:
            raise StateError(
                "The position is of other data: "
                + ", ".join(f"{k} was {state.get(k)!r}, is {here[k]!r}" for k in other)
                + ". Make the data as it was made then."
            )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the next iteration at a position.

        Args:
            state: What `state_dict` returned.

        Raises:
            StateError: It is of data of another size, order or batch size.
        """
        self.check_state(state)
        self._next = (int(state["epoch"]), int(state["batch"]))
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
        # A copy: a slice would let the user of the batch change the data.
        return tuple(
            keras.tree.map_structure(lambda array: np.array(array[taken]), part)
            for part in self._parts
        )


def _samples(parts: tuple[Any, ...]) -> int:
    """Return the number of samples, which all arrays share."""
    lengths = [len(array) for array in keras.tree.flatten(parts)]
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise ArgumentError(
            "x=, y= and sample_weight= want arrays of one length above 0, not of "
            f"{lengths}."
        )
    return lengths[0]


def epoch_order(samples: int, seed: int, epoch: int) -> np.ndarray:
    """Return int64 positions of the samples, in an order by the arguments alone.

    It sorts the raw output of a counter-based generator: NumPy promises that this never
    changes, but not for `Generator.permutation`. So a run can resume under another
    NumPy, and under another backend.

    Examples:
        >>> epoch_order(5, seed=0, epoch=0).tolist()
        [0, 3, 1, 2, 4]
    """
    words = np.random.Philox(np.random.SeedSequence([seed, epoch])).random_raw(samples)
    return np.argsort(words, kind="stable")
