"""How good probabilities are: log loss, perplexity and the Brier score."""

import abc
import math
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.count_metric import counts_for_task
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_plain, refuse_unknown
from multiback.metrics.statistics.losses import LossSums
from multiback.metrics.statistics.statistic import State

Tensor = Any
ClassTask = Literal["binary", "multiclass"]


class LossMetric(PairMetric):
    """A mean of losses of probabilities; subclasses write `score`.

    Args:
        kind: The loss.
        task: "binary" or "multiclass".
        num_classes: Number of classes, for "multiclass" only.
        from_logits: `y_pred` holds logits. It is never guessed: a probability
            outside of [0, 1] gives NaN.
        ignore_index: Elements with this label are left out.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; sums stay exact across batches.

    Call arguments:
        y_true: "binary": 0 or 1, any shape. "multiclass": ids `(...)` or one-hot
            `(..., num_classes)`.
        y_pred: "binary": scores of the shape of `y_true`. "multiclass": scores
            `(..., num_classes)`; probabilities are taken as they are, and not
            scaled to add up to 1.
        sample_weight: One number a sample or an element, or None.

    No data, and a NaN score, give NaN. The arithmetic is in float32 or wider.
    """

    direction: ClassVar[Direction | None] = "min"

    def __init__(
        self,
        kind: Literal["log", "brier"],
        task: ClassTask = "binary",
        *,
        num_classes: int | None = None,
        from_logits: bool = False,
        ignore_index: int | None = None,
        name: str,
        dtype: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        if task not in ("binary", "multiclass"):
            raise ArgumentError(f'task= wants "binary" or "multiclass", not {task!r}.')
        arguments = as_plain(
            {
                "num_classes": num_classes,
                "from_logits": from_logits,
                "ignore_index": ignore_index,
            }
        )
        counts_for_task(task, **arguments)  # Checks them.
        self._losses = LossSums(kind, **arguments)
        super().__init__(self._losses, name=name, dtype=dtype)
        self.arguments = {"task": task, **arguments}

    @abc.abstractmethod
    def score(self, mean: Tensor) -> Tensor:
        """Return the metric's value for a mean loss."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        total, weight, invalid = self._losses.read(state)
        value = self.score(ratio(total, weight, float("nan")))
        return ops.where(invalid > 0.0, float("nan"), value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable("multiback")
class LogLoss(LossMetric):
    """The mean of `-log p` of each label, in nats.

    A probability of 0 for the label costs infinity, which no clipping hides; a sum
    with an infinite loss gives NaN, so that such a model is never the best.

    Arguments and shapes are those of `LossMetric`.

    Source: scikit-learn's `log_loss`, which clips probabilities to the precision of
    their dtype.

    Example:
    >>> metric = LogLoss()
    >>> metric.update_state([1, 0], [0.5, 0.5])
    >>> round(float(metric.result()), 4)
    0.6931
    """

    value_range = (0.0, math.inf)

    def __init__(
        self, task: ClassTask = "binary", *, name: str = "log_loss", **arguments: Any
    ) -> None:
        super().__init__("log", task, name=name, **arguments)

    def score(self, mean: Tensor) -> Tensor:
        """Return the mean."""
        return mean


@keras.saving.register_keras_serializable("multiback")
class Perplexity(LossMetric):
    """`exp` of the mean of `-log p` of each label: how many are left to choose from.

    The mean is over all elements of all data and never over batches of different
    lengths. A probability of 0 for the label gives NaN, as for `LogLoss`.

    Arguments and shapes are those of `LossMetric`.

    Source: torchmetrics' `Perplexity`, which takes logits and counts in float32.

    Example:
    >>> metric = Perplexity()
    >>> metric.update_state([1, 0], [0.5, 0.5])
    >>> round(float(metric.result()), 4)
    2.0
    """

    value_range = (1.0, math.inf)

    def __init__(
        self, task: ClassTask = "binary", *, name: str = "perplexity", **arguments: Any
    ) -> None:
        super().__init__("log", task, name=name, **arguments)

    def score(self, mean: Tensor) -> Tensor:
        """Return its exponential."""
        return ops.exp(mean)


@keras.saving.register_keras_serializable("multiback")
class BrierScore(LossMetric):
    """The mean squared distance of probabilities from their labels.

    "binary": `(p - y)^2`, of the positive class only, from 0 to 1. "multiclass": the
    sum of it over all classes, from 0 to 2.

    Arguments and shapes are those of `LossMetric`.

    Source: scikit-learn's `brier_score_loss`; Brier, Verification of forecasts
    expressed in terms of probability (1950) for several classes.

    Example:
    >>> metric = BrierScore()
    >>> metric.update_state([1, 0], [0.5, 0.5])
    >>> round(float(metric.result()), 4)
    0.25
    """

    value_range = (0.0, 2.0)

    def __init__(
        self, task: ClassTask = "binary", *, name: str = "brier_score", **arguments: Any
    ) -> None:
        super().__init__("brier", task, name=name, **arguments)

    def score(self, mean: Tensor) -> Tensor:
        """Return the mean."""
        return mean
