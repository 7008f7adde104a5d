"""Intervals of the difference of two values on the same rows."""

import math
from typing import Any

import numpy as np

from multiback.metrics.intervals.delong import placements
from multiback.metrics.intervals.interval import (
    Array,
    Interval,
    make,
    normal_quantile,
)


def difference_of_shares(
    hits_a: Array, hits_b: Array, level: float
) -> tuple[Interval, float]:
    """Return the interval of the difference of two accuracies, and McNemar's p-value.

    Of second less first, and two-sided, from `(rows,)` booleans.

    Source: McNemar, Psychometrika 12 (1947), as the exact binomial test of the rows
    that only one of both has right (`statsmodels.stats.contingency_tables.mcnemar`);
    for the interval Bonett and Price, Adjusted Wald confidence interval for a
    difference of binomial proportions based on paired data, Journal of Educational and
    Behavioral Statistics 37 (2012).
    """
    a, b = np.asarray(hits_a, bool), np.asarray(hits_b, bool)
    rows = a.size
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    value = (only_b - only_a) / rows
    shares = (only_b + 1.0) / (rows + 2.0), (only_a + 1.0) / (rows + 2.0)
    middle = shares[0] - shares[1]
    variance = (sum(shares) - middle**2) / (rows + 2.0)
    reach = normal_quantile(level) * math.sqrt(variance)
    error = math.sqrt(max((only_a + only_b) / rows - value**2, 0.0) / rows)
    ends = max(middle - reach, -1.0), min(middle + reach, 1.0)
    found = make(value, ends, error, level, "McNemar, Bonett and Price")
    return found, _binomial(min(only_a, only_b), only_a + only_b)


def _binomial(fewer: int, of_all: int) -> float:
    """Return twice the probability of so few heads or fewer, at most 1."""
    if of_all == 0:
        return 1.0
    logs = [
        math.lgamma(of_all + 1)
        - math.lgamma(k + 1)
        - math.lgamma(of_all - k + 1)
        - of_all * math.log(2.0)
        for k in range(fewer + 1)
    ]
    return min(1.0, 2.0 * math.fsum(map(math.exp, logs)))


def area(labels: Any, scores: Any) -> float:
    """Return the AUROC of `(rows,)` labels 0 or 1 and scores, without bins."""
    return _placed(np.asarray(labels).reshape(-1) == 1, scores)[0]


def _placed(positive: Any, scores: Any) -> tuple[float, Array]:
    """Return the AUROC, and each row's placement among the other class."""
    values, bins = np.unique(np.asarray(scores).reshape(-1), return_inverse=True)
    counts = [
        np.bincount(bins[kind], minlength=values.size).astype(np.float64)
        for kind in (positive, ~positive)
    ]
    found, of_positives, of_negatives = placements(*counts)
    return float(found), np.where(positive, of_positives[bins], of_negatives[bins])


def difference_of_areas(
    labels: Any, scores_a: Any, scores_b: Any, level: float
) -> tuple[Interval, float]:
    """Return the interval of the difference of two AUROCs, and the p-value.

    Of second less first, and two-sided, from `(rows,)` labels 0 or 1 and scores.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988): each row's
    placements under both scores, whose differences have the variance.
    """
    positive = np.asarray(labels).reshape(-1) == 1
    areas, placed = zip(
        *(_placed(positive, scores) for scores in (scores_a, scores_b)), strict=True
    )
    apart = placed[1] - placed[0]
    kinds = (positive, ~positive)
    variance = math.nan  # One row of a class does not vary.
    if min(map(np.sum, kinds)) > 1:
        variance = sum(np.var(apart[kind], ddof=1) / np.sum(kind) for kind in kinds)
    value, error = areas[1] - areas[0], math.sqrt(variance)
    reach = normal_quantile(level) * error
    found = make(value, (value - reach, value + reach), error, level, "DeLong, paired")
    if error == 0.0:
        return found, 1.0 if value == 0.0 else 0.0
    return found, math.erfc(abs(value) / error / math.sqrt(2.0))
