"""How good probabilities are: log loss, perplexity and the Brier score."""

import math
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.task import ClassTask, Ids, Task
from multiback.metrics.intervals.interval import Interval, sum_of_words, undefined
from multiback.metrics.intervals.means import exponential, mean_interval
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.statistics.losses import Kind, LossSums
from multiback.metrics.statistics.statistic import State, Tensor


class LossMetric(PairMetric):
    """A mean of losses of scores, or by `score` a function of it.

    `kind` is the loss; the other arguments are those of each metric.
    """

    direction: ClassVar[Direction | None] = "min"

    def __init__(
        self,
        kind: Kind,
        task: ClassTask | None,
        num_classes: int | None,
        from_logits: bool,
        ignore_index: Ids,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        self.record: Task = Task(
            task,
            num_classes,
            from_logits=from_logits,
            ignore_index=ignore_index,
            allowed=("binary", "multiclass"),
        )
        self._losses = LossSums(
            kind,
            self.record.num_classes,
            self.record.from_logits,
            self.record.ignore_index,
        )
        super().__init__(self._losses, name=name, dtype=dtype, intervals=intervals)

    def score(self, mean: Tensor) -> Tensor:
        """Return the metric's value for a mean loss: the mean itself."""
        return mean

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        total, weight, invalid = self._losses.read(state)
        value = self.score(ratio(total, weight, float("nan")))
        return ops.where(invalid > 0.0, float("nan"), value)

    def compute_on_arrays(self, state: State) -> Any:
        """Return the metric's value for a state of NumPy arrays."""
        if self._losses.has_invalid(state):
            return math.nan
        total, weight = state["sums"][0, :2] + state["sums"][1, :2]
        with np.errstate(all="ignore"):
            return float(self.score(np.float32(ratio(total, weight, math.nan))))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean loss."""
        if self._losses.has_invalid(state):
            return undefined(level)
        return mean_interval(sum_of_words(state["sums"]), level, positive=True)


@keras.saving.register_keras_serializable("multiback")
class LogLoss(LossMetric):
    """Log loss, or cross-entropy: the mean of `-log p` of each label, in nats.

    Formula: `mean(-log p[label])`.

    Use it to compare probabilities, which it rewards for being confident and right. A
    probability of 0 for the label costs infinity, which no clipping hides; a sum with
    an infinite loss gives NaN, so that such a model is never the best. No data, and a
    NaN score, give NaN. The arithmetic is in float32 or wider.

    Args:
        task: "binary" (each element is 0 or 1) or "multiclass" (each element has one
            class). None, the default, takes "binary" if the first `y_pred` is a vector
            or has a last axis of 1, and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
        y_pred: Scores of any float dtype. "binary": the shape of `y_true`.
            "multiclass": `(..., num_classes)`; probabilities are not scaled to add up
            to 1.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `log_loss`, which clips probabilities to the precision of
    their dtype.

    Examples:
        Binary, from probabilities:

        >>> metric = LogLoss()
        >>> metric.update_state([1, 0], [0.5, 0.5])
        >>> round(float(metric.result()), 4)
        0.6931

        Classes, from logits:

        >>> metric = LogLoss(task="multiclass", num_classes=3, from_logits=True)
        >>> metric.update_state([0, 2], [[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
        >>> round(float(metric.result()), 4)
        0.5508
    """

    value_range = (0.0, math.inf)

    def __init__(
        self,
        task: ClassTask | None = None,
        *,
        num_classes: int | None = None,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "log_loss",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "log", task, num_classes, from_logits, ignore_index, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class Perplexity(LossMetric):
    """Perplexity: how many equally likely classes the predictions leave open.

    Formula: `exp(mean(-log p[label]))`.

    Use it for language models. The mean is over all elements of all data, never over
    batches of different lengths. A probability of 0 for the label gives NaN, as for
    `LogLoss`. No data, and a NaN score, give NaN. The arithmetic is in float32 or
    wider.

    Args:
        task: "binary" (each element is 0 or 1) or "multiclass" (each element has one
            class). None, the default, takes "binary" if the first `y_pred` is a vector
            or has a last axis of 1, and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
        y_pred: Scores of any float dtype. "binary": the shape of `y_true`.
            "multiclass": `(..., num_classes)`; probabilities are not scaled to add up
            to 1.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: torchmetrics' `Perplexity`, which takes logits and counts in float32.

    Examples:
        Binary, from probabilities:

        >>> metric = Perplexity()
        >>> metric.update_state([1, 0], [0.5, 0.5])
        >>> round(float(metric.result()), 4)
        2.0

        Classes, from logits:

        >>> metric = Perplexity(task="multiclass", num_classes=3, from_logits=True)
        >>> metric.update_state([0, 2], [[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
        >>> round(float(metric.result()), 4)
        1.7346
    """

    value_range = (1.0, math.inf)

    def __init__(
        self,
        task: ClassTask | None = None,
        *,
        num_classes: int | None = None,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "perplexity",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "log", task, num_classes, from_logits, ignore_index, name, dtype, intervals
        )

    def score(self, mean: Tensor) -> Tensor:
        """Return its exponential."""
        return namespace(mean).exp(mean)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the exponential of the interval of the mean."""
        return exponential(super().interval_on_arrays(state, level))


@keras.saving.register_keras_serializable("multiback")
class BrierScore(LossMetric):
    """The Brier score: the mean squared distance of probabilities from their labels.

    Formula: "binary" `mean((p - y)^2)` of the positive class, from 0 to 1; "multiclass"
    the sum of it over all classes, from 0 to 2.

    Use it to compare probabilities where single bad mistakes should not decide, as they
    do in `LogLoss`. No data, and a NaN score, give NaN. The arithmetic is in float32 or
    wider.

    Args:
        task: "binary" (each element is 0 or 1) or "multiclass" (each element has one
            class). None, the default, takes "binary" if the first `y_pred` is a vector
            or has a last axis of 1, and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
        y_pred: Scores of any float dtype. "binary": the shape of `y_true`.
            "multiclass": `(..., num_classes)`; probabilities are not scaled to add up
            to 1.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `brier_score_loss`; Brier, Verification of forecasts
    expressed in terms of probability (1950) for several classes.

    Examples:
        Binary, from probabilities:

        >>> metric = BrierScore()
        >>> metric.update_state([1, 0], [0.5, 0.5])
        >>> round(float(metric.result()), 4)
        0.25

        Classes, from logits:

        >>> metric = BrierScore(task="multiclass", num_classes=3, from_logits=True)
        >>> metric.update_state([0, 2], [[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
        >>> round(float(metric.result()), 4)
        0.3021
    """

    value_range = (0.0, 2.0)

    def __init__(
        self,
        task: ClassTask | None = None,
        *,
        num_classes: int | None = None,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "brier_score",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            "brier",
            task,
            num_classes,
            from_logits,
            ignore_index,
            name,
            dtype,
            intervals,
        )
