"""Precision, recall and their kin: ratios of true and false positives."""

import math
from typing import Any

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.count_metric import RatioMetric, Task
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.statistics.counts import CountTable

Tensor = Any


@keras.saving.register_keras_serializable("multiback")
class Precision(RatioMetric):
    """How much of what was predicted positive is positive: `tp / (tp + fp)`.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `precision_score`, with the rule `score > threshold`.

    Example:
    >>> precision = Precision()
    >>> precision.update_state([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.8])
    >>> float(precision.result())
    0.5
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "precision", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + fp`."""
        return table.tp, table.tp + table.fp


@keras.saving.register_keras_serializable("multiback")
class Recall(RatioMetric):
    """How much of what is positive was predicted positive: `tp / (tp + fn)`.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `recall_score`, with the rule `score > threshold`.

    Example:
    >>> recall = Recall(task="multiclass", num_classes=3)
    >>> recall.update_state([0, 1, 2, 2], [0, 1, 2, 1])
    >>> round(float(recall.result()), 4)
    0.8333
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "recall", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + fn`."""
        return table.tp, table.tp + table.fn


@keras.saving.register_keras_serializable("multiback")
class Specificity(RatioMetric):
    """How much of what is negative was predicted negative: `tn / (tn + fp)`.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `recall_score` of the negative class; torchmetrics'
    `Specificity`.

    Example:
    >>> specificity = Specificity()
    >>> specificity.update_state([0, 0, 0, 1], [0.1, 0.9, 0.3, 0.8])
    >>> round(float(specificity.result()), 4)
    0.6667
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "specificity", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `tn` and `tn + fp`."""
        return table.tn, table.tn + table.fp


@keras.saving.register_keras_serializable("multiback")
class NegativePredictiveValue(RatioMetric):
    """How much of what was predicted negative is negative: `tn / (tn + fn)`.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `precision_score` of the negative class; torchmetrics'
    `NegativePredictiveValue`.

    Example:
    >>> metric = NegativePredictiveValue()
    >>> metric.update_state([0, 0, 1, 1], [0.1, 0.9, 0.3, 0.8])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        task: Task = "binary",
        *,
        name: str = "negative_predictive_value",
        **arguments: Any,
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `tn` and `tn + fn`."""
        return table.tn, table.tn + table.fn


@keras.saving.register_keras_serializable("multiback")
class F1Score(RatioMetric):
    """The harmonic mean of precision and recall: `2 tp / (2 tp + fp + fn)`.

    Computed from the counts of all batches, never as a mean of batch values.
    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `f1_score`, with the rule `score > threshold`.

    Example:
    >>> f1_score = F1Score()
    >>> f1_score.update_state([0, 1, 1], [0.1, 0.9, 0.8])
    >>> f1_score.update_state([1, 0], [0.2, 0.7])
    >>> round(float(f1_score.result()), 4)
    0.6667
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "f1_score", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `2 tp` and `2 tp + fp + fn`."""
        twice = 2.0 * table.tp
        return twice, twice + table.fp + table.fn


@keras.saving.register_keras_serializable("multiback")
class FBetaScore(RatioMetric):
    """Precision and recall in one number that weighs recall `beta` times as much.

    `(1 + beta^2) tp / ((1 + beta^2) tp + beta^2 fn + fp)`.

    Args:
        task: As for `RatioMetric`, whose other arguments and shapes hold too.
        beta: Weight of recall, above 0; 1 is the F1 score.
        name: Name in the logs.
        **arguments: Those of `RatioMetric`.

    Source: scikit-learn's `fbeta_score`, with the rule `score > threshold`.

    Example:
    >>> fbeta_score = FBetaScore(beta=2.0)
    >>> fbeta_score.update_state([0, 1, 1, 1], [0.9, 0.9, 0.3, 0.8])
    >>> round(float(fbeta_score.result()), 4)
    0.6667
    """

    def __init__(
        self,
        task: Task = "binary",
        *,
        beta: float = 1.0,
        name: str = "fbeta_score",
        **arguments: Any,
    ) -> None:
        if not is_real(beta) or not 0.0 < beta < math.inf:
            raise ArgumentError(f"beta= wants a number above 0, not {beta!r}.")
        super().__init__(task, name=name, **arguments)
        self.arguments["beta"] = float(beta)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return both sides of the formula."""
        square = self.arguments["beta"] ** 2
        hits = (1.0 + square) * table.tp
        return hits, hits + square * table.fn + table.fp
