"""Intervals of any metric, by drawing the rows of its data again."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.metric import Metric, PairMetric
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.intervals.bootstrap import bootstrapped, group_numbers
from multiback.metrics.intervals.interval import Array, Interval, check_level


def bootstrap(
    metric: Metric,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    groups: Any = None,
    level: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return an interval of a metric of some data, by drawing the rows again.

    Use it for metrics without `interval()`, such as `AveragePrecision` and `R2Score`;
    where a few rows of one patient, image or document are not independent; and for
    labels that hold at once, which `interval()` takes as independent.

    Formula: the quantiles of the metric over data sets of as many groups as there are,
    drawn with replacement. A row that was drawn k times has k times its weight.

    Args:
        metric: The metric. Its own state is neither read nor changed.
        y_true: All labels or targets, as `metric` takes them.
        y_pred: All predictions.
        sample_weight: One number a row, or None.
        groups: One id a row: rows with equal ids are drawn together. None: each row is
            its own.
        level: How often such an interval contains the true value.
        replicates: How often to draw; each takes one update of the metric.
        seed: Of the draws; the same seed gives the same interval.

    Returns:
        A record with `value`, `lower`, `upper` and `standard_error`.

    Raises:
        ArgumentError: An argument is not usable, or the shapes do not fit together.

    Source: the percentile interval of Efron and Tibshirani, An Introduction to the
    Bootstrap (1993); SciPy's `bootstrap(method="percentile")`.

    Examples:
        >>> import multiback as mb
        >>> scores, labels = [0.1, 0.4, 0.35, 0.8] * 10, [0, 0, 1, 1] * 10
        >>> metric = mb.metrics.AveragePrecision()
        >>> found = bootstrap(metric, labels, scores, replicates=50)
        >>> found.lower <= found.value <= found.upper
        True
    """
    if not isinstance(metric, PairMetric):
        raise ArgumentError(
            f"metric= wants a metric of multiback over labels and predictions, not "
            f"{metric!r}."
        )
    level, replicates = check_level(level), as_integer("replicates", replicates, 2)
    seed = as_integer("seed", seed, 0)
    if not len(y_true):
        raise ArgumentError("y_true= wants at least one row, not none.")
    value_of = value_of_rows(metric, y_true, y_pred, sample_weight)
    return bootstrapped(
        value_of,
        group_numbers(groups, len(y_true)),
        level=level,
        replicates=replicates,
        seed=seed,
    )


def value_of_rows(
    metric: PairMetric,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    mask: Array | None = None,
) -> Callable[[Array], Any]:
    """Return a function from how often each row is drawn to the metric's value.

    The metric's own state is neither read nor changed. Elements of a row may be masked.
    """
    labels, scores = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    metric.decide_task(scores)
    rows = int(labels.shape[0])
    weights = np.ones(rows)
    if sample_weight is not None:
        weights = np.asarray(ops.convert_to_numpy(sample_weight), np.float64)
        if weights.shape != (rows,):
            raise ArgumentError(
                f"sample_weight= wants one number a row, shape ({rows},), not "
                f"{weights.shape}."
            )

    def value_of(times: Array) -> Any:
        drawn = weights * times
        if mask is not None:
            drawn = drawn.reshape(-1, *[1] * (mask.ndim - 1)) * mask
        each = ops.convert_to_tensor(drawn.astype("float32"))
        statistic = metric.statistic
        state = statistic.update(statistic.init(), labels, scores, sample_weight=each)
        return ops.convert_to_numpy(metric.compute(state)).astype("float64")

    return value_of
