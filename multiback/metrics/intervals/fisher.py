"""Fisher's interval of a correlation."""

from typing import Any

import numpy as np

from multiback.metrics.intervals.interval import Interval, make, normal_quantile


def correlation_interval(value: Any, rows: Any, level: float) -> Interval:
    """Return the interval of Pearson's correlation, on the scale of `atanh`.

    It is exact for large samples of normal data, and off where the tails are heavy.
    `rows` is the effective number of rows, more than 3; fewer give NaN.

    Source: Fisher, On the probable error of a coefficient of correlation deduced from a
    small sample, Metron 1 (1921). SciPy has it as
    `pearsonr(x, y).confidence_interval()`.
    """
    value = np.asarray(value, np.float64)
    rows = np.asarray(rows, np.float64)
    with np.errstate(all="ignore"):
        error = np.where(rows > 3.0, 1.0 / np.sqrt(rows - 3.0), np.nan)  # noqa: PLR2004 - Fisher's
        reach = normal_quantile(level) * error
        middle = np.arctanh(value)
        ends = np.tanh(middle - reach), np.tanh(middle + reach)
        return make(value, ends, (1.0 - value**2) * error, level, "Fisher")
