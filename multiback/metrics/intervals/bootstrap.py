"""Intervals of any metric by drawing its rows again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.errors import ArgumentError
from multiback.metrics.intervals.interval import Array, Interval, make


def group_numbers(groups: Any, rows: int) -> npt.NDArray[np.intp]:
    """Return the number of each row's group, from 0; None makes each row its own."""
    if groups is None:
        return np.arange(rows)
    ids = np.asarray(groups).reshape(-1)
    if ids.size != rows:
        raise ArgumentError(
            f"groups= wants one id a row, not {ids.size} ids for {rows} rows."
        )
    return np.unique(ids, return_inverse=True)[1]


def draws(groups: npt.NDArray[np.intp], replicates: int, seed: int) -> Any:
    """Yield how often each row is drawn, once a replicate.

    Groups are drawn with replacement, all their rows together (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 8).
    """
    generator = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    for _ in range(replicates):
        picked = generator.integers(count, size=count)
        yield np.bincount(picked, minlength=count)[groups]


def percentile_interval(value: Any, drawn: Any, level: float) -> Interval:
    """Return the percentile interval of replicates of a value.

    Replicates without a value, as of a draw without positives, are left out.
    """
    replicates = np.asarray(drawn, np.float64)
    # One replicate has no spread; a column without two is not defined.
    known = np.sum(np.isfinite(replicates), axis=0) > 1
    known = known & np.isfinite(np.asarray(value, np.float64))
    replicates = np.where(known, replicates, 0.0)
    replicates = np.where(np.isfinite(replicates), replicates, np.nan)
    tail = (1.0 - level) / 2.0
    ends = np.nanquantile(replicates, [tail, 1.0 - tail], axis=0)
    error = np.nanstd(replicates, axis=0, ddof=1)
    ends, error = (np.where(known, each, np.nan) for each in (ends, error))
    return make(value, (ends[0], ends[1]), error, level, "bootstrap")


def bootstrapped(
    value_of: Callable[[Array], Any],
    groups: npt.NDArray[np.intp],
    *,
    level: float,
    replicates: int,
    seed: int,
) -> Interval:
    """Return the interval of a function of how often each row is drawn.

    `value_of` takes `(rows,)` numbers, 1 each for the data themselves; `groups` has the
    number of each row's group.
    """
    value = value_of(np.ones(groups.size))
    if not groups.any():  # One group alone: each draw equals the data.
        nothing = np.full(np.shape(value), np.nan)
        return make(value, (nothing, nothing), nothing, level, "bootstrap")
    drawn = [value_of(each) for each in draws(groups, replicates, seed)]
    return percentile_interval(value, drawn, level)
