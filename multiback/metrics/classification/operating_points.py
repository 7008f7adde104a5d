"""The best that some threshold reaches under a condition, and that threshold.

The values are those of thresholds between bins, each of which the data really have;
one inside of a bin can only be better, by what `bounds()` says.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.curves import as_threshold
from multiback.metrics.base.score_metric import ROUNDING, ScoreMetric, Task
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.statistics.score_histogram import Histogram, before
from multiback.metrics.statistics.statistic import State

Tensor = Any

# XLA multiplies by a reciprocal instead of dividing, so that 9/10 is not 0.9.
NEARLY = 2.0**-22


class Rates(NamedTuple):
    """What thresholds give, each `(columns, thresholds)`, from the highest down."""

    precision: Tensor
    recall: Tensor
    specificity: Tensor
    predicted: Tensor


class OperatingPoint(ScoreMetric):
    """The best value that a threshold reaches while another stays high enough.

    Args:
        at_least: What the other one has to be at least, in [0, 1].
        task: As for `ScoreMetric`, whose other arguments and shapes hold too.
        **arguments: Those of `ScoreMetric`.

    Of thresholds with the same value the one with more of the other is taken, then
    the highest. A condition is met within 2**-22, four roundings. Where none reaches
    `at_least` the value is 0 and the threshold infinite: nothing is predicted.
    """

    condition: ClassVar[str]
    # The value itself is reached, and one sample more may be a percent of few.
    wide = 0.1

    def __init__(
        self, at_least: float, task: Task = "binary", *, name: str, **arguments: Any
    ) -> None:
        if not is_real(at_least) or not 0.0 <= at_least <= 1.0:
            raise ArgumentError(
                f"{self.condition}= wants a number in [0, 1], not {at_least!r}."
            )
        self._at_least: float = float(at_least)
        super().__init__(task, name=name, **arguments)
        self.arguments[self.condition] = self._at_least

    @abc.abstractmethod
    def choose(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return what is to be high, and what has to be at least so much."""

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best value, and between what it lies."""
        tp, fp = _above(histogram)
        value, _ = self._best(tp, fp, 0.0)
        if histogram.exact:
            return value, value, value
        # Where weights or huge counts are rounded, a condition is met but nearly.
        rounded = ops.logical_or(
            histogram.weighted > 0.0, ops.max(tp + fp) >= float(2**24)
        )
        slack = ops.where(rounded, ROUNDING, 0.0)
        low, _ = self._best(tp, fp, slack)
        # At best all positives of a bin score higher than all its negatives.
        inside, _ = self._best(tp[:, 1:], fp[:, :-1], -slack)
        high, _ = self._best(tp, fp, -slack)
        return value, low, ops.maximum(inside, high)

    def threshold(self) -> Any:
        """Return the threshold that the value was reached with.

        Returns:
            A float, or with several classes or labels an array: the largest float32
            for which `score > threshold` makes the value, in the unit of the scores
            (for `from_logits` logits, but the softmax of logits of classes). NaN
            where the value is.
        """
        return self.compute_threshold(self.state)

    def compute_threshold(self, state: State) -> Any:
        """Return the threshold of a state; see `threshold`."""
        histogram = self._scores.read(state)
        tp, fp = _above(histogram)
        value, index = self._best(tp, fp, 0.0)
        positives, negatives = tp[:, -1], fp[:, -1]
        undefined = ops.logical_or(
            ops.logical_or(ops.equal(positives, 0.0), ops.equal(negatives, 0.0)),
            histogram.undefined > 0.0,
        )
        edges = self._scores.edges(state)[:, ::-1]
        edges = np.broadcast_to(edges, (len(value), edges.shape[1]))
        places = ops.convert_to_numpy(index)
        found = np.take_along_axis(edges, np.maximum(places - 1, 0)[:, None], 1)[:, 0]
        thresholds = np.where(places == 0, np.inf, as_threshold(found))
        thresholds[ops.convert_to_numpy(undefined)] = np.nan
        return float(thresholds[0]) if len(thresholds) == 1 else thresholds

    def _best(self, tp: Tensor, fp: Tensor, slack: Any) -> tuple[Tensor, Tensor]:
        """Return the best value of each column, and at which threshold."""
        negatives = fp[:, -1:]
        rates = Rates(
            precision=ratio(tp, tp + fp, 0.0),
            recall=ratio(tp, ops.broadcast_to(tp[:, -1:], tp.shape), 0.0),
            specificity=ratio(
                negatives - fp, ops.broadcast_to(negatives, fp.shape), 0.0
            ),
            predicted=tp + fp > 0.0,
        )
        value, other = self.choose(rates)
        needed = ops.minimum(self._at_least + slack, 1.0) - NEARLY
        allowed = other >= needed
        value = ops.where(allowed, value, 0.0)
        best = ops.max(value, axis=-1, keepdims=True)
        same = ops.logical_and(allowed, ops.equal(value, best))
        index = ops.argmax(ops.where(same, other, -1.0), axis=-1)
        index = ops.where(ops.any(allowed, axis=-1), index, 0)
        return best[:, 0], index


def _above(histogram: Histogram) -> tuple[Tensor, Tensor]:
    """Return true and false positives for each threshold, the first with none."""

    def from_the_top(values: Tensor) -> Tensor:
        values = ops.flip(values, axis=-1)
        return before(ops.pad(values, [(0, 0), (0, 1)]))

    return from_the_top(histogram.positives), from_the_top(histogram.negatives)


def _where_predicted(rates: Rates) -> tuple[Tensor, Tensor]:
    """Return precision and recall, of which nothing predicted has neither."""
    return (
        ops.where(rates.predicted, rates.precision, -1.0),
        ops.where(rates.predicted, rates.recall, -1.0),
    )


@keras.saving.register_keras_serializable("multiback")
class PrecisionAtRecall(OperatingPoint):
    """The highest precision of thresholds whose recall is at least `recall`.

    Args:
        recall: What recall has to be at least.
        task: As for `OperatingPoint`, whose other arguments hold too.
        name: Name in the logs.
        **arguments: Those of `ScoreMetric`.

    Source: torchmetrics' `PrecisionAtFixedRecall` over scikit-learn's
    `precision_recall_curve`. Keras's metric of this name tries 200 thresholds.

    Example:
    >>> metric = PrecisionAtRecall(recall=1.0)
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> round(float(metric.result()), 4)
    0.6667
    >>> 0.1 < metric.threshold() < 0.35
    True
    """

    condition = "recall"

    def __init__(
        self,
        recall: float,
        task: Task = "binary",
        *,
        name: str = "precision_at_recall",
        **arguments: Any,
    ) -> None:
        super().__init__(recall, task, name=name, **arguments)

    def choose(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return precision and recall."""
        return _where_predicted(rates)


@keras.saving.register_keras_serializable("multiback")
class RecallAtPrecision(OperatingPoint):
    """The highest recall of thresholds whose precision is at least `precision`.

    Args:
        precision: What precision has to be at least.
        task: As for `OperatingPoint`, whose other arguments hold too.
        name: Name in the logs.
        **arguments: Those of `ScoreMetric`.

    Source: torchmetrics' `RecallAtFixedPrecision` over scikit-learn's
    `precision_recall_curve`. Keras's metric of this name tries 200 thresholds.

    Example:
    >>> metric = RecallAtPrecision(precision=0.9)
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(metric.result())
    0.5
    >>> 0.4 < metric.threshold() < 0.8
    True
    """

    condition = "precision"

    def __init__(
        self,
        precision: float,
        task: Task = "binary",
        *,
        name: str = "recall_at_precision",
        **arguments: Any,
    ) -> None:
        super().__init__(precision, task, name=name, **arguments)

    def choose(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return recall and precision."""
        precision, recall = _where_predicted(rates)
        return recall, precision


@keras.saving.register_keras_serializable("multiback")
class SensitivityAtSpecificity(OperatingPoint):
    """The highest sensitivity (recall) where specificity is at least `specificity`.

    Args:
        specificity: What specificity has to be at least.
        task: As for `OperatingPoint`, whose other arguments hold too.
        name: Name in the logs.
        **arguments: Those of `ScoreMetric`.

    Source: torchmetrics' `SensitivityAtSpecificity` over scikit-learn's
    `roc_curve`. Keras's metric of this name tries 200 thresholds.

    Example:
    >>> metric = SensitivityAtSpecificity(specificity=0.5)
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(metric.result())
    1.0
    """

    condition = "specificity"

    def __init__(
        self,
        specificity: float,
        task: Task = "binary",
        *,
        name: str = "sensitivity_at_specificity",
        **arguments: Any,
    ) -> None:
        super().__init__(specificity, task, name=name, **arguments)

    def choose(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return recall and specificity."""
        return rates.recall, rates.specificity


@keras.saving.register_keras_serializable("multiback")
class SpecificityAtSensitivity(OperatingPoint):
    """The highest specificity where sensitivity (recall) is at least `sensitivity`.

    Args:
        sensitivity: What sensitivity has to be at least.
        task: As for `OperatingPoint`, whose other arguments hold too.
        name: Name in the logs.
        **arguments: Those of `ScoreMetric`.

    Source: torchmetrics' `SpecificityAtSensitivity` over scikit-learn's
    `roc_curve`. Keras's metric of this name tries 200 thresholds.

    Example:
    >>> metric = SpecificityAtSensitivity(sensitivity=1.0)
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(metric.result())
    0.5
    """

    condition = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        task: Task = "binary",
        *,
        name: str = "specificity_at_sensitivity",
        **arguments: Any,
    ) -> None:
        super().__init__(sensitivity, task, name=name, **arguments)

    def choose(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return specificity and recall."""
        return rates.specificity, rates.recall
