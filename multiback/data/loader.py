"""Third-party data loaders in `fit`, with their own state as the position.

A loader goes forward only, and Keras reads more than it trains on: to build the model,
and ahead. So the loader is iterated here, once. Each batch that training has not passed
is kept, with the loader's state before it, to return it again.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from multiback.data.arrays import as_arrays
from multiback.data.epochs import Epochs
from multiback.data.plain import from_plain, to_plain
from multiback.data.sources import Source
from multiback.errors import ArgumentError, StateError

_ENDLESS = 2**53  # `len` of a Grain dataset that repeats is above this.


class ResumableLoader(Epochs):
    """A third-party data loader for `fit` and for loops, resumable at any batch.

    For torchdata's `StatefulDataLoader`, for Grain's datasets and loaders, and for all
    that has `state_dict()` and `load_state_dict()`, or iterators with `get_state()` and
    `set_state()`. Use it in place of the loader, in
    `fit(data, callbacks=[ModelCheckpoint(..., data=data, resume="auto")])`: what
    `fit` makes of the loader itself cannot be resumed exactly, for Keras makes more
    iterators than there are epochs and reads ahead.

    A run that was killed in the middle of an epoch continues there, bit for bit, if the
    loader's state has everything that its batches depend on. Draws of a dataset from a
    global generator, or in a worker process, are not in it. Give torch's samplers a
    `generator=`. Batches become NumPy arrays, and lists in them tuples.

    In your own loop, `for batch in data` is one epoch, or the rest of it;
    `state_dict()` is the position after the last returned batch.

    Args:
        loader: The loader. Nothing else may iterate it. Its batches are `x`, `(x,)`,
            `(x, y)` or `(x, y, sample_weight)`; a dict is `x`.
        batches: How many batches are an epoch: the next epoch continues where this one
            ended, and the loader restarts whenever it is exhausted. None is
            `len(loader)`: one pass.

    Raises:
        ArgumentError: The loader has no state, or has no length.

    Examples:
        >>> import numpy as np, multiback as mb
        >>> class Counts:
        ...     at = 0
        ...
        ...     def __iter__(self):
        ...         while self.at < 3:
        ...             self.at += 1
        ...             yield np.full(2, self.at)
        ...         self.at = 0
        ...
        ...     def state_dict(self):
        ...         return {"at": self.at}
        ...
        ...     def load_state_dict(self, state):
        ...         self.at = state["at"]
        >>> data = mb.data.ResumableLoader(Counts(), batches=3)
        >>> batches = iter(data)
        >>> first, position = next(batches), data.state_dict()
        >>> again = mb.data.ResumableLoader(Counts(), batches=3)
        >>> again.load_state_dict(position)
        >>> [x.tolist() for (x,) in again]
        [[2, 2], [3, 3]]
    """

    def __init__(self, loader: Any, batches: int | None = None) -> None:
        super().__init__()
        self._source = Source(loader)
        self._through = batches is None
        self._batches = _length(loader) if batches is None else batches
        if isinstance(self._batches, bool) or not isinstance(self._batches, int):
            raise ArgumentError(f"batches= wants an integer, not {batches!r}.")
        if not 1 <= self._batches < _ENDLESS:
            raise ArgumentError(
                f"An epoch has {self._batches} batches by the loader's len() or "
                "batches=. Pass how many batches are an epoch as batches=."
            )
        # Batches are counted from 0, over all epochs: the loader's next one, the starts
        # of the next epoch and of the one in `fit`, and the first one that may be
        # requested again.
        self._cursor = self._next_at = self._bound = self._floor = 0
        self._states: dict[int, dict[str, Any]] = {}
        self._kept: dict[int, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return self._batches

    def begin_epoch(self, epoch: int) -> None:
        """Let the next iteration be an epoch, from its first batch.

        The rest of an unfinished epoch is skipped.
        """
        if self._next[1]:
            self._next_at += len(self) - self._next[1]
        super().begin_epoch(epoch)

    def _bind(self) -> None:
        super()._bind()
        self._bound = self._floor = self._next_at

    def _is_over(self, seen: int) -> bool:
        over = super()._is_over(seen)
        # Only numbers: the thread that reads for TensorFlow holds the lock.
        self._floor = max(self._floor, self._bound + seen)
        if over:
            self._next_at = self._bound + len(self) - self._start
        return over

    def _look(self, index: int) -> tuple[Any, ...]:
        return self._read_at(self._next_at + index)

    def _take(self, index: int) -> tuple[Any, ...]:
        return self._read_at(self._bound + index)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rest of the epoch, for a user's own loop."""
        epoch, start = self._next
        for number in range(start, len(self)):
            batch = self._read_at(self._next_at)
            last = number == len(self) - 1
            self._next = (epoch + 1, 0) if last else (epoch, number + 1)
            self._next_at += 1
            self._floor = self._next_at
            yield batch

    def _read_at(self, place: int) -> tuple[Any, ...]:
        """Return a batch, by its number over all epochs."""
        with self._lock:
            if place < self._cursor and place not in self._kept:
                self._go_back(place)
            while self._cursor <= place:
                self._read_next()
                self._forget(min(self._floor, place))
            return self._kept[place]

    def _forget(self, floor: int) -> None:
        """Discard batches that cannot be requested again."""
        for old in [n for n in self._kept if n < floor]:
            del self._kept[old]
        for old in [n for n in self._states if n < floor and n != self._next_at]:
            del self._states[old]

    def _read_next(self) -> None:
        """Read a batch, and note its position."""
        self._note()
        batch = self._source.read(restart=not self._through)
        whole = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
        self._kept[self._cursor] = as_arrays(whole, "a batch of loader=")
        self._cursor += 1

    def _note(self) -> None:
        """Store the state before the next batch."""
        if self._cursor not in self._states:
            number = self._cursor - self._next_at + self._next[1]
            through = self._through and number % len(self) == 0
            state = self._source.state(through=through)
            self._states[self._cursor] = to_plain(state, "the state")

    def _go_back(self, place: int) -> None:
        """Move the loader back to an earlier batch."""
        self._note()
        known = [n for n in self._states if n <= place]
        if not known:
            raise ArgumentError(
                f"Batch {place} of the loader is gone: it goes forward only. Let one "
                "loop at a time read it."
            )
        self._cursor = max(known)
        self._restore()

    def _restore(self) -> None:
        self._source.restore(from_plain(self._states[self._cursor]))

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and what it is a position in, as JSON values.

        Inside `fit` it is the start of the epoch: only a callback knows how much of it
        was trained on.

        Raises:
            ArgumentError: The loader's state is not plain data.
        """
        found = self.state_at(*self._next)
        if found is None:
            raise StateError("The begin of this epoch is no longer known.")
        return found

    def state_at(self, epoch: int, batch: int) -> dict[str, Any] | None:
        """Return the state before a batch; None where it is not known.

        Args:
            epoch: The number of the epoch, from 0.
            batch: The number of the batch in it, from 0.

        Raises:
            ArgumentError: The loader's state is not plain data.
        """
        if epoch == self._next[0]:
            first, number = self._next_at, batch - self._next[1]
        elif epoch == self._epoch:
            first, number = self._bound, batch - self._start
        else:
            return None
        place = first + number
        if place not in self._states:
            with self._lock:
                if place == self._cursor:
                    self._note()
        state = self._states.get(place)
        if state is None:
            return None
        return {"epoch": epoch, "batch": batch, **self._facts(), "source": state}

    def _facts(self) -> dict[str, Any]:
        return {"batches": self._batches, "of_loader": self._source.of_loader}

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raise if a position belongs to another loader.

        Args:
            state: What `state_dict` returned.

        Raises:
            StateError: An epoch has another number of batches, or the data differ.
        """
        if "source" not in state:
            raise StateError("The position is of other data: it has no loader's state.")
        for name, here in self._facts().items():
            if state.get(name) != here:
                raise StateError(
                    f"The position is of another loader: {name} was "
                    f"{state.get(name)!r}, is {here!r}. Make it as it was made then."
                )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the next iteration at a position.

        Args:
            state: What `state_dict` returned.

        Raises:
            StateError: An epoch has another number of batches, or the loader refuses
                its state.
        """
        self.check_state(state)
        with self._lock:
            self._next = (int(state["epoch"]), int(state["batch"]))
            self._in_fit = self._fresh = False
            self._cursor = self._next_at = self._bound = self._floor = 0
            self._kept = {}
            self._states = {0: state["source"]}
            self._restore()


def _length(loader: Any) -> int:
    """Return the number of batches that a loader says it has."""
    try:
        return len(loader)
    except (TypeError, NotImplementedError, OverflowError):
        raise ArgumentError(
            f"{type(loader).__name__} does not say how many batches it has. Pass "
            "batches=: how many are an epoch."
        ) from None
