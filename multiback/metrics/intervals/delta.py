r"""The delta method on counts, with the covariance that counts of one sample have.

Rows fall into cells, the pairs of a label and a prediction. A value is a function of
the weighted counts k of the cells that does not change if all of them are
multiplied, so its influences psi, the derivatives by k, satisfy `sum(k psi) = 0`, and

    var = sum over cells of q psi^2,   q = sum of the squared weights of the cell's rows

is the multinomial variance with all its covariances (Agresti, Categorical Data
Analysis, 16.1; for F-scores Takahashi, Yamamoto, Kuchiba and Koyama, Confidence
interval for micro-averaged F1 and macro-averaged F1 scores, Applied Intelligence 2022).
Without weights q = k.
"""

import dataclasses
from typing import Any

import numpy as np

from multiback.metrics.intervals.interval import (
    Array,
    Interval,
    make,
    normal_quantile,
)
from multiback.metrics.intervals.wilson import effective_rows, scaled, wilson

# Rows of a table of counts.
TP, FP, TN, FN = range(4)


@dataclasses.dataclass(frozen=True)
class Coefficients:
    """A ratio of two sums of counts: what each count adds to either sum.

    Attributes:
        above: `(4,)`, of tp, fp, tn and fn in the numerator.
        below: The same in the denominator.
    """

    above: Array
    below: Array


@dataclasses.dataclass(frozen=True)
class Table:
    """Counts of columns, `(4, columns)` each: tp, fp, tn and fn.

    Attributes:
        counts: Weighted counts.
        squares: Sums of squared weights.
        exclusive: Each row has one label and one prediction, so the columns share rows.
    """

    counts: Array
    squares: Array
    exclusive: bool = False

    def columns(self, chosen: Any) -> "Table":
        """Return some columns, each one for itself."""
        chosen = list(chosen)
        return Table(self.counts[:, chosen], self.squares[:, chosen])

    def with_reverse(self) -> "Table":
        """Return a binary problem's two classes as two exclusive columns."""
        order = [TN, FN, TP, FP]
        counts, squares = (
            np.concatenate([part[order], part], axis=1)
            for part in (self.counts, self.squares)
        )
        return Table(counts, squares, exclusive=True)

    def pooled(self) -> "Table":
        """Return one column with the sums of all."""
        return Table(
            np.sum(self.counts, axis=1, keepdims=True),
            np.sum(self.squares, axis=1, keepdims=True),
        )


def column_ratios(
    table: Table, ratio: Coefficients, level: float
) -> tuple[Interval, Array]:
    """Return the intervals of one ratio a column, and the rows of each."""
    above, below = ratio.above[:, None], ratio.below[:, None]
    return ratio_of_cells(table.counts, table.squares, above, below, level)


def ratio_of_cells(
    counts: Array, squares: Array, above: Array, below: Array, level: float
) -> tuple[Interval, Array]:
    """Return the interval of `sum(counts above) / sum(counts below)` over axis 0.

    Where all cells weigh the same below, the ratio is a share of rows, and this is
    Wilson's interval. The F1 score, Dice and the Jaccard index are functions of the
    share `tp / (tp + fp + fn)` and have its interval, mapped. Any other ratio has
    Wilson's interval at the size that its variance by the delta method says, with half
    a row more in each cell.
    """
    above, below = np.broadcast_arrays(above, below)
    with np.errstate(all="ignore"):
        bottom = np.sum(counts * below, axis=0)
        value = np.sum(counts * above, axis=0) / bottom
        influence = (above - value * below) / bottom
        variance = np.sum(squares * influence**2, axis=0)
        rows = bottom**2 / np.sum(squares * below**2, axis=0)
    error = np.sqrt(variance)
    hits = above[:, 0] if above.ndim > 1 else above
    all_ = below[:, 0] if below.ndim > 1 else below
    factors = _share(hits, all_)
    if factors is None:
        size = _size_with_half_a_row_more(counts, squares, above, below)
        ends = wilson(value, size, level)
        return make(value, ends, error, level, "Wilson, delta"), rows
    hit, miss = factors
    with np.errstate(all="ignore"):
        share = value * miss / (value * miss + (1.0 - value) * hit)
        # How the share changes with the value.
        slope = hit * miss / (value * miss + (1.0 - value) * hit) ** 2
        counted = (below != 0.0).astype(np.float64)
        total = np.sum(counts * counted, axis=0)
        kish = total**2 / np.sum(squares * counted, axis=0)
        size = effective_rows(share, variance * slope**2, kish)
        lower, upper = (
            hit * end / (hit * end + miss * (1.0 - end))
            for end in wilson(share, size, level)
        )
    return make(value, (lower, upper), error, level, "Wilson"), kish


def _size_with_half_a_row_more(
    counts: Array, squares: Array, above: Array, below: Array
) -> Array:
    """Return of how many rows a share would vary as much as a ratio does.

    Each cell has half a row more, as in Agresti's interval of a ratio of odds: ten hits
    and no miss have no variance by the delta method, and seem surer than they are.
    """
    with np.errstate(all="ignore"):
        weight = np.sum(squares, axis=0) / np.sum(counts, axis=0)
        half = 0.5 * (below != 0.0) * weight
        counts, squares = counts + half, squares + half * weight
        bottom = np.sum(counts * below, axis=0)
        value = np.sum(counts * above, axis=0) / bottom
        influence = (above - value * below) / bottom
        size: Array = value * (1.0 - value) / np.sum(squares * influence**2, axis=0)
    return size


def _share(above: Array, below: Array) -> tuple[float, float] | None:
    """Return the weights of a hit and a miss, if the ratio is a function of a share."""
    hits, misses = below[above != 0.0], below[(above == 0.0) & (below != 0.0)]
    plain = np.array_equal(above[above != 0.0], hits) and len(set(hits)) == 1
    if not plain or len(set(misses)) != 1:
        return None
    return float(hits[0]), float(misses[0])


def pooled_ratio(
    table: Table, ratio: Coefficients, level: float, chosen: Any = None
) -> Interval:
    """Return the interval of the ratio of the sums of all columns, or of the chosen.

    A row of an exclusive task counts once for its label and once for its prediction,
    and as a true negative of all other columns; these counts are not independent.
    """
    if not table.exclusive:
        own = table if chosen is None else table.columns(chosen)
        sums = np.sum(own.counts, axis=1), np.sum(own.squares, axis=1)
        return ratio_of_cells(*sums, ratio.above, ratio.below, level)[0]
    if chosen is not None:
        return _of_chosen(table, ratio, level, list(chosen))
    counts, squares = _patterns(table.counts), _patterns(table.squares)
    others = table.counts.shape[1] - 1
    above, below = (
        np.array(
            [
                part[TP] + others * part[TN],
                part[FN] + part[FP] + (others - 1) * part[TN],
                part[FN] + others * part[TN],
            ]
        )
        for part in (ratio.above, ratio.below)
    )
    some = slice(None) if counts[-1] > 0.0 else slice(2)
    return ratio_of_cells(counts[some], squares[some], above[some], below[some], level)[
        0
    ]


def _of_chosen(
    table: Table, ratio: Coefficients, level: float, chosen: list[int]
) -> Interval:
    """Return the interval of the ratio of the sums of some exclusive columns."""
    counts = table.counts[:, chosen]
    above, below = ratio.above[:, None], ratio.below[:, None]
    with np.errstate(all="ignore"):
        bottom = np.sum(counts * below)
        value = np.sum(counts * above) / bottom
        influence = np.zeros_like(table.counts)
        influence[:, chosen] = (above - value * below) / bottom
        variance = variance_of(table, influence)
        rows = bottom**2 / np.sum(table.squares[:, chosen] * below**2)
    ends = wilson(value, effective_rows(value, variance, rows), level)
    return make(value, ends, np.sqrt(variance), level, "Wilson, delta")


def _patterns(cells: Array) -> Array:
    """Count hits, misses, and labels without a predicted class."""
    sums = np.sum(cells, axis=1)
    predicted = min(sums[FP], sums[FN])
    return np.array([sums[TP], predicted, sums[FN] - predicted])


def averaged_ratio(
    table: Table,
    ratio: Coefficients,
    weights: Array,
    *,
    by_size: bool,
    empty: float,
    level: float,
) -> Interval:
    """Return the interval of a mean of one ratio a column.

    Args:
        table: The counts of all columns.
        ratio: The ratio of a column.
        weights: `(columns,)` the weight of each column in the mean, 0 for none.
        by_size: The weights are the numbers of true elements, which vary too.
        empty: The value of a column without a denominator; NaN leaves the mean.
        level: How often the interval is to contain the true value.
    """
    above, below = ratio.above[:, None], ratio.below[:, None]
    counts = table.counts
    each, _ = column_ratios(table, ratio, level)
    with np.errstate(all="ignore"):
        bottom = np.sum(counts * below, axis=0)
        values = np.where(bottom == 0.0, empty, each.value)
        weights = np.where(np.isnan(values), 0.0, weights)
        total = np.sum(weights)
        weights = weights / total
        used = (weights != 0.0) & (bottom != 0.0)
        value = np.sum(np.where(weights != 0.0, weights * values, 0.0))
        influence = weights * (above - each.value * below) / bottom
        influence = np.where(used, influence, 0.0)
        if by_size:
            true = np.array([1.0, 0.0, 0.0, 1.0])[:, None]
            change = true * (values - value) / total
            influence = influence + np.where(weights != 0.0, change, 0.0)
    value = value if total > 0.0 else np.nan
    return mean_of_columns(each, weights, value, variance_of(table, influence))


def mean_of_columns(
    each: Interval, weights: Array, value: Any, variance: Any
) -> Interval:
    """Return the interval of a weighted mean from those of its parts.

    A class with ten hits of ten has no variance by the delta method, though its own
    interval is wide. So the length comes from the intervals of the parts, as for
    independent parts (MOVER: Zou and Donner, Construction of confidence limits about
    effect measures, Statistics in Medicine 27, 2008), times what their covariance makes
    of the variance. The shift of the middle comes from the skewness, which of a sum is
    the mean of the parts' by their third cumulants; for one part this is its interval.
    The weights add up to 1; the variance is that by the delta method, with covariances.
    """
    used = (weights != 0.0) & np.isfinite(each.lower) & np.isfinite(each.upper)

    def part(values: Any) -> Array:
        return np.where(used, weights * values, 0.0)

    with np.errstate(all="ignore"):
        errors = part(each.standard_error)
        middles = part((each.upper + each.lower) / 2.0 - each.value)
        halves = part((each.upper - each.lower) / 2.0) ** 2
        halves = np.maximum(halves, (normal_quantile(each.level) * errors) ** 2)
        apart, total = np.sum(errors**2), np.sum(halves)
        shift = np.sum(halves * middles) / total if total > 0.0 else 0.0
        half = np.sqrt(total * (variance / apart if apart > 0.0 else 1.0))
    ends = np.maximum(value + shift - half, 0.0), np.minimum(value + shift + half, 1.0)
    return make(value, ends, np.sqrt(variance), each.level, "delta")


def variance_of(table: Table, influence: Array) -> Any:
    """Return the variance of a value with derivatives `(4, columns)` by the counts."""
    squares = table.squares
    if not table.exclusive:
        return np.sum(squares * influence**2)
    # A row with label i and prediction j is a true negative of the other columns.
    everywhere = np.sum(influence[TN])
    hit = influence[TP] - influence[TN] + everywhere
    label = influence[FN] - influence[TN]
    predicted = influence[FP] - influence[TN]
    pairs = confusions(squares[FN], squares[FP])
    # The last column is of labels without a prediction.
    missed = label[:, None] + np.append(predicted, 0.0)[None, :] + everywhere
    return np.sum(squares[TP] * hit**2) + np.sum(pairs * missed**2)


def confusions(labels: Array, predictions: Array, rounds: int = 50) -> Array:
    """Return how often each class was taken for each other one, from the totals.

    Two classes leave no choice. Of more the state has totals only, misses and false
    alarms `(columns,)`, and the pairs are as independent as these allow
    (quasi-independence, by iterative proportional fitting: Bishop, Fienberg and
    Holland, Discrete Multivariate Analysis, 5.2). The last of `(columns, columns + 1)`
    is of labels without a prediction.
    """
    size = labels.size
    none = max(float(np.sum(labels) - np.sum(predictions)), 0.0)
    wanted = np.append(predictions, none)
    cells = np.ones((size, size + 1)) - np.eye(size, size + 1)
    for _ in range(rounds):
        for axis, sums in ((0, wanted[None, :]), (1, labels[:, None])):
            found = np.sum(cells, axis=axis, keepdims=True)
            cells = cells * np.divide(
                sums, found, out=np.zeros_like(found), where=found > 0.0
            )
        if np.allclose(np.sum(cells, axis=0), wanted, rtol=1e-6):
            break
    return cells


def matthews(table: Table, level: float) -> Interval:
    """Return the interval of the Matthews correlation of an exclusive task.

    Of two classes each is the reverse of the other.
    """
    counts = table.counts
    labels, predicted = counts[TP] + counts[FN], counts[TP] + counts[FP]
    total, hits = np.sum(labels), np.sum(counts[TP])
    none = max(float(total - np.sum(predicted)), 0.0)
    covered = hits * total - np.sum(labels * predicted)
    of_labels = total**2 - np.sum(labels**2)
    of_predictions = total**2 - np.sum(predicted**2) - none**2
    with np.errstate(all="ignore"):
        value = covered / np.sqrt(of_labels * of_predictions)
        root = np.sqrt(of_labels) * np.sqrt(of_predictions)
        by_label = -predicted / root + value * labels / of_labels
        by_prediction = -labels / root + value * predicted / of_predictions
        by_total = hits / root - value * total * (1 / of_labels + 1 / of_predictions)
        by_hit = total / root
    influence = np.zeros_like(counts)
    influence[FN] = by_label + by_total
    influence[FP] = by_prediction
    influence[TP] = influence[FN] + influence[FP] + by_hit
    return _of_correlation(value, table, influence, level)


def _of_correlation(
    value: Any, table: Table, influence: Array, level: float
) -> Interval:
    variance = variance_of(table, influence)
    with np.errstate(all="ignore"):
        rows = np.sum(table.counts[[TP, FN]]) ** 2 / np.sum(table.squares[[TP, FN]])
    ends = scaled(value, variance, rows, (-1.0, 1.0), level)
    return make(value, ends, np.sqrt(variance), level, "Wilson, delta")


def kappa(counts: Array, squares: Array, cost: Array, level: float) -> Interval:
    """Return the interval of Cohen's kappa, weighted by what each confusion costs.

    Of the confusion matrix, labels by predictions, and its sums of squared weights.
    Source: Fleiss, Cohen and Everitt, Large sample standard errors of kappa and
    weighted kappa, Psychological Bulletin 72 (1969).
    """
    with np.errstate(all="ignore"):
        total = np.sum(counts)
        shares = counts / total
        labels, predictions = np.sum(shares, axis=1), np.sum(shares, axis=0)
        observed = np.sum(cost * shares)
        expected = labels @ cost @ predictions
        by_chance = (cost @ predictions)[:, None] + (labels @ cost)[None, :]
        change = (cost - observed) * expected
        change = change - observed * (by_chance - 2.0 * expected)
        value = 1.0 - observed / expected
        variance = np.sum(squares * (change / expected**2 / total) ** 2)
        rows = total**2 / np.sum(squares)
    ends = scaled(value, variance, rows, (-1.0, 1.0), level)
    return make(value, ends, np.sqrt(variance), level, "Wilson, delta")


def balanced(table: Table, level: float) -> Interval:
    """Return the interval of the mean recall of both classes of each column.

    The recall of each class is of rows of its own, so all are independent; labels of
    one row are taken as independent too.
    """
    reverse = [TN, FN, TP, FP]
    counts, squares = (
        np.concatenate([part, part[reverse]], axis=1)
        for part in (table.counts, table.squares)
    )
    recalls = Table(counts, squares)
    columns = table.counts.shape[1]
    present = (recalls.counts[TP] + recalls.counts[FN] > 0.0).astype(np.float64)
    classes = present[:columns] + present[columns:]
    with np.errstate(all="ignore"):
        weights = present / np.concatenate([classes, classes])
    weights = np.where(present > 0.0, weights, 0.0)
    return averaged_ratio(
        recalls, RECALL, weights, by_size=False, empty=np.nan, level=level
    )


RECALL = Coefficients(np.array([1.0, 0.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 1.0]))
