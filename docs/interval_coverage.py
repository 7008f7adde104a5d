"""Write the table of docs/intervals.md: how often each interval contains the truth.

    python docs/interval_coverage.py    2,000 draws a cell, 20,000 of areas: ten minutes

Rows are drawn from a known population, so that the true value is known, and each draw
has its interval. What counts is the functions of `multiback.metrics.intervals`, which
every metric calls with the counts and sums of its state.
"""

import math
import pathlib
import statistics

import numpy as np

from multiback.metrics.intervals import delta
from multiback.metrics.intervals.delong import area_interval
from multiback.metrics.intervals.fisher import correlation_interval
from multiback.metrics.intervals.means import mean_interval

DRAWS = 2000
AREA_DRAWS = 20_000
LEVEL = 0.95
SIZES = (50, 500, 5000)
PREVALENCES = (0.01, 0.05, 0.2, 0.5)
SENSITIVITY, SPECIFICITY = 0.8, 0.9
PAGE = pathlib.Path(__file__).parent / "intervals.md"
BEGIN, END = "<!-- coverage -->", "<!-- end of coverage -->"

# What tp, fp, tn and fn add to the numerator and the denominator.
RATIOS = {
    "Accuracy": ([1, 0, 1, 0], [1, 1, 1, 1]),
    "Precision": ([1, 0, 0, 0], [1, 1, 0, 0]),
    "Recall": ([1, 0, 0, 0], [1, 0, 0, 1]),
    "Specificity": ([0, 0, 1, 0], [0, 1, 1, 0]),
    "F1Score, Dice": ([2, 0, 0, 0], [2, 1, 0, 1]),
    "FBetaScore(2)": ([5, 0, 0, 0], [5, 1, 0, 4]),
    "JaccardIndex": ([1, 0, 0, 0], [1, 1, 0, 1]),
}


def shares(prevalence):
    """Return the shares of tp, fp, tn and fn."""
    p = prevalence
    return np.array(
        [
            p * SENSITIVITY,
            (1 - p) * (1 - SPECIFICITY),
            (1 - p) * SPECIFICITY,
            p * (1 - SENSITIVITY),
        ]
    )


def inside(found, true):
    """Return the share of intervals with the true value; NaN is a miss."""
    return float(np.mean((found.lower <= true) & (true <= found.upper)))


def of_ratio(rng, n, prevalence, ratio):
    """Return the coverage of a ratio of counts."""
    above, below = (np.array(side, float) for side in ratio)
    p = shares(prevalence)
    counts = rng.multinomial(n, p, size=DRAWS).T.astype(float)
    table = delta.Table(counts, counts)
    found, _ = delta.column_ratios(table, delta.Coefficients(above, below), LEVEL)
    return inside(found, (p @ above) / (p @ below))


def of_each(rng, n, prevalence, value_of, interval_of):
    """Return the coverage of a function of one table of counts."""
    p = shares(prevalence)
    covered = 0
    for counts in rng.multinomial(n, p, size=DRAWS).astype(float):
        column = counts[:, None]
        found = interval_of(delta.Table(column, column))
        covered += inside(found, value_of(*p))
    return covered / DRAWS


def correlation(tp, fp, tn, fn):
    """Return Matthews' correlation."""
    spread = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(spread)


def cohen(tp, fp, tn, fn):
    """Return Cohen's kappa."""
    chance = (tp + fp) * (tp + fn) + (tn + fp) * (tn + fn)
    return (tp + tn - chance) / (1 - chance)


def macro_f1(tp, fp, tn, fn):
    """Return the mean F1 of both classes."""
    return tp / (2 * tp + fp + fn) + tn / (2 * tn + fp + fn)


def interval_of_macro_f1(table):
    """Return the interval of the mean F1 of both classes."""
    above, below = (np.array(side, float) for side in RATIOS["F1Score, Dice"])
    return delta.averaged_ratio(
        table.with_reverse(),
        delta.Coefficients(above, below),
        np.ones(2),
        by_size=False,
        empty=0.0,
        level=LEVEL,
    )


def interval_of_kappa(table):
    """Return the interval of kappa of two classes."""
    tp, fp, tn, fn = table.counts[:, 0]
    matrix = np.array([[tn, fp], [fn, tp]])
    return delta.kappa(matrix, matrix, 1 - np.eye(2), LEVEL)


EACH = {
    "F1Score, macro": (macro_f1, interval_of_macro_f1),
    "MatthewsCorrelation": (
        correlation,
        lambda table: delta.matthews(table.with_reverse(), LEVEL),
    ),
    "CohenKappa": (cohen, interval_of_kappa),
    "BalancedAccuracy": (
        lambda *_: (SENSITIVITY + SPECIFICITY) / 2,
        lambda table: delta.balanced(table, LEVEL),
    ),
}


def of_area(rng, n, prevalence, distance):
    """Return the coverage of AUROC, of normal scores `distance` apart."""
    true = statistics.NormalDist().cdf(distance / math.sqrt(2))
    covered, chunk = 0.0, max(1, 500_000 // n)
    for start in range(0, AREA_DRAWS, chunk):
        draws = min(chunk, AREA_DRAWS - start)
        label = rng.random((draws, n)) < prevalence
        scores = rng.normal(size=label.shape) + distance * label
        label = np.take_along_axis(label, np.argsort(scores, axis=1), axis=1)
        positives, negatives = label.astype(float), (~label).astype(float)
        squares = negatives.sum(1), positives.sum(1)
        found = area_interval(positives, negatives, squares, LEVEL)
        covered += inside(found, true) * draws
    return covered / AREA_DRAWS


def of_mean(rng, n, draw, true, *, positive):
    """Return the coverage of a mean."""
    terms = draw(rng, (DRAWS, n))
    sums = np.array(
        [terms.sum(1), *[np.full(DRAWS, float(n))] * 2, terms.sum(1), (terms**2).sum(1)]
    )
    found = [mean_interval(each, LEVEL, positive=positive) for each in sums.T]
    return float(np.mean([one.lower <= true <= one.upper for one in found]))


MEANS = {
    "MeanSquaredError, normal errors": (lambda r, s: r.normal(size=s) ** 2, 1.0),
    "MeanAbsoluteError, normal errors": (
        lambda r, s: np.abs(r.normal(size=s)),
        math.sqrt(2 / math.pi),
    ),
    "LogLoss, exponential losses": (lambda r, s: r.exponential(size=s), 1.0),
}


def of_correlation(rng, n, true=0.8):
    """Return the coverage of Pearson's correlation of normal values."""
    x, noise = rng.normal(size=(2, DRAWS, n))
    y = true * x + math.sqrt(1 - true**2) * noise
    x, y = (each - each.mean(1, keepdims=True) for each in (x, y))
    value = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return inside(correlation_interval(value, np.full(DRAWS, n), LEVEL), true)


def cell(covered, n, prevalence):
    """Write a coverage; in brackets where a class is expected fewer than ten times."""
    text = f"{100 * covered:.1f}"
    return f"({text})" if n * min(prevalence, 1 - prevalence) < 10 else text


def table():
    """Return both tables as Markdown."""
    rng = np.random.default_rng(0)
    pairs = [(n, p) for n in SIZES for p in PREVALENCES]
    rows = [
        "| n | " + " | ".join(f"{n:,}" for n, _ in pairs) + " |",
        "|---|" + "---|" * len(pairs),
        "| **prevalence** | " + " | ".join(f"{p:g}" for _, p in pairs) + " |",
    ]

    def add(name, coverage):
        cells = [cell(coverage(n, p), n, p) for n, p in pairs]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")

    for name, ratio in RATIOS.items():
        add(name, lambda n, p, ratio=ratio: of_ratio(rng, n, p, ratio))
    for name, both in EACH.items():
        add(name, lambda n, p, both=both: of_each(rng, n, p, *both))
    for area, distance in ((0.76, 1.0), (0.92, 2.0), (0.98, 3.0)):
        add(f"AUROC of {area}", lambda n, p, d=distance: of_area(rng, n, p, d))
    rows += ["", "| n | " + " | ".join(f"{n:,}" for n in SIZES) + " |"]
    rows.append("|---|" + "---|" * len(SIZES))

    def add_plain(name, coverage):
        cells = [f"{100 * coverage(n):.1f}" for n in SIZES]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")

    for name, (draw, true) in MEANS.items():
        add_plain(name, lambda n, d=draw, t=true: of_mean(rng, n, d, t, positive=True))
    add_plain(
        "PearsonCorrelation of 0.8, normal values", lambda n: of_correlation(rng, n)
    )
    return "\n".join(rows)


def main():
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
