"""Decide what a difference means.

How far right numbers may lie apart follows from the arithmetic, in units of one float32
rounding, u = 2**-24 (relative). A ratio of exact counts rounds both operands, the
quotient and the conversion (4 u); an average adds one a column. A sum of rounded terms
is a random walk: k additions practically never stray by more than six standard
deviations, 6 sqrt(k) u. A constant error (a counter that stops, an average over
batches) grows like k instead, so this limit catches it and a worst-case bound of k u
would not.
"""

import math
from typing import Any, Literal

import numpy as np

Verdict = Literal["agrees", "differs by convention", "wrong", "no equivalent"]

ROUNDING = 2.0**-24


def tolerance(*, columns: int = 1, additions: int = 0) -> float:
    """Return the relative difference that float32 arithmetic explains."""
    return (4 + columns + 6 * math.sqrt(additions)) * ROUNDING


def difference(a: Any, b: Any) -> float:
    """Return the largest absolute difference; two NaN do not differ."""
    a, b = np.asarray(a, "float64").ravel(), np.asarray(b, "float64").ravel()
    if a.shape != b.shape:
        return math.inf
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    gap = np.where(equal, 0.0, np.abs(np.where(equal, 0.0, a) - np.where(equal, 0, b)))
    return float(np.max(np.where(np.isnan(gap), math.inf, gap), initial=0.0))


def close(value: Any, expected: Any, rtol: float, scale: float = 0.0) -> bool:
    """Return whether every element lies within `rtol` of the expected one.

    The scale is the size of the terms whose difference the value is, if it is one.
    """
    value = np.asarray(value, "float64").ravel()
    expected = np.asarray(expected, "float64").ravel()
    return value.shape == expected.shape and bool(
        np.allclose(value, expected, rtol=rtol, atol=rtol * scale, equal_nan=True)
    )


def within(value: Any, known: list[Any], bounds: Any, *, rtol: float) -> bool:
    """Return whether a value and other libraries' lie within certified bounds.

    `rtol` is what roundings explain beyond them.
    """
    low, high = (np.asarray(bound, "float64").ravel() for bound in bounds)
    for each in (value, *known):
        number = np.asarray(each, "float64").ravel()
        inside = (number >= low * (1 - rtol)) & (number <= high * (1 + rtol))
        missing = np.isnan(number) & np.isnan(low)
        if number.shape != low.shape or not np.all(inside | missing):
            return False
    return True
