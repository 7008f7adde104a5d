"""McClish's partial area under the ROC curve."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from multiback.metrics.base.thresholds import above
from multiback.metrics.numeric.arithmetic import Tensor, namespace, ratio
from multiback.metrics.statistics.score_histogram import (
    Histogram,
    total,
)

Array = np.ndarray[Any, Any]


def partial_area(histogram: Histogram, max_fpr: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return McClish's partial area, and its bounds."""
    xp = namespace(histogram.positives)
    negatives = column_total(histogram.negatives)
    height, start = (
        shares(counts, histogram.positives)
        for counts in (xp.flip(histogram.positives, axis=-1), above(histogram)[0])
    )
    n, passed = xp.flip(histogram.negatives, axis=-1), above(histogram)[1][:, :-1]
    # Negatives of each bin below the rate: of one bin a part.
    used = xp.minimum(xp.maximum(max_fpr * negatives - passed, 0.0), n)
    width = shares(used, histogram.negatives)
    low = total(width * start[:, :-1])
    rising = total(width * height)
    middle = low + total(width * height * ratio(used, n, 0.0)) / 2.0
    value, low, high = (
        _corrected(area, max_fpr) for area in (middle, low, low + rising)
    )
    return (value, value, value) if histogram.exact else (value, low, high)


def shares(parts: Tensor, counts: Tensor) -> Tensor:
    """Return parts of the total of each column, 0 if that is 0."""
    return ratio(
        parts, namespace(parts).broadcast_to(column_total(counts), parts.shape), 0.0
    )


def column_total(values: Tensor) -> Tensor:
    """Return the sum of each column, with an axis of length 1 behind it."""
    return total(values)[..., None]


def _corrected(area: Any, max_fpr: float) -> Any:
    """Return McClish's area: 1/2 by chance, 1 at best."""
    by_chance = max_fpr**2 / 2.0
    return 0.5 + (area - by_chance) / (2.0 * (max_fpr - by_chance))


def partial_areas(chunks: Iterable[Array], bins: int, max_fpr: float) -> Array:
    """Return `(6, columns)`: areas, both bounds, positives, negatives and NaN.

    The chunks are the cells of some rankings after the others: negatives, positives,
    NaN.
    """
    found = []
    for cells in chunks:
        for row in cells:
            negatives, positives = row[:bins][::-1], row[bins:-1][::-1]
            areas = _areas_of_one(negatives, positives, max_fpr)
            found.append([*areas, float(row[-1])])
    return np.array(found).T


def _areas_of_one(negatives: Array, positives: Array, max_fpr: float) -> list[float]:
    """Return area, bounds, positives and negatives of bins from the highest down."""
    passed = np.cumsum(negatives, dtype=np.float64)
    of_p, of_n = float(positives.sum(dtype=np.float64)), float(passed[-1])
    if not of_p * of_n:
        return [0.0, 0.0, 0.0, of_p, of_n]
    # All bins before the last one count with all of their negatives.
    limit = max_fpr * of_n
    last = min(int(passed.searchsorted(limit)), len(passed) - 1)
    p = positives[: last + 1].astype(np.float64)
    n = negatives[: last + 1].astype(np.float64)
    share = min(max(limit - (passed[last] - n[last]), 0.0) / (n[last] or 1.0), 1.0)
    n[last] *= share
    tied = n * p
    rising = float(tied.sum())
    low = float(np.dot(n, np.cumsum(p) - p))
    middle = low + (rising - (1.0 - share) * float(tied[last])) / 2.0
    areas = (area / (of_p * of_n) for area in (middle, low, low + rising))
    return [*(_corrected(area, max_fpr) for area in areas), of_p, of_n]
