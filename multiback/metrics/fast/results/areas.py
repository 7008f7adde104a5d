"""Areas under curves of bins, written so that XLA vectorises them."""

import math
from collections.abc import Callable

import numpy as np
from keras import ops

from multiback.metrics.statistics.score_histogram import fours, sums_by_fours
from multiback.metrics.statistics.statistic import Tensor


def won_pairs(negatives: Tensor, positives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the numbers of negatives, positives and pairs that the positive wins.

    Each row is a ranking, `(columns, bins)`. A tie counts half. Four neighbouring bins
    become one, and the pairs between them are counted, until one is left: passes that
    XLA vectorises, over 4/3 of the bins, with 3 roundings of a sum each. A prefix sum
    took ten times as long.
    """
    won = None
    while won is None or negatives.shape[-1] > 1:
        low, high = fours(negatives), fours(positives)
        if won is None:
            won = sum(p * n for p, n in zip(high, low, strict=True)) / 2.0
        else:
            won = sum(fours(won))
        below = low[0]
        for p, n in zip(high[1:], low[1:], strict=True):
            won = won + p * below
            below = below + n
        negatives, positives = below, sum(high)
    return negatives[:, 0], positives[:, 0], won[:, 0]


def precision_areas(
    positives: Tensor, negatives: Tensor, total: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the areas under precision-recall curves, positives and negatives.

    Sums are written above every fourth bin only: between those of three other bins XLA
    writes them number by number. Without XLA's logarithm the rest takes half the time.

    Args:
        positives: Whole numbers of each bin, `(columns, bins)`.
        negatives: The same.
        total: Sums each row.
    """
    lanes = [fours(each) for each in (positives, negatives)]
    # As one array: XLA fuses two with what follows, and sums again for each reader.
    of_fours = ops.concatenate([sum(each) for each in lanes])
    above = sums_by_fours(of_fours, above=True)
    all_positives, all_negatives = ops.split((of_fours + above)[:, 0], 2)
    hits, others = ops.split(above, 2)
    seen = hits + others
    areas = ops.zeros_like(hits)
    for p, n in reversed(list(zip(*lanes, strict=True))):
        areas = areas + _area_of_counts(p, n, hits, seen)
        hits, seen = hits + p, seen + p + n
    return total(areas), all_positives, all_negatives


def _area_of_counts(p: Tensor, n: Tensor, hits: Tensor, seen: Tensor) -> Tensor:
    """Return `AveragePrecision._middle` of whole numbers, in few operations.

    With `q = p / (p + n)`, the share of positives in the bin, and `u = seen q`, the
    integral from its first positive to its last is `q (p - 1 + (hits - u) log1p((p - 1)
    / (u + 1)))`.
    """
    both = p + n
    # 1 where there is nothing to divide.
    share = p / ops.maximum(both, 1.0)
    start = seen * share
    inverse = 1.0 / (start + 1.0)
    first = (hits + 1.0) * share * inverse
    last = (hits + p) / ops.maximum(seen + both, 1.0)
    rest = ops.maximum(p - 1.0, 0.0)
    curved = (hits - start) * _log1p(rest * inverse)
    area = (first + last) / 2.0 + share * (rest + curved)
    return ops.where(p > 0.0, area, 0.0)


# log(1 + f) is f - f^2 / 2 + f^3 times this polynomial, of 1 + f within a root of 2 of
# 1; from the Cephes library's logf.
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_ROOT_OF_HALF = np.float32(np.sqrt(0.5)).view(np.int32)


def _log1p(values: Tensor) -> Tensor:
    """Return `log(1 + x)` of finite numbers of at least 0, in half of XLA's time."""
    grown = ops.view(values + 1.0, "int32")
    power = ops.right_shift(grown - _ROOT_OF_HALF, 23)
    inverse = ops.view(ops.left_shift(127 - power, 23), "float32")
    f = values * inverse + (inverse - 1.0)
    square, sums = f * f, ops.zeros_like(f)
    for factor in _LOG:
        sums = sums * f + factor
    near = f * square * sums - square / 2.0 + f
    return near + ops.cast(power, "float32") * math.log(2.0)
