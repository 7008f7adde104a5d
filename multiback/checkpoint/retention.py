"""Which checkpoints to keep: independent slots over one set of checkpoints.

Pure decisions over plain values. A checkpoint stays as long as any slot holds it.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from multiback.checkpoint.direction import Mode
from multiback.checkpoint.monitor import Logs, Monitor
from multiback.errors import ArgumentError


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the slots know of one checkpoint.

    Attributes:
        order: Later checkpoints have larger numbers; no two have the same.
        epoch: Epochs completed.
        step: Optimizer steps completed.
        created: Seconds since 1970.
        goodness: By monitor label, more is better; no entry where it was not
            measured, is NaN or fails its condition.
    """

    order: int
    epoch: int = 0
    step: int = 0
    created: float = 0.0
    goodness: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)


class Slot(abc.ABC):
    """A rule that holds some of the checkpoints; subclasses are final."""

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """The monitors whose scores the rule reads."""
        return ()

    @abc.abstractmethod
    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries that the rule holds, of entries in order."""


def _as_monitor(
    monitor: Monitor | str | Callable[[Logs], float | None],
    mode: Mode | Literal["auto"],
) -> Monitor:
    return monitor if isinstance(monitor, Monitor) else Monitor(monitor, mode)


def _check_number(argument: str, value: object, smallest: int, also: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
        raise ArgumentError(
            f"{argument} wants an integer of at least {smallest}{also}, not {value!r}."
        )


class Best(Slot):
    """Hold the k best by a monitor; of equals, the earliest.

    Args:
        monitor: A `Monitor`, or what makes one.
        k: How many; -1 for all that have a score.
        mode: "max", "min" or "auto", where `monitor` is no `Monitor`.
        then: Monitors that decide between equals, in turn.

    Example:
    >>> slot = Best("f1", k=1, mode="max")
    >>> history = [Entry(i, goodness={"f1": f}) for i, f in enumerate([0.1, 0.9, 0.9])]
    >>> [entry.order for entry in slot.held(history)]
    [1]
    """

    def __init__(
        self,
        monitor: Monitor | str | Callable[[Logs], float | None],
        k: int = 1,
        *,
        mode: Mode | Literal["auto"] = "auto",
        then: Sequence[Monitor | str] = (),
    ) -> None:
        _check_number("k=", k, -1)
        self.monitor = _as_monitor(monitor, mode)
        self.k = k
        self._then = tuple(_as_monitor(other, "auto") for other in then)

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """The monitor, then those that break ties."""
        return (self.monitor, *self._then)

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the best, as they were when each entry came."""
        best: list[Entry] = []
        for entry in entries:
            if self.monitor.label not in entry.goodness or self.k == 0:
                continue
            if 0 < self.k == len(best):
                worst = min(best, key=self._rank)
                if not self._beats(entry, worst):
                    continue
                best.remove(worst)
            best.append(entry)
        return best

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries that have a score, best first."""
        scored = [e for e in entries if self.monitor.label in e.goodness]
        return sorted(scored, key=self._rank, reverse=True)

    def _scores(self, entry: Entry) -> tuple[float, ...]:
        return tuple(
            entry.goodness.get(monitor.label, float("-inf"))
            for monitor in self.monitors
        )

    def _rank(self, entry: Entry) -> tuple[float, ...]:
        return (*self._scores(entry), -entry.order)

    def _beats(self, entry: Entry, other: Entry) -> bool:
        mine, theirs = self._scores(entry), self._scores(other)
        if mine[0] == theirs[0]:
            return mine > theirs and not self.monitor.min_delta
        return mine[0] > theirs[0] + self.monitor.min_delta


class Last(Slot):
    """Hold the n newest.

    Args:
        n: How many.
    """

    def __init__(self, n: int = 1) -> None:
        _check_number("n=", n, 1)
        self.n = n

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the n newest."""
        return list(entries[-self.n :])


class All(Slot):
    """Hold every checkpoint."""

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return all of them."""
        return list(entries)


class Every(Slot):
    """Hold one checkpoint each so many epochs, steps or hours.

    The first checkpoint of each period stays, counted from the run's start.

    Args:
        epochs: Hold those whose epoch is a multiple of it.
        steps: Hold those whose step is a multiple of it.
        hours: Hold the first one, and then the first one of each such period.
    """

    def __init__(
        self,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        hours: float | None = None,
    ) -> None:
        given = [value for value in (epochs, steps, hours) if value is not None]
        if len(given) != 1:
            raise ArgumentError(
                "Every wants exactly one of epochs=, steps= and hours=, not "
                f"epochs={epochs!r}, steps={steps!r}, hours={hours!r}."
            )
        if not given[0] > 0:
            raise ArgumentError(f"Every wants a number above 0, not {given[0]!r}.")
        self.epochs = epochs
        self.steps = steps
        self.hours = hours

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those that begin or meet a period."""
        if self.epochs is not None:
            return [e for e in entries if e.epoch % self.epochs == 0]
        if self.steps is not None:
            return [e for e in entries if e.step % self.steps == 0]
        held: list[Entry] = []
        for entry in entries:
            seconds = 3600 * (self.hours or 0)
            if not held or entry.created >= held[-1].created + seconds:
                held.append(entry)
        return held


class Pareto(Slot):
    """Hold those that no other checkpoint equals or beats by every monitor.

    Args:
        *monitors: At least two monitors, or log names.
        mode: "max", "min" or "auto", for all that are no `Monitor`.
    """

    def __init__(
        self, *monitors: Monitor | str, mode: Mode | Literal["auto"] = "auto"
    ) -> None:
        if len(monitors) < 2:  # noqa: PLR2004 - one is Best
            raise ArgumentError(
                f"Pareto wants at least two monitors, not {len(monitors)}; for one "
                "use Best."
            )
        self._monitors = tuple(_as_monitor(monitor, mode) for monitor in monitors)

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """All of them."""
        return self._monitors

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the front; of equals, the earliest."""
        labels = [monitor.label for monitor in self._monitors]
        scored = [e for e in entries if all(label in e.goodness for label in labels)]
        return [
            one
            for one in scored
            if not any(_dominates(other, one, labels) for other in scored)
        ]


def _dominates(other: Entry, one: Entry, labels: Sequence[str]) -> bool:
    """Tell whether `other` is as good by every label, and better or earlier."""
    if other is one:
        return False
    mine = [one.goodness[label] for label in labels]
    theirs = [other.goodness[label] for label in labels]
    if mine == theirs:
        return other.order < one.order
    return all(b >= a for a, b in zip(mine, theirs, strict=True))


def kept(entries: Sequence[Entry], slots: Sequence[Slot]) -> set[int]:
    """Return the `order` of each entry that some slot holds."""
    ordered = sorted(entries, key=lambda entry: entry.order)
    return {entry.order for slot in slots for entry in slot.held(ordered)}
