"""The interval of a mean of losses, from sums of the losses and of their squares."""

import math
from typing import Any

import numpy as np

from multiback.metrics.intervals.interval import (
    Array,
    Interval,
    make,
    student_quantile,
)
from multiback.metrics.intervals.wilson import scaled

# Of a number of rows that comes from sums of float32 squares.
_ROUNDING = 1e-5


def mean_and_variance(sums: Array) -> tuple[Array, Array, Array]:
    """Return a weighted mean, the variance of the mean, and the effective rows.

    The sums are `(5, ...)` float64 of `w t`, `w`, `w^2`, `w^2 t` and `w^2 t^2`. The
    variance is `n / (n - 1) sum(w^2 (t - m)^2) / sum(w)^2`, with the effective number
    of rows `n = sum(w)^2 / sum(w^2)`; for equal weights it is the variance of the terms
    over n (Cochran, Sampling Techniques, 1977, 6.4).
    """
    terms, weights, squares, squared_terms, squared = sums
    with np.errstate(all="ignore"):
        mean = terms / weights
        rows = weights**2 / squares
        spread = squared - 2.0 * mean * squared_terms + mean**2 * squares
        # One row has no variance, and rounding must not give it one.
        free = np.where(rows > 1.0 + _ROUNDING, rows - 1.0, np.nan)
        variance = np.maximum(spread, 0.0) / weights**2 * rows / free
    return mean, variance, rows


def mean_interval(sums: Array, level: float, *, positive: bool) -> Interval:
    """Return the interval of a mean: Student's t, or its logarithm's for losses.

    Losses, which are `positive`, are skewed to the right, so the interval of the
    logarithm of their mean, by the delta method, misses the true mean more evenly on
    both sides. The sums are as for `mean_and_variance`.
    """
    mean, variance, rows = mean_and_variance(sums)
    error = np.sqrt(variance)
    ends = _ends(mean, error, rows, level, positive=positive)
    return make(mean, ends, error, level, "Student")


def mean_in_range(
    sums: Array, level: float, value_range: tuple[float, float]
) -> Interval:
    """Return the interval of a mean of one value a row, such as a query's.

    Of a finite range it is Wilson's at the size at which a share would vary as much, so
    that it stays inside and that a mean of 0 and 1 has a share's own; else Student's.
    The sums are as for `mean_and_variance`.
    """
    if not all(map(math.isfinite, value_range)):
        return mean_interval(sums, level, positive=value_range[0] >= 0.0)
    mean, variance, rows = mean_and_variance(sums)
    # The variance of a share is over n, not n - 1.
    of_share = variance * (rows - 1.0) / rows
    ends = scaled(mean, of_share, rows, value_range, level)
    return make(mean, ends, np.sqrt(variance), level, "Wilson, moments")


def _ends(
    mean: Any, error: Any, rows: Any, level: float, *, positive: bool
) -> tuple[Any, Any]:
    reach = student_quantile(level, rows - 1.0) * error
    if not positive or not np.all(mean > 0.0):
        return mean - reach, mean + reach
    factor = np.exp(reach / mean)
    return mean / factor, mean * factor


def mapped(interval: Interval, function: Any, slope: float) -> Interval:
    """Return the interval of an increasing function, with this slope at the value."""
    ends = [function(max(float(end), 0.0)) for end in (interval.lower, interval.upper)]
    return make(
        function(interval.value),
        (ends[0], ends[1]),
        slope * np.asarray(interval.standard_error),
        interval.level,
        interval.method,
    )


def root(interval: Interval) -> Interval:
    """Return the interval of the square root, as for RMSE."""
    value = float(interval.value)
    return mapped(interval, math.sqrt, 0.5 / math.sqrt(value) if value > 0.0 else 0.0)


def exponential(interval: Interval) -> Interval:
    """Return the interval of the exponential, as for perplexity."""
    return mapped(interval, math.exp, math.exp(float(interval.value)))
