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
towards 1 where only few rows are out of place.
"""

import numpy as np

from multiback.metrics.intervals.interval import (
    Array,
    Interval,
    make,
    normal_quantile,
)


def placements(positives: Array, negatives: Array) -> tuple[Array, Array, Array]:
    """Return the area, and the placement of the positives and negatives of each bin.

    Args:
        positives: `(..., bins)` weights of the positives of each bin, by score.
        negatives: The same for negatives.
    """
    below, above = (
        np.cumsum(part, axis=-1) - part / 2.0 for part in (negatives, positives)
    )
    with np.errstate(all="ignore"):
        total = np.sum(positives, axis=-1)
        below /= np.sum(negatives, axis=-1, keepdims=True)
        above /= total[..., None]
        area = np.einsum("...b,...b->...", positives, below) / total
    return area, below, 1.0 - above


# As many rows out of place as these weigh as much as Hanley and McNeil's variance.
_PRIOR = 5.0
# The ends are found to 64**-4.
_STEPS, _ROUNDS = 64, 4


def area_interval(
    positives: Array, negatives: Array, squares: tuple[Array, Array], level: float
) -> Interval:
    """Return the intervals of areas.

    Args:
        positives: `(..., bins)` as for `placements`.
        negatives: The same for negatives.
        squares: `(...)` the sums of squared weights of negatives and of positives: the
            weights enter by the effective number of rows, `sum(w)^2 / sum(w^2)`.
        level: How often the interval is to contain the true area.
    """
    # Most bins are empty.
    used = np.any(positives + negatives > 0.0, axis=tuple(range(positives.ndim - 1)))
    used[:1] = True  # Of no data the area is NaN, and not an empty sum.
    positives, negatives = positives[..., used], negatives[..., used]
    area, of_positives, of_negatives = placements(positives, negatives)
    variance, sizes, misplaced = np.zeros_like(area), [], []
    parts = ((negatives, of_negatives), (positives, of_positives))
    with np.errstate(all="ignore"):
        for (weights, placed), squared in zip(parts, squares, strict=True):
            total = np.sum(weights, axis=-1)
            size = total**2 / squared
            apart = placed - area[..., None]
            spread = np.einsum("...b,...b,...b->...", weights, apart, apart) / total
            variance = variance + spread / (size - 1.0)
            out = np.einsum("...b,...b->...", weights, placed < 1.0) / total
            sizes.append(size)
            misplaced.append(out * size)
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
    ratio = 1.0 + more * ((1.0 - area) / (2.0 - area) + area / (1.0 + area))
    return area * (1.0 - area) * ratio / (negatives * positives)


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
