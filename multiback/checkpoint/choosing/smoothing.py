"""Smoothed scores: people choose by a curve, because one epoch is luck.

Pure functions: the state is a list of numbers that a manifest keeps, so that a resumed
run continues exactly.
"""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from multiback.errors import ArgumentError

Smooth = float | Literal["median3"]
MEDIAN: Literal["median3"] = "median3"
_MEDIAN_OF = 3


def check_smooth(smooth: object) -> None:
    """Raise unless an argument says how to smooth, or is None."""
    if smooth is None or smooth == MEDIAN:
        return
    number = isinstance(smooth, float) and 0.0 < smooth < 1.0
    if not number:
        raise ArgumentError(
            "smooth= wants a weight of the past between 0 and 1, such as 0.9, or "
            f'"median3", not {smooth!r}.'
        )


def smoothed(
    state: Sequence[float], value: float, smooth: Smooth
) -> tuple[float, list[float]]:
    """Return a curve's smoothed value and next state; the first state is empty.

    A weight a takes `sum(a^age value) / sum(a^age)`, the exponential average without
    the pull of its start towards 0 (Kingma and Ba, Adam, 2015). "median3" takes the
    median of the last three values. Both return the first value as it is. A NaN stays
    NaN and does not change later values.

    >>> smoothed([], 1.0, 0.9)[0], smoothed([4.0, 1.0], 2.0, "median3")
    (1.0, (2.0, [1.0, 2.0]))
    """
    if math.isnan(value):
        return value, list(state)
    if isinstance(smooth, str):
        window = [*state, value][-_MEDIAN_OF:]
        return statistics.median(window), window[1 - _MEDIAN_OF :]
    total, weight = state or (0.0, 0.0)
    total, weight = smooth * total + value, smooth * weight + 1.0
    return total / weight, [total, weight]
