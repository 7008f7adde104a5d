"""How well scores rank: AUROC and average precision, with certified bounds."""

import abc
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from multiback.metrics.array_namespace import namespace
from multiback.metrics.averaging import ratio
from multiback.metrics.kernels.arrays import roc_area
from multiback.metrics.metric import Direction, PairMetric
from multiback.metrics.score_histogram import (
    Histogram,
    ScoreHistogram,
    before,
    total,
)
from multiback.metrics.statistic import State

Tensor = Any

# 256 roundings of a prefix sum, 384 of a sum over bins and a few of each term.
ROUNDING = 648 * 2.0**-24


class RankingMetric(PairMetric):
    """An area under a curve of thresholds; subclasses write `area`.

    Scores are counted in 16,384 bins, uniform in `asinh(logit / 4)`. What the order
    inside of bins could change, `bounds()` tells: the value of the data themselves
    lies between. It is far below 1e-3 for most scores, and large where scores lie
    so close together that they fall into few bins.

    Args:
        from_logits: `y_pred` holds logits. It is never guessed: a probability
            outside of [0, 1] makes the result NaN.
        ignore_index: Elements with this label are left out.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; counts stay exact.

    Call arguments:
        y_true: Labels 0 or 1 of any shape.
        y_pred: Scores of the same shape. Either one may have a last axis of length
            1 that the other lacks.
        sample_weight: One number a sample or an element, or None.

    A NaN score gives NaN, and so do data of one class only. -0 equals 0.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        *,
        from_logits: bool = False,
        ignore_index: int | None = None,
        name: str,
        dtype: str | None = None,
    ) -> None:
        self._histogram = ScoreHistogram(from_logits, ignore_index)
        super().__init__(self._histogram, name=name, dtype=dtype)
        self.arguments = {"from_logits": from_logits, "ignore_index": ignore_index}

    @abc.abstractmethod
    def area(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area, the smallest that it may be and the largest."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        return self._defined(state)[0]

    def compute_bounds(self, state: State) -> Tensor:
        """Return the smallest and the largest value that the data could have."""
        _, low, high = ops.unstack(self._defined(state), 3)
        return ops.clip(ops.stack([low - ROUNDING, high + ROUNDING]), 0.0, 1.0)

    def bounds(self) -> tuple[float, float]:
        """Return what the value of the data themselves certainly lies between."""
        low, high = ops.convert_to_numpy(self.compute_bounds(self.state))
        return float(low), float(high)

    def _defined(self, state: State) -> Tensor:
        histogram = self._histogram.read(state)
        xp = namespace(histogram.positives)
        areas = xp.clip(xp.stack(list(self.area(histogram))), 0.0, 1.0)
        one_class = xp.logical_or(
            xp.equal(total(histogram.positives), 0.0),
            xp.equal(total(histogram.negatives), 0.0),
        )
        undefined = xp.logical_or(one_class, histogram.undefined > 0.0)
        return xp.where(undefined, float("nan"), areas)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable("multiback")
class AUROC(RankingMetric):
    """The chance that a positive scores higher than a negative; ties count half.

    The area under the receiver operating characteristic. Inside a bin positives and
    negatives are taken to tie; the bounds rank them either way.

    Arguments and shapes are those of `RankingMetric`.

    Source: scikit-learn's `roc_auc_score`. torchmetrics gives 0.0 for one class.

    Example:
    >>> auroc = AUROC()
    >>> auroc.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(auroc.result())
    0.75
    """

    computes_on_arrays: ClassVar[bool] = True

    def __init__(self, *, name: str = "auroc", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        if isinstance(state["counts"], np.ndarray):
            area = roc_area(state["counts"], state["weighted"])
            if area is not None:
                return area
        return super().compute(state)

    def area(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area and its bounds."""
        positives, negatives = histogram.positives, histogram.negatives
        # Below 2**96 of 2**128 where there are fewer than 2**48 of each.
        pairs = total(positives) * total(negatives)
        low = ratio(total(positives * before(negatives)), pairs, 0.0)
        tied = ratio(total(positives * negatives), pairs, 0.0)
        return low + tied / 2.0, low, low + tied


@keras.saving.register_keras_serializable("multiback")
class AveragePrecision(RankingMetric):
    """The mean, over all positives, of the precision down to their score.

    Inside a bin true and false positives are interpolated linearly (Davis and
    Goadrich 2006); the bounds put positives first or last.

    Arguments and shapes are those of `RankingMetric`.

    Source: scikit-learn's `average_precision_score`.

    Example:
    >>> metric = AveragePrecision()
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> round(float(metric.result()), 4)
    0.8333
    """

    def __init__(self, *, name: str = "average_precision", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)

    def area(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area and its bounds."""
        p, n = ops.flip(histogram.positives), ops.flip(histogram.negatives)
        hits, all_before = before(p), before(p + n)
        single = ops.logical_and(p <= 1.0, ops.equal(histogram.weighted, 0.0))
        first = ops.minimum(p, 1.0)
        slope = 1.0 + ratio(n, p, 0.0)
        # The k-th positive of the bin, with its share of the bin's negatives.
        start = ratio(hits + first, all_before + slope * first, 0.0)
        end = ratio(hits + p, all_before + p + n, 0.0)
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
        middle, low, high = (
            ops.sum(ratio(part, ops.sum(p), 0.0)) for part in (middle, low, high)
        )
        return middle, low, high


def _integral(hits: Tensor, seen: Tensor, slope: Any, width: Tensor) -> Tensor:
    """Integrate `(hits + x) / (seen + slope x)` over x from 0 to `width`."""
    grown = ops.where(ops.equal(seen, 0.0), 1.0, seen)
    curved = (hits - seen / slope) / slope * ops.log1p(slope * width / grown)
    return width / slope + ops.where(ops.equal(seen, 0.0), 0.0, curved)
