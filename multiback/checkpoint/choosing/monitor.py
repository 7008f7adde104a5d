"""What a run is judged by: one comparable number from the logs."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Literal

from multiback.checkpoint.choosing.direction import Mode, check_mode
from multiback.checkpoint.choosing.expression import Expression
from multiback.checkpoint.choosing.names import find_name
from multiback.errors import ArgumentError

Logs = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Monitor:
    """Name the quantity that decides which checkpoint is better.

    Args:
        quantity: A log name ("val_f1_score"), an arithmetic expression of log
            names ("val_precision + val_recall"), or a function from the logs to
            a number (None where it has no value this time).
        mode: "max" or "min": which way is better. "auto" asks the metric behind
            the name, then the names registered with `register_direction`.
        where: A condition over log names; a measurement that fails it is never
            best ("val_precision >= 0.9").
        min_delta: By how much a newcomer must beat what it replaces.
        early: Expect the name among the model's own metrics when training
            starts. Say False where another callback adds it to the logs.

    Raises:
        ArgumentError: An argument is none of these.

    Example:
    >>> f1 = Monitor("2 * p * r / (p + r)", mode="max", where="p >= 0.5")
    >>> f1.measure({"p": 0.5, "r": 1.0}), f1.measure({"p": 0.4, "r": 1.0})
    (0.6666666666666666, None)
    """

    quantity: str | Callable[[Logs], float | None]
    mode: Mode | Literal["auto"] = "auto"
    where: str | None = None
    min_delta: float = 0.0
    early: bool = True

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
        # Parse now: a mistake should show before training.
        self.names()

    @property
    def label(self) -> str:
        """What to call the score: the log name, the text or the function's name."""
        if isinstance(self.quantity, str):
            label = self.name or self.quantity
        else:
            label = getattr(self.quantity, "__name__", type(self.quantity).__name__)
        return label if self.where is None else f"{label} where {self.where}"

    @functools.cached_property
    def _expression(self) -> Expression | None:
        """The parsed text; None for a function or for what can only be a name."""
        if not isinstance(self.quantity, str):
            return None
        try:
            return Expression(self.quantity)
        except ArgumentError:
            # A name such as "val f1"; if the logs lack it, the error will list it.
            return None

    @functools.cached_property
    def _condition(self) -> Expression | None:
        return None if self.where is None else Expression(self.where)

    @property
    def name(self) -> str | None:
        """The log name, where the quantity is one."""
        if not isinstance(self.quantity, str):
            return None
        return self._expression.single if self._expression else self.quantity

    def names(self, available: Collection[str] = ()) -> frozenset[str]:
        """Return the log names that a measurement reads, as far as they are known.

        Args:
            available: The logs' names: "val/f1" is a name where they have it, and
                otherwise a division.
        """
        names: frozenset[str] = frozenset()
        if isinstance(self.quantity, str):
            if self.name is not None:
                names = frozenset({self.name})
            elif self.quantity in available or self._expression is None:
                names = frozenset({self.quantity})
            else:
                names = self._expression.names
        return names | (self._condition.names if self._condition else frozenset())

    def missing(self, available: Collection[str]) -> list[str]:
        """Return the names that are not available.

        Raises:
            MonitorError: A name could mean several of them.
        """
        return sorted(
            name for name in self.names(available) if find_name(name, available) is None
        )

    def measure(self, logs: Logs) -> float | None:
        """Return the score, or None: a name is absent, or `where` does not hold.

        Args:
            logs: Numbers by log name.

        Raises:
            MonitorError: A name could mean several of the logs'.
        """
        values = {}
        for name in self.names(logs):
            found = find_name(name, logs)
            if found is None:
                return None
            values[name] = logs[found]
        if self._condition is not None and not self._condition.holds(values):
            return None
        if not isinstance(self.quantity, str):
            result = self.quantity(logs)
            return None if result is None else float(result)
        whole = self.quantity if self.name is None else self.name
        if whole in values:
            return values[whole]
        return self._expression(values) if self._expression else None
