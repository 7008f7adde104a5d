"""How well scores rank: AUROC and average precision, with certified bounds."""

from typing import Any

import keras
from keras import ops

from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.score_metric import ScoreMetric, Task
from multiback.metrics.fast.numpy import roc_area
from multiback.metrics.statistics.score_histogram import (
    Histogram,
    ScoreHistogram,
    before,
    total,
)
from multiback.metrics.statistics.statistic import State

Tensor = Any


@keras.saving.register_keras_serializable("multiback")
class AUROC(ScoreMetric):
    """The chance that a positive scores higher than a negative; ties count half.

    The area under the receiver operating characteristic. Inside a bin positives and
    negatives are taken to tie; the bounds rank them either way.

    Arguments and shapes are those of `ScoreMetric`.

    Source: scikit-learn's `roc_auc_score`, each class against the rest. torchmetrics
    gives 0.0 for one class.

    Example:
    >>> auroc = AUROC()
    >>> auroc.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(auroc.result())
    0.75
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "auroc", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the area of one histogram."""
        one = self._one_histogram()
        if one is None or one.unusable(state):
            return None
        found = roc_area(state["counts"], state["weighted"], one.bins)
        if found is None:
            return None
        area, gap, scores = found
        if self._looks_at_bounds():
            self._warn_if_wide(gap, scores)
        return area

    def compute_in_step(self, state: State, kernels: Any) -> Tensor | None:
        """Return the area of one histogram."""
        one = self._one_histogram()
        if one is None:
            return None
        return kernels.roc_area(state, one.bins, lambda: self.compute(state))

    def _one_histogram(self) -> ScoreHistogram | None:
        scores = self._scores
        if not isinstance(scores, ScoreHistogram) or scores.task.columns != 1:
            return None
        # The kernels know this class's formula, not that of a subclass.
        own = type(self).score is AUROC.score
        return scores if own and not self._each else None

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area and its bounds."""
        positives, negatives = histogram.positives, histogram.negatives
        share = ratio(positives, _column_total(positives), 0.0)
        share = ratio(share, _column_total(negatives), 0.0)
        low, tied = total(share * before(negatives)), total(share * negatives)
        value = low + tied / 2.0
        if histogram.exact:
            return value, value, value
        return value, low, low + tied


@keras.saving.register_keras_serializable("multiback")
class AveragePrecision(ScoreMetric):
    """The mean, over all positives, of the precision down to their score.

    Inside a bin true and false positives are interpolated linearly (Davis and
    Goadrich 2006); the bounds put positives first or last. Scores that are kept
    with `capacity=` tie only where they are equal. Of positives alone it is 1.

    Arguments and shapes are those of `ScoreMetric`.

    Source: scikit-learn's `average_precision_score`.

    Example:
    >>> metric = AveragePrecision()
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> round(float(metric.result()), 4)
    0.8333
    """

    needs_negatives = False

    def __init__(
        self,
        task: Task = "binary",
        *,
        name: str = "average_precision",
        **arguments: Any,
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area and its bounds."""
        p, n = (
            ops.flip(part, axis=-1)
            for part in (histogram.positives, histogram.negatives)
        )
        hits, all_before = before(p), before(p + n)
        end = ratio(hits + p, all_before + p + n, 0.0)
        if histogram.exact:
            value = ratio(total(p * end), total(p), 0.0)
            return value, value, value
        single = ops.logical_and(p <= 1.0, ops.equal(histogram.weighted, 0.0))
        first = ops.minimum(p, 1.0)
        slope = 1.0 + ratio(n, p, 0.0)
        # The k-th positive of the bin, with its share of the bin's negatives.
        start = ratio(hits + first, all_before + slope * first, 0.0)
        rest = _integral(hits + first, all_before + slope * first, slope, p - first)
        middle = (
            first * start + rest + (end - start) / 2.0 * ops.cast(p > 1.0, "float32")
        )
        # All negatives of the bin before its positives, down to each positive.
        low = first * ratio(hits + first, all_before + n + first, 0.0)
        low = low + _integral(hits + first, all_before + n + first, 1.0, p - first)
        # With weights many small positives may lie in the first.
        low_weighted = _integral(hits, all_before + n, 1.0, p)
        low = ops.where(histogram.weighted > 0.0, low_weighted, low)
        # Precision grows along positives in a row, so that the last has the most.
        high = p * ratio(hits + p, all_before + p, 0.0)
        middle = ops.where(single, p * end, middle)
        middle = ops.clip(middle, low, high)
        areas = ratio(total(ops.stack([middle, low, high])), total(p), 0.0)
        return areas[0], areas[1], areas[2]


def _column_total(values: Tensor) -> Tensor:
    return ops.expand_dims(total(values), -1)


def _integral(hits: Tensor, seen: Tensor, slope: Any, width: Tensor) -> Tensor:
    """Integrate `(hits + x) / (seen + slope x)` over x from 0 to `width`."""
    grown = ops.where(ops.equal(seen, 0.0), 1.0, seen)
    curved = (hits - seen / slope) / slope * ops.log1p(slope * width / grown)
    return width / slope + ops.where(ops.equal(seen, 0.0), 0.0, curved)
