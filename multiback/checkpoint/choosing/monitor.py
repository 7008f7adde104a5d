"""What a run is ranked by: one comparable number from the logs."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import numpy as np

from multiback.checkpoint.choosing.direction import Mode, check_mode
from multiback.checkpoint.choosing.expression import Expression
from multiback.checkpoint.choosing.log_values import (
    element,
    element_fault,
    element_name,
    readable,
)
from multiback.checkpoint.choosing.names import Read, find_name, split_element
from multiback.checkpoint.choosing.smoothing import (
    MEDIAN,
    Smooth,
    check_smooth,
)
from multiback.errors import ArgumentError, MonitorError

# Numbers, NumPy arrays, and other logged values.
Logs = Mapping[str, Any]


_SMOOTHED, _WHERE = " smoothed by ", " where "


def split_label(label: str) -> tuple[str, Smooth | None, str | None]:
    """Return the quantity, the smoothing and the condition of a monitor's label.

    >>> split_label("val_loss smoothed by 0.9 where val_f1 > 0.5")
    ('val_loss', 0.9, 'val_f1 > 0.5')
    """
    quantity, _, where = label.partition(_WHERE)
    quantity, _, how = quantity.partition(_SMOOTHED)
    if not how:
        return quantity, None, where or None
    smooth: Smooth = MEDIAN if how == MEDIAN else float(how)
    return quantity, smooth, where or None


@dataclasses.dataclass(frozen=True)
class Monitor:
    """Name the quantity that decides which checkpoint is better.

    Args:
        quantity: A log name ("val_f1_score"), one element of an array that a metric
            logs ("val_recall[1]"), an arithmetic expression of these
            ("val_precision + val_recall"), or a function from the logs to a number
            (None where it has no value this time), which gets arrays as NumPy's.
        mode: "max" or "min": which way is better. "auto" asks the metric behind
            the name, then the names registered with `register_direction`. The sum of
            metrics of one direction has it too.
        where: A condition over log names; a measurement that fails it is never
            best ("val_precision >= 0.9"). Numbers within four roundings of float32
            are equal: 9 of 10 is at least 0.9.
        min_delta: By how much a newcomer must beat what it replaces.
        early: Expect the name among the model's own metrics when training
            starts. Say False where another callback adds it to the logs.
        smooth: Rank by a smoothed curve, because one epoch may be luck: a weight of the
            past such as 0.9 for the exponential average of all scores so far, or
            "median3" for the median of the last three. A resumed run continues it;
            the manifest has the value itself too.

    Raises:
        ArgumentError: An argument is none of these.

    Examples:
        >>> f1 = Monitor("2 * p * r / (p + r)", mode="max", where="p >= 0.5")
        >>> f1.measure({"p": 0.5, "r": 1.0}), f1.measure({"p": 0.4, "r": 1.0})
        (0.6666666666666666, None)
        >>> Monitor("recall[1]").measure({"recall": [0.2, 0.8]})
        0.8
    """

    quantity: str | Callable[[Logs], float | None]
    mode: Mode | Literal["auto"] = "auto"
    where: str | None = None
    min_delta: float = 0.0
    early: bool = True
    smooth: Smooth | None = None

    def __post_init__(self) -> None:
        """Check the arguments and parse the expressions."""
        if not callable(self.quantity) and (
            not isinstance(self.quantity, str) or not self.quantity.strip()
        ):
            raise ArgumentError(
                "monitor= wants a log name, an expression or a function of the logs, "
                f"not {self.quantity!r}."
            )
        check_mode(self.mode)
        if not self.min_delta >= 0:
            raise ArgumentError(
                f"min_delta= wants a number of at least 0, not {self.min_delta!r}."
            )
        check_smooth(self.smooth)
        # Parse now: a mistake should show before training.
        self.names()

    @property
    def label(self) -> str:
        """The name of the score: the log name, the text or the function's name."""
        if isinstance(self.quantity, str):
            label = self.quantity if self.single is None else element_name(*self.single)
        else:
            label = getattr(self.quantity, "__name__", type(self.quantity).__name__)
        if self.smooth is not None:
            label = f"{label}{_SMOOTHED}{self.smooth}"
        return label if self.where is None else f"{label}{_WHERE}{self.where}"

    @functools.cached_property
    def _expression(self) -> Expression | None:
        """The parsed text; None for a function, or for text that can only be a name."""
        if not isinstance(self.quantity, str):
            return None
        try:
            return Expression(self.quantity)
        except ArgumentError:
            # A name such as "val f1"; if it is not in the logs, the error lists it.
            return None

    @functools.cached_property
    def _condition(self) -> Expression | None:
        return None if self.where is None else Expression(self.where)

    @property
    def single(self) -> Read | None:
        """The log name and the index, where the quantity is one element of the logs."""
        if not isinstance(self.quantity, str):
            return None
        return self._expression.single if self._expression else (self.quantity, ())

    @property
    def name(self) -> str | None:
        """The quantity's name in the logs, or the element's; None for anything else."""
        return None if self.single is None else element_name(*self.single)

    def direction(
        self, of_name: Callable[[str], Mode | None], available: Collection[str] = ()
    ) -> Mode | None:
        """Return which way is better, by the directions of the log names; or None.

        Args:
            of_name: Returns the direction of one log name.
            available: As for `reads`.
        """
        one = self._element(available)
        if one is not None:
            return of_name(one[0])
        return self._expression.direction(of_name) if self._expression else None

    def reads(self, available: Collection[str] = ()) -> frozenset[Read]:
        """Return the names and indices that a measurement reads, as far as known.

        Args:
            available: The logs' names: "val/f1" is a name where they have it, and
                otherwise a division.
        """
        one = self._element(available)
        reads: frozenset[Read] = frozenset()
        if one is not None:
            reads = frozenset({one})
        elif self._expression is not None:
            reads = self._expression.reads
        return reads | (self._condition.reads if self._condition else frozenset())

    def _element(self, available: Collection[str]) -> Read | None:
        """Return the single name and index of the quantity; None for a sum."""
        if not isinstance(self.quantity, str):
            return None
        for read in ((self.quantity, ()), split_element(self.quantity)):
            if read[0] in available:
                return read
        return self.single

    def names(self, available: Collection[str] = ()) -> frozenset[str]:
        """Return the log names of `reads`."""
        return frozenset(name for name, _ in self.reads(available))

    def missing(self, available: Collection[str]) -> list[str]:
        """Return the names that are not available.

        Raises:
            MonitorError: A name could mean several of them.
        """
        return sorted(
            name for name in self.names(available) if find_name(name, available) is None
        )

    def fault(self, logs: Mapping[str, Any]) -> str | None:
        """Return why a value cannot be ranked, such as an array; None if it can."""
        for name, index in sorted(self.reads(logs)):
            found = find_name(name, logs)
            if found is not None and (why := element_fault(found, logs[found], index)):
                return why
        return None

    def measure(self, logs: Logs) -> float | None:
        """Return the score, or None: a name is absent, or `where` does not hold.

        Args:
            logs: Numbers and arrays by log name.

        Raises:
            MonitorError: A name could mean several of the logs', or what is read is
                not a number.
        """
        names = self.names(logs)
        values = _found(names, logs)
        if len(values) < len(names):
            return None
        if fault := self.fault(logs):
            raise MonitorError(fault)
        if self._condition is not None and not self._condition.holds(values):
            return None
        if not isinstance(self.quantity, str):
            return self._answer(
                self.quantity({k: readable(v) for k, v in logs.items()})
            )
        if (one := self._element(logs)) is not None:
            return element(values[one[0]], one[1])
        return self._expression(values) if self._expression else None

    def unmet(self, logs: Mapping[str, Any]) -> str | None:
        """Return what `where` read, such as "p is 0.4", if it does not hold."""
        if self._condition is None or not logs:
            return None
        values = _found(self._condition.names, logs)
        if absent := sorted(self._condition.names - {*values}):
            return f"{absent[0]} was not logged"
        if self._condition.holds(values):
            return None
        return ", ".join(
            f"{element_name(name, index)} is {element(values[name], index):.5g}"
            for name, index in sorted(self._condition.reads)
        )

    def _answer(self, answer: Any) -> float | None:
        """Check a function's result."""
        found = None if answer is None else readable(answer)
        if found is not None and not isinstance(found, float):
            is_array = isinstance(found, np.ndarray)
            shape = f" of shape {list(found.shape)}" if is_array else ""
            raise MonitorError(
                f"The function {self.label!r} wants to return one number, or None, "
                f"not a {type(answer).__name__}{shape}."
            )
        return found


def _found(names: Collection[str], logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of those names that the logs have."""
    keys = {name: find_name(name, logs) for name in names}
    return {name: logs[key] for name, key in keys.items() if key is not None}
