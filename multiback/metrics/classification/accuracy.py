"""Accuracy and its kin, and the bare counts."""

import math
from typing import Any, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.count_metric import Average, RatioMetric, Task, TaskMetric
from multiback.metrics.statistics.counts import CountTable

Tensor = Any

# A plain mean over classes leaves out those that do not occur, and so has to know
# what was predicted.
_ALL_BUT_MACRO = frozenset({"micro", "weighted", None})


@keras.saving.register_keras_serializable("multiback")
class Accuracy(RatioMetric):
    """How much was predicted right.

    "binary" and "multilabel": `(tp + tn) / (tp + fp + tn + fn)` over elements.
    "multiclass": `tp / (tp + fn)`, so that `average="micro"`, the default, is the
    plain share of right predictions and `average="macro"` the mean recall.

    Arguments and shapes are those of `RatioMetric`, with `average="micro"`.

    Source: scikit-learn's `accuracy_score` (micro) and torchmetrics' `Accuracy`.

    Example:
    >>> accuracy = Accuracy(task="multiclass", num_classes=3)
    >>> accuracy.update_state([0, 1, 2, 2], [0, 1, 2, 1])
    >>> float(accuracy.result())
    0.75
    """

    averages_of_hits = _ALL_BUT_MACRO

    def __init__(
        self,
        task: Task = "binary",
        *,
        average: Average = "micro",
        name: str = "accuracy",
        **arguments: Any,
    ) -> None:
        super().__init__(task, average=average, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return what was right, and everything."""
        if self.task == "multiclass":
            return table.tp, table.tp + table.fn
        right = table.tp + table.tn
        return right, right + table.fp + table.fn


@keras.saving.register_keras_serializable("multiback")
class BalancedAccuracy(TaskMetric):
    """The mean of what was predicted right in each class.

    "binary" and each label of "multilabel": `(tp / (tp + fn) + tn / (tn + fp)) / 2`;
    several labels are averaged plainly. "multiclass": the mean of `tp / (tp + fn)`.
    A class without a label leaves the mean; with no class left it is
    `zero_division`.

    Arguments and shapes are those of `TaskMetric`.

    Source: scikit-learn's `balanced_accuracy_score`.

    Example:
    >>> metric = BalancedAccuracy()
    >>> metric.update_state([0, 0, 0, 1], [0.1, 0.2, 0.9, 0.8])
    >>> round(float(metric.result()), 4)
    0.8333
    """

    def __init__(
        self,
        task: Task = "binary",
        *,
        name: str = "balanced_accuracy",
        **arguments: Any,
    ) -> None:
        super().__init__(task, True, name=name, **arguments)  # noqa: FBT003 - hits only

    def score(self, table: CountTable) -> Tensor:
        """Return the mean recall."""
        hits, all_of = table.tp, table.tp + table.fn
        zero_division = self.arguments["zero_division"]
        if self.task == "multiclass":
            ignored = self.arguments["ignore_index"]
            present = ops.cast(all_of > 0, "float32")
            if ignored is not None:
                present = present * ops.cast(
                    ops.not_equal(ops.arange(all_of.shape[0]), ignored), "float32"
                )
            recall = ratio(hits, all_of, 0.0)
            return ratio(ops.sum(present * recall), ops.sum(present), zero_division)
        hits = ops.stack([hits, table.tn])
        all_of = ops.stack([all_of, table.tn + table.fp])
        classes = ops.sum(ops.cast(all_of > 0, "float32"), axis=0)
        recall = ops.sum(ratio(hits, all_of, 0.0), axis=0)
        return ops.mean(ratio(recall, classes, zero_division))


@keras.saving.register_keras_serializable("multiback")
class HammingDistance(RatioMetric):
    """How much was predicted wrong: 1 - `Accuracy` of the same task and average.

    "binary" and "multilabel": `(fp + fn) / (tp + fp + tn + fn)` over elements.
    "multiclass": `fn / (tp + fn)`.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `hamming_loss` (micro); torchmetrics'
    `HammingDistance`.

    Example:
    >>> metric = HammingDistance(task="multilabel", num_labels=2)
    >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
    >>> float(metric.result())
    0.25
    """

    direction = "min"
    averages_of_hits = _ALL_BUT_MACRO

    def __init__(
        self, task: Task = "binary", *, name: str = "hamming_distance", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return what was wrong, and everything."""
        if self.task == "multiclass":
            return table.fn, table.tp + table.fn
        wrong = table.fp + table.fn
        return wrong, wrong + table.tp + table.tn


@keras.saving.register_keras_serializable("multiback")
class StatScores(TaskMetric):
    """The counts themselves: tp, fp, tn, fn and support (`tp + fn`).

    The result is an array, which Keras's logs cannot hold: use it in a loop of
    your own, not in `compile`. The state is exact; the result is rounded to
    float32, so exact below 2**24.

    Args:
        task: As for `TaskMetric`, whose other arguments and shapes hold too.
        average: "micro" adds the counts of all classes or labels; None keeps them
            apart. A binary task has one column and ignores it.
        name: Name of the metric.
        **arguments: Those of `TaskMetric`.

    Returns:
        `result()` has shape `(5,)`, or `(columns, 5)` for `average=None`.

    Source: torchmetrics' `StatScores`.

    Example:
    >>> metric = StatScores()
    >>> metric.update_state([0, 1, 1, 1], [0.9, 0.9, 0.3, 0.8])
    >>> [int(number) for number in metric.result()]
    [2, 1, 0, 1, 3]
    """

    direction = None
    value_range = (0.0, math.inf)

    def __init__(
        self,
        task: Task = "binary",
        *,
        average: Literal["micro"] | None = "micro",
        name: str = "stat_scores",
        **arguments: Any,
    ) -> None:
        if average not in ("micro", None):
            raise ArgumentError(f'average= wants "micro" or None, not {average!r}.')
        super().__init__(task, name=name, **arguments)
        self.arguments["average"] = average

    def score(self, table: CountTable) -> Tensor:
        """Return the counts."""
        columns = [table.tp, table.fp, table.tn, table.fn, table.tp + table.fn]
        scores = ops.stack(columns, axis=-1)
        if self.task != "binary" and self.arguments["average"] is None:
            return scores
        return ops.sum(scores, axis=0)
