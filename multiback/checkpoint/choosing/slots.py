"""Which checkpoints to keep: independent slots over one set of checkpoints.

Pure decisions over plain values. A checkpoint stays as long as any slot holds it.
"""

import abc
import dataclasses
import numbers
import re
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from multiback.checkpoint.choosing.direction import Mode, check_mode
from multiback.checkpoint.choosing.monitor import Logs, Monitor
from multiback.checkpoint.choosing.ranking import Entry, near_the_best, ranked
from multiback.checkpoint.choosing.shown import Shown
from multiback.errors import ArgumentError, MonitorError

_WITHIN = re.compile(r"(\d+(?:\.\d+)?)\s*se")


class Slot(Shown, abc.ABC):
    """A rule that holds some of the checkpoints; subclasses are final."""

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """The monitors whose scores the rule reads."""
        return ()

    @abc.abstractmethod
    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries that the rule holds, of entries in order."""


def as_monitor(
    monitor: Monitor | str | Callable[[Logs], float | None],
    mode: Mode | Literal["auto"],
) -> Monitor:
    """Return a monitor that ranks by `mode`; raise for one with another mode."""
    check_mode(mode)
    if not isinstance(monitor, Monitor):
        return Monitor(monitor, mode)
    if mode in ("auto", monitor.mode):
        return monitor
    if monitor.mode != "auto":
        raise ArgumentError(
            f"mode={mode!r} stands beside a Monitor of {monitor.label!r} that has "
            f"mode={monitor.mode!r}. Leave one of them out."
        )
    return dataclasses.replace(monitor, mode=mode)


def check_number(argument: str, value: object, smallest: int) -> None:
    """Raise unless an argument is a large enough integer."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < smallest:  # type: ignore[operator]  # An integer, checked
        raise ArgumentError(
            f"{argument} wants an integer of at least {smallest}, not {value!r}."
        )


class Best(Slot):
    """Hold the k best by a monitor, the earliest of equals first.

    With `within="1se"` the best is the best that the data can tell: of the checkpoints
    within one standard error of the highest score, the one that `then` prefers, or the
    earliest (the one-standard-error rule of Breiman, Friedman, Olshen and Stone,
    Classification and Regression Trees, 1984). It keeps those of them that no other
    one beats by both, and always the one with the highest score.

    Args:
        monitor: A `Monitor`, or what makes one.
        k: How many; -1 for all that have a score. None: 1, and 5 with `within`.
        mode: "max", "min" or "auto", if `monitor` has no mode of its own.
        then: Monitors that decide between equals, in turn; with `within`, between all
            that are near enough.
        within: How near is near enough, such as "1se" for one standard error of the
            highest score. It wants a metric with an `interval()`, not an expression.

    Raises:
        ArgumentError: An argument is not usable.

    Examples:
        >>> slot = Best("f1", k=1, mode="max")
        >>> scores = [0.1, 0.9, 0.9]
        >>> history = [Entry(i, ranking_scores={"f1": f}) for i, f in enumerate(scores)]
        >>> [entry.order for entry in slot.held(history)]
        [1]
    """

    def __init__(
        self,
        monitor: Monitor | str | Callable[[Logs], float | None],
        k: int | None = None,
        *,
        mode: Mode | Literal["auto"] = "auto",
        then: Sequence[Monitor | str] = (),
        within: str | None = None,
    ) -> None:
        self.monitor = as_monitor(monitor, mode)
        self.within = _standard_errors(within, self.monitor)
        if k is None:
            k = 5 if self.within else 1
        check_number("k=", k, -1)
        if self.within and k in (0, 1):
            raise ArgumentError(
                f"k= wants at least 2 beside within=, not {k}: the highest score stays "
                "beside the one that is preferred. Leave k= out for 5."
            )
        self.k = k
        self._then = tuple(as_monitor(other, "auto") for other in then)

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """The monitor, then those that break ties."""
        return (self.monitor, *self._then)

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the k best."""
        if self.within:
            front = near_the_best(entries, self.labels, self.within)
            # The highest score is the last: what is near it depends on it.
            few = self.k == -1 or len(front) <= self.k
            return front if few else [*front[: self.k - 1], front[-1]]
        ranked = self.ranked(entries)
        return ranked if self.k == -1 else ranked[: self.k]

    def ranked(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries that have a score, best first."""
        return ranked(entries, self.labels, self.within)

    def newest(self) -> Slot | None:
        """Return as many of the newest, before anything was measured."""
        if self.k == -1:
            return All()
        return Last(self.k) if self.k else None

    @property
    def labels(self) -> list[str]:
        """The labels that decide, in turn."""
        return [monitor.label for monitor in self.monitors]

    def accepts(self, entry: Entry, entries: Sequence[Entry]) -> bool:
        """Return whether a newcomer beats what it would replace by `min_delta`.

        Called once, for a new checkpoint: one that does not has no score, so the held
        checkpoints never depend on earlier removals.
        """
        label = self.monitor.label
        if not self.monitor.min_delta or label not in entry.ranking_scores:
            return True
        best = self.held(entries)
        if self.k < 1 or len(best) < self.k:
            return True
        return (
            entry.ranking_scores[label]
            > best[-1].ranking_scores[label] + self.monitor.min_delta
        )


def _standard_errors(within: str | None, monitor: Monitor) -> float:
    """Return how many standard errors `within=` says, 0 for None."""
    if within is None:
        return 0.0
    match = _WITHIN.fullmatch(within) if isinstance(within, str) else None
    if match is None or not float(match[1]) > 0.0:
        raise ArgumentError(
            f'within= wants a number of standard errors such as "1se", not {within!r}.'
        )
    if monitor.single is None:
        raise ArgumentError(
            f"within= wants the log name of one metric, whose interval says how near "
            f"is near; {monitor.label!r} is an expression or a function."
        )
    if monitor.smooth is not None:
        raise ArgumentError(
            "within= wants a score as it was measured: a smoothed one has no standard "
            "error. Leave smooth= or within= out."
        )
    if monitor.min_delta:
        raise ArgumentError(
            "within= and min_delta= both say what is near enough. Leave min_delta= out."
        )
    return float(match[1])


def no_interval(label: str) -> MonitorError:
    """Return the error of `within=` for a metric that has no interval."""
    return MonitorError(
        f"within= wants a metric with an interval, not {label!r}. Monitor one of "
        'multiback\'s metrics with interval(), or pass it intervals="bootstrap"; '
        "in a loop of your own pass step(..., intervals={name: metric.interval()})."
    )


class Last(Slot):
    """Hold the n newest.

    Args:
        n: How many.
    """

    def __init__(self, n: int = 1) -> None:
        check_number("n=", n, 1)
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

    Args:
        epochs: Hold the first one after each so many epochs.
        steps: Hold the first one after each so many steps; an epoch's end need not
            meet a multiple.
        hours: Hold the very first, and then the first that is so much later than the
            previous one.
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
        if hours is None:
            check_number("epochs= or steps=", given[0], 1)
        elif not hours > 0:
            raise ArgumentError(f"hours= wants a number above 0, not {hours!r}.")
        self.epochs = epochs
        self.steps = steps
        self.hours = hours

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the first of each period."""
        if self.epochs is not None:
            return _first_of_each(entries, [e.epoch // self.epochs for e in entries])
        if self.steps is not None:
            return _first_of_each(entries, [e.step // self.steps for e in entries])
        held: list[Entry] = []
        for entry in entries:
            seconds = 3600 * (self.hours or 0)
            if not held or entry.created >= held[-1].created + seconds:
                held.append(entry)
        return held


def _first_of_each(entries: Sequence[Entry], periods: Sequence[int]) -> list[Entry]:
    """Return the first entry of each period but the unfinished period 0."""
    first: dict[int, Entry] = {}
    for entry, period in zip(entries, periods, strict=True):
        first.setdefault(period, entry)
    return [entry for period, entry in first.items() if period > 0]


class Pareto(Slot):
    """Hold those that no other checkpoint equals or beats by every monitor.

    Args:
        *monitors: At least two monitors, or log names.
        mode: "max", "min" or "auto", for all monitors without a mode of their own.
    """

    def __init__(
        self, *monitors: Monitor | str, mode: Mode | Literal["auto"] = "auto"
    ) -> None:
        if len(monitors) < 2:  # noqa: PLR2004 - one is Best
            raise ArgumentError(
                f"Pareto wants at least two monitors, not {len(monitors)}; for one "
                "use Best."
            )
        check_mode(mode)
        self._monitors = tuple(
            as_monitor(one, mode if getattr(one, "mode", "auto") == "auto" else "auto")
            for one in monitors
        )

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        """All of them."""
        return self._monitors

    def held(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the front, with the earliest of equals."""
        labels = [monitor.label for monitor in self._monitors]
        scored = [
            e for e in entries if all(label in e.ranking_scores for label in labels)
        ]
        return [
            one
            for one in scored
            if not any(_dominates(other, one, labels) for other in scored)
        ]


def _dominates(other: Entry, one: Entry, labels: Sequence[str]) -> bool:
    """Return whether `other` is as good by every label, and better or earlier."""
    if other is one:
        return False
    mine = [one.ranking_scores[label] for label in labels]
    theirs = [other.ranking_scores[label] for label in labels]
    if mine == theirs:
        return other.order < one.order
    return all(b >= a for a, b in zip(mine, theirs, strict=True))


def kept(
    entries: Sequence[Entry], slots: Sequence[Slot], always: Collection[int] = ()
) -> set[int]:
    """Return the `order` of each entry that some slot holds.

    A checkpoint that the user asked for stays in any case, and so does `always`, which
    was saved because the training stopped. If the newest that stays is of the middle of
    an epoch, the newest of an epoch's end stays too: any training can resume from
    there.
    """
    ordered = sorted(entries, key=lambda entry: entry.order)
    held = {entry.order for slot in slots for entry in slot.held(ordered)}
    held |= set(always)
    held |= {entry.order for entry in ordered if entry.asked}
    staying = [entry for entry in ordered if entry.order in held]
    if staying and not staying[-1].boundary:
        ends = [e for e in ordered if e.boundary and e.order < staying[-1].order]
        held |= {entry.order for entry in ends[-1:]}
    return held
