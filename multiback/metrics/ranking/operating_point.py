"""Best value of one rate subject to a minimum of another, and its threshold.

The values are those of thresholds between bins, which the data really reach; a
threshold inside a bin can only be better, within `bounds()`.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.score_metric import ROUNDING
from multiback.metrics.base.thresholds import BestThreshold, above
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.numeric.arithmetic import Tensor, ratio
from multiback.metrics.statistics.score_histogram import Histogram

# XLA multiplies by a reciprocal instead of dividing, so that 9/10 is not 0.9.
NEARLY = 2.0**-22


class Rates(NamedTuple):
    """The rates of thresholds, each `(columns, thresholds)`, from the highest down."""

    precision: Tensor
    recall: Tensor
    specificity: Tensor
    predicted: Tensor


class OperatingPoint(BestThreshold):
    """The best value that a threshold reaches while another stays high enough."""

    condition: ClassVar[str]
    _at_least: float

    def _checked_minimum(self, at_least: Any) -> float:
        """Return the minimum of the other rate, a number in [0, 1]."""
        if not is_real(at_least) or not 0.0 <= at_least <= 1.0:
            raise ArgumentError(
                f"{self.condition}= wants a number in [0, 1], not {at_least!r}."
            )
        return float(at_least)

    @property
    def at_least(self) -> tuple[str, float]:
        """The rate that a threshold has to reach, and by how much."""
        return self.condition, self._at_least

    @abc.abstractmethod
    def rate_and_limit(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return the rate to maximise, and the rate with a minimum."""

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best value and its bounds."""
        tp, fp = above(histogram)
        value, _ = self._best(tp, fp, 0.0)
        if histogram.exact:
            return value, value, value
        # Weights and huge counts are rounded, so the condition holds only
        # approximately.
        rounded = ops.logical_or(
            histogram.weighted > 0.0, ops.max(tp + fp) >= float(2**24)
        )
        slack = ops.where(rounded, ROUNDING, 0.0)
        low, _ = self._best(tp, fp, slack)
        # At best all positives of a bin score higher than all of its negatives.
        inside, _ = self._best(tp[:, 1:], fp[:, :-1], -slack)
        high, _ = self._best(tp, fp, -slack)
        return value, low, ops.maximum(inside, high)

    def choose(self, tp: Tensor, fp: Tensor) -> Tensor:
        """Return the index of the best threshold, from the highest down."""
        return self._best(tp, fp, 0.0)[1]

    def _best(self, tp: Tensor, fp: Tensor, slack: Any) -> tuple[Tensor, Tensor]:
        """Return the best value of each column, and its threshold."""
        negatives = fp[:, -1:]
        rates = Rates(
            precision=ratio(tp, tp + fp, 0.0),
            recall=ratio(tp, ops.broadcast_to(tp[:, -1:], tp.shape), 0.0),
            specificity=ratio(
                negatives - fp, ops.broadcast_to(negatives, fp.shape), 0.0
            ),
            predicted=tp + fp > 0.0,
        )
        value, other = self.rate_and_limit(rates)
        needed = ops.minimum(self._at_least + slack, 1.0) - NEARLY
        # TensorFlow compares no float32 with the float64 of counts in arrays.
        allowed = other >= ops.cast(
            needed, keras.backend.standardize_dtype(other.dtype)
        )
        value = ops.where(allowed, value, 0.0)
        best = ops.max(value, axis=-1, keepdims=True)
        same = ops.logical_and(allowed, ops.equal(value, best))
        index = ops.argmax(ops.where(same, other, -1.0), axis=-1)
        index = ops.where(ops.any(allowed, axis=-1), index, 0)
        return best[:, 0], index
