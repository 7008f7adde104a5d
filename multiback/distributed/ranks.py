"""Let processes agree: rank 0 decides, the others receive its decision.

Messages go through the key-value store of the framework that started the processes, and
not through collectives: these wait for each other in the order of their calls, and a
checkpoint is written beside the training's own. Each thread has its own channel, so the
order of two threads never matters.

Every wait ends: with the answer, with another process's error, or with a `StoreError`
after the time-out.
"""

import importlib
import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeVar

from multiback import errors
from multiback.errors import MultibackError, RankWarning, StoreError
from multiback.store.background.writer import WRITER_THREAD
from multiback.store.format.jsontext import dump, load
from multiback.warn import warn

T = TypeVar("T")

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.05
# Seconds to wait before warning.
_WORTH_TELLING_SECONDS = 30.0
# After so many messages rank 0 waits until they were received, and deletes them.
_KEPT = 100

_SAME_CALLS = (
    "Every process must make the same calls; pass distributed=False where only one "
    "makes any."
)

_generations = itertools.count()


class Messages(Protocol):
    """A store that all processes reach. No call waits for another process."""

    def put(self, key: str, value: bytes) -> None:
        """Set a new key."""

    def take(self, key: str) -> bytes | None:
        """Return a key's value; None before it is set."""

    def drop(self, key: str) -> None:
        """Delete a key."""


class Ranks:
    """The processes of one training.

    Every process makes one at the same point, and makes the same calls.

    Args:
        messages: The key-value store for messages.
        rank: This process's number, from 0.
        size: The number of processes.
        timeout: Seconds for which rank 0 waits for the others; they wait for it twice
            as long.

    Attributes:
        rank: As given.
        size: As given.
        timeout: As given.
        name: The name of this group of processes, for its keys.
    """

    def __init__(
        self, messages: Messages, rank: int, size: int, timeout: float
    ) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self._messages = messages
        self.name = str(next(_generations))
        self._prefix = f"multiback/{self.name}"
        self._told: Counter[str] = Counter()
        self._gathered: Counter[str] = Counter()
        self._broken = ""
        self._has_told = False

    @property
    def is_first(self) -> bool:
        """Whether this process decides."""
        return self.rank == 0

    def decide(self, action: Callable[[], T]) -> T:
        """Run `action` on rank 0; return its result, or raise its error, on every rank.

        Args:
            action: Returns a JSON value.

        Raises:
            Exception: The error of `action` on rank 0; on other ranks a copy of it.
        """
        if not self.is_first:
            answer: T = self.hear()
            return answer
        try:
            found = action()
        except BaseException as error:
            self.tell_error(error)
            raise
        self.tell(found)
        return found

    def together(self, action: Callable[[], T]) -> T:
        """Run `action` on every rank; if one fails, raise on all.

        Raises:
            Exception: The error of this rank, or of another rank.
        """
        failed: BaseException | None = None
        answer: T
        try:
            answer = action()
        except BaseException as error:  # noqa: BLE001 - raised below, everywhere
            failed = error

        def judge() -> None:
            if failed is not None:
                # Another rank may be lost for good: do not wait for it.
                self._next(self._gathered)
                raise failed
            _raise_first(self._gather(None))

        try:
            if not self.is_first:
                self._gather(None if failed is None else _described(failed))
            self.decide(judge)
        finally:
            if failed is not None:
                raise failed
        return answer

    def tell(self, answer: Any) -> None:
        """Send a value to the other ranks; rank 0 only."""
        self._put({"answer": answer})

    def tell_error(self, error: BaseException) -> None:
        """Send an error to the other ranks; rank 0 only."""
        self._put({"error": _described(error)})

    def hear(self) -> Any:
        """Return the next value of rank 0.

        Raises:
            MultibackError: Rank 0 sent an error.
            StoreError: Rank 0 sent nothing in time.
        """
        channel, number = self._next(self._told)
        key = f"{channel}/{number}"
        message = load(self._wait(key, 0))
        if number % _KEPT == _KEPT - 1:
            self._messages.put(f"{key}/heard/{self.rank}", b"1")
        if "error" in message:
            _raise_told(message["error"], 0)
        return message["answer"]

    def _put(self, message: dict[str, Any]) -> None:
        channel, number = self._next(self._told)
        key = f"{channel}/{number}"
        self._messages.put(key, dump(message, argument="message"))
        if number % _KEPT == _KEPT - 1:
            heard = [(f"{key}/heard/{rank}", rank) for rank in range(1, self.size)]
            for each, rank in heard:
                self._wait(each, rank)
                self._messages.drop(each)
            for old in range(number - _KEPT + 1, number + 1):
                self._messages.drop(f"{channel}/{old}")

    def _gather(self, value: Any) -> list[Any]:
        """Collect every rank's value on rank 0; the others get nothing."""
        channel, number = self._next(self._gathered)
        keys = [f"{channel}/gathered/{number}/{rank}" for rank in range(self.size)]
        if not self.is_first:
            self._messages.put(keys[self.rank], dump(value, argument="value"))
            return []
        found, begin = [value], time.monotonic()
        for rank in range(1, self.size):
            found.append(load(self._wait(keys[rank], rank, begin)))
            self._messages.drop(keys[rank])
        return found

    def _next(self, counter: Counter[str]) -> tuple[str, int]:
        """Return this thread's channel, and its next message's number."""
        is_writer = threading.current_thread().name == WRITER_THREAD
        channel = f"{self._prefix}/{'writer' if is_writer else 'main'}"
        number = counter[channel]
        counter[channel] += 1
        return channel, number

    def _wait(self, key: str, rank: int, begin: float | None = None) -> bytes:
        """Wait for a message from a rank."""
        if self._broken:
            raise StoreError(self._broken)
        pause = _SHORTEST_PAUSE
        begin = time.monotonic() if begin is None else begin
        # Rank 0 may be waiting for another rank itself, and then says for which.
        limit = self.timeout if self.is_first else 2 * self.timeout
        while True:
            try:
                value = self._messages.take(key)
            except RuntimeError as error:
                self._break(f"rank {rank} cannot be reached any more: {error}")
            if value is not None:
                return value
            waited = time.monotonic() - begin
            if waited > _WORTH_TELLING_SECONDS and not self._has_told:
                self._has_told = True
                warn(
                    f"Rank {self.rank} waits for rank {rank} to come to the same "
                    f"point, for up to {limit:g} seconds. {_SAME_CALLS}",
                    RankWarning,
                )
            if waited > limit:
                self._break(f"rank {rank} did not answer in {limit:g} seconds")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _break(self, why: str) -> NoReturn:
        self._broken = (
            f"The processes must agree on checkpoints, but {why}. It has ended, or has "
            f"not made the same calls. {_SAME_CALLS} Committed checkpoints are intact."
        )
        raise StoreError(self._broken)


def _described(error: BaseException) -> list[Any]:
    return [type(error).__name__, str(error), getattr(error, "errno", None)]


def _raise_first(told: list[Any]) -> None:
    """Raise the first collected error, if any."""
    for rank, error in enumerate(told):
        if error is not None:
            _raise_told(error, rank)


def _raise_told(error: list[Any], rank: int) -> NoReturn:
    """Raise another rank's error as an error of this package."""
    name, text, code = error
    kind = vars(errors).get(name)
    if not (isinstance(kind, type) and issubclass(kind, MultibackError)):
        kind, text = StoreError, f"{name}: {text}"
    raised = kind(text if text.startswith("rank ") else f"rank {rank}: {text}")
    if isinstance(raised, StoreError):
        raised.errno = code
    raise raised


# The library that starts processes, and the module that asks it. A library that is not
# imported has started none.
_STARTERS = {
    "torch.distributed": "multiback.distributed.torch",
    "jax": "multiback.distributed.jax",
}


def ranks_here() -> Ranks | None:
    """Return the processes that torch or JAX has started; None for a single process."""
    for library, module in _STARTERS.items():
        if library in sys.modules:
            ask: Callable[[], Ranks | None] = importlib.import_module(module).ranks
            found = ask()
            if found is not None:
                return found
    return None
