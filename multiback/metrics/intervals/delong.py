"""DeLong's interval of the area under the ROC curve, from counts of scores.

The area is the mean, over pairs, of how a positive ranks against a negative. Each
positive has a placement, the share of negatives below it, and each negative the share
of positives above it; ties count half. The variance of the area is that of both means
(DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated
receiver operating characteristic curves, Biometrics 44, 1988; from sorted scores as in
Sun and Xu, IEEE Signal Processing Letters 21, 2014).

A plain interval of this variance fails near 1: of perfect scores it is 0. The ends are
those areas whose distance to the value is what their own standard error allows, with
the variance that Hanley and McNeil (1982) give to an area (Newcombe, Confidence
intervals for an effect size measure based on the Mann-Whitney statistic, part 2, method
5, Statistics in Medicine 25, 2006), times DeLong's over it. That factor is drawn
towards 1 where only few rows make up what is missing to an area of 1: among many
negatives nearly every positive has one above it, and yet two or three decide.
"""

import numpy as np

from multiback.metrics.intervals.interval import (
    Array,
    Interval,
    make,
    normal_quantile,
)

# A matrix product adds up so many bins of a row: a prefix sum of all bins takes five
# times as long, since each of its sums waits for the one before.
_ROW = 16
_UP_TO = np.triu(np.ones((_ROW, _ROW)), 1) + np.eye(_ROW) / 2.0


def _up_to(counts: Array) -> tuple[Array, Array]:
    """Return the sums of the bins before each one and half of its own, and of all."""
    bins = counts.shape[-1]
    rows = np.zeros((*counts.shape[:-1], -(-bins // _ROW), _ROW))
    flat = rows.reshape(*counts.shape[:-1], -1)
    flat[..., :bins] = counts
    sums = rows @ np.ones(_ROW)
    earlier = np.cumsum(sums, axis=-1)
    total = earlier[..., -1:].copy()
    earlier -= sums
    found = rows @ _UP_TO
    found += earlier[..., None]
    return found.reshape(flat.shape)[..., :bins], total[..., 0]


def placements(positives: Array, negatives: Array) -> tuple[Array, Array, Array]:
    """Return the area, and the placement of the positives and negatives of each bin.

    Given are their weights, `(..., bins)`, by score.
    """
    (below, under), (lower, total) = _up_to(negatives), _up_to(positives)
    with np.errstate(all="ignore"):
        below /= under[..., None]
        area = np.einsum("...b,...b->...", positives, below) / total
        return area, below, 1.0 - lower / total[..., None]


# As many rows out of place as these weigh as much as Hanley and McNeil's variance. Of
# .5, 1, 1.5, 1.6, 1.75, 2, 3, 6 and endlessly many, these cover 93 to 97% in all of the
# table.
_PRIOR = 1.6
# Of a mean square, what is left of it by rounding where there is no variance.
_ROUNDING = 1e-14
# The ends are found to 64**-4.
_STEPS, _ROUNDS = 64, 4


def area_interval(
    positives: Array, negatives: Array, squares: tuple[Array, Array], level: float
) -> Interval:
    """Return the intervals of areas; see `placements`.

    `squares` are the sums `(...)` of squared weights of negatives and of positives: the
    weights enter by the effective number of rows, `sum(w)^2 / sum(w^2)`.
    """
    below, under = _up_to(negatives)
    lower, total = _up_to(positives)
    # What each positive and each negative lacks to a placement of 1.
    above = np.subtract(under[..., None], below, out=below)
    sides = ((negatives, lower, under, total), (positives, above, total, under))
    variance, sizes, misplaced = np.zeros_like(total), [], []
    with np.errstate(all="ignore"):
        for (counts, missing, own, other), squared in zip(sides, squares, strict=True):
            products = counts * missing
            once = np.sum(products, axis=-1)
            twice = np.einsum("...b,...b->...", products, missing)
            size = own**2 / squared
            # The variance of the placements, and the rows of equal distance from 1
            # that would add up to as much and vary as much.
            square = twice / own
            spread = square - (once / own) ** 2
            spread = np.where(spread > _ROUNDING * square, spread, 0.0) / other**2
            variance = variance + spread / (size - 1.0)
            sizes.append(size)
            rows = np.where(twice > 0.0, once**2 / twice, 0.0)
            misplaced.append(rows * size / own)
        area = 1.0 - once / (total * under)
        shape = mann_whitney_variance(area, *sizes)
        # One row of a class has no variance of its own.
        variance = np.where(np.minimum(*sizes) > 1.0, variance, shape)
        seen = np.minimum(*misplaced)
        factor = np.where(shape > 0.0, variance / shape, 1.0)
        factor = (seen * factor + _PRIOR) / (seen + _PRIOR)
        ends = _ends(area, factor, sizes, normal_quantile(level))
    return make(area, ends, np.sqrt(variance), level, "DeLong")


def mann_whitney_variance(area: Array, negatives: Array, positives: Array) -> Array:
    """Return Newcombe's form of the variance that Hanley and McNeil give to an area."""
    more = (negatives + positives) / 2.0 - 1.0
    both = area * (1.0 - area)
    # (1 - area) / (2 - area) + area / (1 + area), over one denominator.
    ratio = 1.0 + more * (1.0 + 2.0 * both) / (2.0 + both)
    return both * ratio / (negatives * positives)


def _ends(
    area: Array, factor: Array, sizes: list[Array], quantile: float
) -> tuple[Array, Array]:
    """Narrow both sides to where an area's distance is what its own error allows."""
    # Both sides at once: the axis behind the steps is lower and upper.
    inside = np.stack([area, area])
    width = np.stack([np.zeros_like(area), np.ones_like(area)]) - inside
    steps = np.arange(1, _STEPS).reshape(-1, *(1,) * inside.ndim) / _STEPS
    for _ in range(_ROUNDS):
        tried = inside + steps * width
        reach = quantile**2 * factor * mann_whitney_variance(tried, *sizes)
        close = np.logical_and.accumulate((tried - area) ** 2 <= reach)
        width = width / _STEPS
        inside = inside + np.sum(close, axis=0) * width
    found = np.where(np.isfinite(factor), inside + width / 2.0, np.nan)
    return found[0], found[1]
