"""When to save between the ends of epochs: by steps, by time, on request."""

import datetime as dt
from typing import Protocol

from multiback.checkpoint.choosing.slots import check_number
from multiback.errors import ArgumentError

# Seconds between looks for the request file: on a network disk each look is too slow
# for a callback.
_LOOK_SECONDS = 1.0


class Request(Protocol):
    """A request for a save that exists or not, like a `pathlib.Path`."""

    def exists(self) -> bool:
        """Return whether it exists."""

    def unlink(self, missing_ok: bool = ...) -> None:
        """Delete it."""


class Triggers:
    """Decide whether it is time to save. Only the request file is read from outside.

    Args:
        every_n_train_steps: Save whenever training took so many batches more.
        train_time_interval: Save whenever so long has passed since the last save.
        request: A file, or an object like it. If it exists, save once.

    Raises:
        ArgumentError: An argument is not usable.

    Examples:
        >>> triggers = Triggers(every_n_train_steps=10)
        >>> triggers.start(batches=0, now=0.0)
        >>> [n for n in range(31) if triggers.due(n, now=0.0)]
        [10, 20, 30]
    """

    def __init__(
        self,
        every_n_train_steps: int | None = None,
        train_time_interval: dt.timedelta | None = None,
        request: Request | None = None,
    ) -> None:
        if every_n_train_steps is not None:
            check_number("every_n_train_steps=", every_n_train_steps, 1)
        if train_time_interval is not None and (
            not isinstance(train_time_interval, dt.timedelta)
            or train_time_interval <= dt.timedelta()
        ):
            raise ArgumentError(
                "train_time_interval= wants a datetime.timedelta above 0, not "
                f"{train_time_interval!r}."
            )
        self._steps = every_n_train_steps
        self._seconds = (
            None if train_time_interval is None else train_time_interval.total_seconds()
        )
        self._request = request
        self.asked = False
        self.start(0, 0.0)

    def start(self, batches: int, now: float) -> None:
        """Begin to count, on a clock in seconds that never goes back."""
        self._periods = batches // self._steps if self._steps else 0
        self._saved_at = self._looked_at = now

    def due(self, batches: int, now: float) -> bool:
        """Return whether to save now; called at the start of each batch."""
        if self._request is not None and now >= self._looked_at + _LOOK_SECONDS:
            self._looked_at = now
            self.asked = self.asked or self._request.exists()
        due = self.asked
        if self._steps is not None and batches // self._steps > self._periods:
            self._periods = batches // self._steps
            due = True
        return due or (
            self._seconds is not None and now >= self._saved_at + self._seconds
        )

    def saved(self, now: float) -> None:
        """Note that a save happened, for any reason."""
        self._saved_at = now
        if self.asked and self._request is not None:
            self._request.unlink(missing_ok=True)
        self.asked = False
