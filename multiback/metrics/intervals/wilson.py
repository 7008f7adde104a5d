"""Wilson's interval of a share, and of any value in a range, at an effective size."""

from typing import Any

import numpy as np

from multiback.metrics.intervals.interval import Array, normal_quantile

# A smaller variance is 0, rounded.
_ROUNDING = 1e-24


def wilson(share: Any, rows: Any, level: float) -> tuple[Array, Array]:
    """Return the ends of Wilson's interval of a share of `rows` rows, whole or not.

    Source: Wilson, Probable inference, the law of succession, and statistical
    inference, JASA 22 (1927). `statsmodels.stats.proportion.proportion_confint` has it
    as `method="wilson"`.

    >>> [round(float(end), 4) for end in wilson(0.9, 100.0, 0.95)]
    [0.8256, 0.9448]
    """
    z2 = normal_quantile(level) ** 2
    share, rows = np.asarray(share, np.float64), np.asarray(rows, np.float64)
    with np.errstate(all="ignore"):
        middle = (share + z2 / (2.0 * rows)) / (1.0 + z2 / rows)
        spread = np.sqrt(z2 * (share * (1.0 - share) + z2 / (4.0 * rows)) / rows)
        half = spread / (1.0 + z2 / rows)
        lower, upper = middle - half, middle + half
    # At 0 and 1 an end is the share itself, which rounding could miss.
    lower = np.where(share == 0.0, 0.0, lower)
    return lower, np.where(share == 1.0, 1.0, upper)


def effective_rows(share: Any, variance: Any, rows: Any) -> Array:
    """Return of how many rows a plain share would have this variance.

    Weights and averages over classes enter an interval so: Wilson's, at this size
    (Franco, Little, Louis and Slud, Comparative study of confidence intervals for
    proportions in complex sample surveys, 2019). `rows` is the number for a variance of
    0, as at a share of 0 or 1.
    """
    share, variance = np.asarray(share, np.float64), np.asarray(variance, np.float64)
    with np.errstate(all="ignore"):
        found = share * (1.0 - share) / variance
    kept: Array = np.where((variance > _ROUNDING) & (found > 0.0), found, rows)
    return kept


def scaled(
    value: Any, variance: Any, rows: Any, value_range: tuple[float, float], level: float
) -> tuple[Array, Array]:
    """Return the ends of Wilson's interval of a value within a finite range."""
    low, high = value_range
    width = high - low
    share = np.clip((np.asarray(value) - low) / width, 0.0, 1.0)
    size = effective_rows(share, np.asarray(variance) / width**2, rows)
    lower, upper = wilson(share, size, level)
    return low + width * lower, low + width * upper
