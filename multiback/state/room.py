"""A limit on what a model that is rebuilt from a file may allocate.

Keras allocates a variable as soon as a class asks for it, a user's own class too, and
nothing public comes between. So the constructor of `keras.Variable` counts while a
model is rebuilt, in the thread that rebuilds it.
"""

import math
import threading
from types import TracebackType
from typing import Any, Self

import keras

from multiback.errors import StateError

# What a variable takes; it need not be exact.
_ITEM_BYTES = 4
# Quantized layers allocate their floats first, optimizers several slots a weight.
_FACTOR = 16
_SMALLEST = 64 << 20

_lock = threading.Lock()
_rooms: dict[int, "Room"] = {}
_original: Any = None


class Room:
    """While the block runs, refuse more than a checkpoint's files are worth.

    Args:
        size: Bytes of the checkpoint's files.

    Raises:
        StateError: In the block: a variable goes beyond the limit.

    Examples:
        >>> import keras
        >>> with Room(0):
        ...     keras.Variable("zeros", shape=(100_000, 100_000))
        Traceback (most recent call last):
        ...
        multiback.errors.StateError: The checkpoint has 0 bytes, and asks for a ...
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = _FACTOR * size + _SMALLEST

    def add(self, size: int) -> None:
        """Allow so many bytes more."""
        self._left += size

    def take(self, shape: Any) -> None:
        """Note a variable."""
        if not all(isinstance(one, int) for one in shape):
            return
        self._left -= _ITEM_BYTES * math.prod(shape)
        if self._left < 0:
            raise StateError(
                f"The checkpoint has {self._size} bytes, and asks for a variable of "
                f"shape {tuple(shape)}: it may be forged. Pass bounded=False to load "
                "it all the same."
            )

    def __enter__(self) -> Self:
        """Begin to count in this thread."""
        global _original  # noqa: PLW0603 - one constructor for all threads
        with _lock:
            if not _rooms:
                _original = keras.Variable.__init__
                keras.Variable.__init__ = _counted
            _rooms[threading.get_ident()] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to count."""
        with _lock:
            _rooms.pop(threading.get_ident(), None)
            if not _rooms:
                keras.Variable.__init__ = _original


def _counted(
    self: Any, initializer: Any, shape: Any = None, *rest: Any, **more: Any
) -> None:
    room = _rooms.get(threading.get_ident())
    if room is not None and isinstance(shape, tuple | list):
        room.take(shape)
    _original(self, initializer, shape, *rest, **more)
