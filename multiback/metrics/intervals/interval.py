"""The record of an interval, and the quantiles that intervals are made with."""

import dataclasses
import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.errors import ArgumentError
from multiback.metrics.inputs.arguments import is_real

Array = npt.NDArray[np.float64]
Value = float | Array

# Fewer rows of a class than this leave an interval that covers too little.
ENOUGH_ROWS = 10


@dataclasses.dataclass(frozen=True)
class Interval:
    """A value and where the value of endless data like these would lie.

    Attributes:
        value: The value, a float; an array where the metric has several.
        lower: The lower end, of the same shape; NaN where the value is not defined.
        upper: The upper end.
        standard_error: The standard error of the value. An interval need not be
            symmetric, so its ends need not be a multiple of it away.
        level: How often such an interval contains the true value, such as 0.95.
        method: How it was computed, such as "Wilson".
    """

    value: Value
    lower: Value
    upper: Value
    standard_error: Value
    level: float
    method: str

    @property
    def half(self) -> Value:
        """Half of the interval's length, which is what `0.912 ± .019` shows."""
        return (self.upper - self.lower) / 2.0

    def first(self) -> "Interval":
        """Return the first value's interval, of an array's."""
        return self._with(lambda part: float(np.ravel(part)[0]))

    def where(self, defined: Any) -> "Interval":
        """Return the intervals with NaN where an array says False."""
        return self._with(lambda part: np.where(defined, part, np.nan))

    def _with(self, change: Callable[[Value], Value]) -> "Interval":
        return dataclasses.replace(
            self,
            value=change(self.value),
            lower=change(self.lower),
            upper=change(self.upper),
            standard_error=change(self.standard_error),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the record in JSON's words; arrays become lists.

        >>> Interval(0.5, 0.4, 0.6, 0.05, 0.95, "Wilson").as_json()["upper"]
        0.6
        """
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in dataclasses.asdict(self).items()
        }


def make(
    value: Any, ends: tuple[Any, Any], error: Any, level: float, method: str
) -> Interval:
    """Return the record, with floats where there is one value.

    An end never excludes the value itself, which rounding could do.
    """
    value, lower, upper, error = (
        np.asarray(part, dtype=np.float64) for part in (value, *ends, error)
    )
    lower, upper = np.minimum(lower, value), np.maximum(upper, value)
    found = Interval(value, lower, upper, error, level, method)
    return found.first() if value.ndim == 0 else found


def mean_of_dependent(each: Interval, weights: Array) -> Interval:
    """Return the interval of a weighted mean of values of the same rows.

    How the values vary together is not in the state. The interval is as long as if
    they moved as one, which is the longest: it covers at least its level. Values that
    leave the mean have a weight of 0.
    """
    used = weights > 0.0
    with np.errstate(all="ignore"):
        weights = weights / np.sum(weights)
    value, lower, upper, error = (
        np.sum(np.where(used, weights * part, 0.0)) if used.any() else np.nan
        for part in (each.value, each.lower, each.upper, each.standard_error)
    )
    if np.ravel(each.value).size == 1:
        return each.first()
    method = f"{each.method}, at least"
    return make(value, (lower, upper), error, each.level, method)


def undefined(
    level: float, shape: tuple[int, ...] = (), value: float = math.nan
) -> Interval:
    """Return the interval of a value that is not defined, or infinite."""
    nothing = np.full(shape, np.nan)
    return make(np.full(shape, value), (nothing, nothing), nothing, level, "none")


def sum_of_words(words: Any) -> Array:
    """Return a sum of `numeric.exact` in float64, of a NumPy array of its words."""
    summed: Array = np.sum(np.asarray(words, np.float64), axis=0)
    return summed


def rare_classes(rows: Array) -> list[int]:
    """Return the columns with too few rows for an interval."""
    return [int(at) for at in np.flatnonzero(rows < ENOUGH_ROWS)]


def check_level(level: Any) -> float:
    """Return the level, between 0 and 1, as a float."""
    if not is_real(level) or not 0.0 < level < 1.0:
        raise ArgumentError(
            f"level= wants a number between 0 and 1, such as 0.95, not {level!r}."
        )
    return float(level)


def normal_quantile(level: float) -> float:
    """Return how many standard errors an interval reaches to each side.

    >>> round(normal_quantile(0.95), 4)
    1.96
    """
    return statistics.NormalDist().inv_cdf(0.5 + level / 2.0)


def student_quantile(level: float, freedom: Any) -> Any:
    """Return the same for Student's t, by the expansion in 1 / freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; below
    0.2% off from 4 degrees of freedom on.

    >>> round(float(student_quantile(0.95, 10.0)), 3)
    2.228
    """
    z, n = normal_quantile(level), np.maximum(freedom, 1.0)
    terms = (
        z,
        (z**3 + z) / 4.0,
        (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0,
        (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0,
    )
    return sum(term / n**power for power, term in enumerate(terms))
