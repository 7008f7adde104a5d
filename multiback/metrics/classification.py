"""Accuracy, precision, recall and F1 for binary, multiclass and multilabel tasks."""

import abc
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.averaging import (
    average_ratio,
    check_average,
    check_zero_division,
)
from multiback.metrics.counts import (
    BinaryCounts,
    Counts,
    MulticlassCounts,
    MultilabelCounts,
    StatScores,
)
from multiback.metrics.metric import Metric
from multiback.metrics.statistic import State

Tensor = Any
Task = Literal["binary", "multiclass", "multilabel"]
Average = Literal["micro", "macro", "weighted"] | None


def counts_for_task(
    task: Task,
    *,
    num_classes: int | None = None,
    num_labels: int | None = None,
    threshold: float = 0.5,
    from_logits: bool = False,
    ignore_index: int | None = None,
) -> Counts:
    """Return the statistic for a task, checking the arguments that it needs."""
    if not 0.0 <= threshold <= 1.0:
        raise ArgumentError(
            f"threshold= wants a probability in [0, 1], not {threshold!r}; with "
            "from_logits=True it stays a probability."
        )
    wanted = {"binary": None, "multiclass": "num_classes", "multilabel": "num_labels"}
    if task not in wanted:
        raise ArgumentError(
            f'task= wants "binary", "multiclass" or "multilabel", not {task!r}.'
        )
    for name, value in (("num_classes", num_classes), ("num_labels", num_labels)):
        smallest = 2 if name == "num_classes" else 1
        if wanted[task] == name:
            if not isinstance(value, int) or value < smallest:
                raise ArgumentError(
                    f'task="{task}" wants {name}= as an integer of at least '
                    f"{smallest}, not {value!r}."
                )
        elif value is not None:
            raise ArgumentError(
                f'{name}= has no meaning for task="{task}"; leave it out'
                + (f", or did you mean {wanted[task]}=?" if wanted[task] else ".")
            )
    if task == "multiclass":
        return MulticlassCounts(num_classes or 0, ignore_index)
    if task == "multilabel":
        return MultilabelCounts(num_labels or 0, threshold, from_logits, ignore_index)
    return BinaryCounts(threshold, from_logits, ignore_index)


class CountMetric(Metric):
    """A ratio of true and false positives and negatives; subclasses say which.

    Args:
        task: "binary", "multiclass" (one class holds) or "multilabel" (each of
            several labels may hold).
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: Over classes or labels: "micro" (add the counts first), "macro"
            (plain mean; classes that do not occur are left out), "weighted" (by
            the number of true elements) or None (one value each, which cannot
            be monitored). A binary task has one value and ignores it.
        threshold: A probability above it, not equal to it, is positive. For
            "multiclass" the first largest score counts instead.
        from_logits: `y_pred` holds logits. It is never guessed.
        ignore_index: Elements with this label are left out, and as a class it
            leaves the mean.
        zero_division: Value of a ratio without a denominator: 0, 1 or NaN.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Call arguments:
        y_true: Labels. "binary": 0 or 1, any shape. "multilabel": 0 or 1,
            `(..., num_labels)`. "multiclass": ids `(...)` or one-hot
            `(..., num_classes)`.
        y_pred: Scores. "binary" and "multilabel": the shape of `y_true`.
            "multiclass": `(..., num_classes)`, or integer ids `(...)`.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is not usable, the shapes do not fit together,
            or, outside of a compiled step, a label is unknown to the task. In a
            compiled step an unknown label makes the result NaN.
    """

    direction: ClassVar[Literal["max", "min"]] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        task: Task = "binary",
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str,
        dtype: str | None = None,
    ) -> None:
        check_average(average)
        check_zero_division(zero_division)
        self._counts = counts_for_task(
            task,
            num_classes=num_classes,
            num_labels=num_labels,
            threshold=threshold,
            from_logits=from_logits,
            ignore_index=ignore_index,
        )
        super().__init__(self._counts, name=name, dtype=dtype)
        self._arguments: dict[str, Any] = {
            "task": task,
            "num_classes": num_classes,
            "num_labels": num_labels,
            "average": average,
            "threshold": threshold,
            "from_logits": from_logits,
            "ignore_index": ignore_index,
            "zero_division": zero_division,
        }

    @abc.abstractmethod
    def fraction(self, scores: StatScores) -> tuple[Tensor, Tensor]:
        """Return the numerator and the denominator of each column."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        scores = self._counts.read(state)
        numerator, denominator = self.fraction(scores)
        arguments = self._arguments
        binary = arguments["task"] == "binary"
        multiclass = arguments["task"] == "multiclass"
        value = average_ratio(
            numerator,
            denominator,
            scores,
            average="micro" if binary else arguments["average"],
            zero_division=arguments["zero_division"],
            exclusive=multiclass,
            ignored_column=arguments["ignore_index"] if multiclass else None,
        )
        return ops.where(scores.invalid > 0, float("nan"), value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self._arguments}


@keras.saving.register_keras_serializable("multiback")
class Precision(CountMetric):
    """How much of what was predicted positive is positive: `tp / (tp + fp)`.

    Arguments and shapes are those of `CountMetric`.

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

    def fraction(self, scores: StatScores) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + fp`."""
        return scores.tp, scores.tp + scores.fp


@keras.saving.register_keras_serializable("multiback")
class Recall(CountMetric):
    """How much of what is positive was predicted positive: `tp / (tp + fn)`.

    Arguments and shapes are those of `CountMetric`.

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

    def fraction(self, scores: StatScores) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + fn`."""
        return scores.tp, scores.tp + scores.fn


@keras.saving.register_keras_serializable("multiback")
class F1Score(CountMetric):
    """The harmonic mean of precision and recall: `2 tp / (2 tp + fp + fn)`.

    Computed from the counts of all batches, never as a mean of batch values.
    Arguments and shapes are those of `CountMetric`.

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

    def fraction(self, scores: StatScores) -> tuple[Tensor, Tensor]:
        """Return `2 tp` and `2 tp + fp + fn`."""
        twice = 2.0 * scores.tp
        return twice, twice + scores.fp + scores.fn


@keras.saving.register_keras_serializable("multiback")
class Accuracy(CountMetric):
    """How much was predicted right.

    "binary" and "multilabel": `(tp + tn) / (tp + fp + tn + fn)` over elements.
    "multiclass": `tp / (tp + fn)`, so that `average="micro"`, the default, is the
    plain share of right predictions and `average="macro"` the mean recall.

    Arguments and shapes are those of `CountMetric`, with `average="micro"`.

    Source: scikit-learn's `accuracy_score` (micro) and torchmetrics' `Accuracy`.

    Example:
    >>> accuracy = Accuracy(task="multiclass", num_classes=3)
    >>> accuracy.update_state([0, 1, 2, 2], [0, 1, 2, 1])
    >>> float(accuracy.result())
    0.75
    """

    def __init__(
        self,
        task: Task = "binary",
        *,
        average: Average = "micro",
        name: str = "accuracy",
        **arguments: Any,
    ) -> None:
        super().__init__(task, average=average, name=name, **arguments)

    def fraction(self, scores: StatScores) -> tuple[Tensor, Tensor]:
        """Return what was right, and everything."""
        if self._arguments["task"] == "multiclass":
            return scores.tp, scores.tp + scores.fn
        right = scores.tp + scores.tn
        return right, right + scores.fp + scores.fn
