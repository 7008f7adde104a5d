"""Overlap of each sample, such as an image, averaged over samples."""

import math
from typing import ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import check_zero_division
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.task import Ids, Task, TaskName
from multiback.metrics.intervals.interval import (
    Interval,
    make,
    sum_of_words,
    undefined,
)
from multiback.metrics.intervals.means import mean_and_variance
from multiback.metrics.intervals.wilson import effective_rows, wilson
from multiback.metrics.statistics.sample_ratios import Kind, SampleRatios
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.metrics.statistics.task_counts import counts_for_task


class SamplewiseOverlap(PairMetric):
    """The mean over samples of an overlap within each.

    `zero_division` is the value of a sample in which there is nothing to overlap.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        kind: Kind,
        record: Task,
        average: Literal["macro", "micro"] | None,
        zero_division: float,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        check_zero_division(zero_division)
        if average not in ("macro", "micro", None):
            raise ArgumentError(
                f'average= wants "macro", "micro" or None, not {average!r}.'
            )
        one_value = record.kind == "binary" and record.classes is None
        self._ratios = SampleRatios(
            kind,
            counts_for_task(record),
            "macro" if one_value else average,
            None if math.isnan(zero_division) else float(zero_division),
            record.chosen,
        )
        super().__init__(self._ratios, name=name, dtype=dtype, intervals=intervals)
        self.record: Task = record

    def compute(self, state: State) -> Tensor:
        """Return the mean of a state."""
        means, invalid = self._ratios.read(state)
        values = ops.where(invalid > 0, float("nan"), means)
        one = self._ratios.average is not None or self.record.is_single
        return values[0] if one else values

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean over samples."""
        one = self._ratios.average is not None or self.record.is_single
        sums = sum_of_words(state["sums"])
        if self._ratios.has_invalid(state):
            return undefined(level, () if one else sums.shape[1:])
        mean, variance, rows = mean_and_variance(sums)
        size = effective_rows(mean, variance, rows)
        found = make(mean, wilson(mean, size, level), variance**0.5, level, "Wilson")
        return found.first() if one else found


@keras.saving.register_keras_serializable("multiback")
class SamplewiseJaccardIndex(SamplewiseOverlap):
    """The Jaccard index (IoU) of each sample, averaged over samples.

    Formula: the mean over samples of `tp / (tp + fp + fn)` within each.

    Use it where small and large objects are to weigh alike; `JaccardIndex` and `Dice`
    count the elements of all samples together. A sample is one entry of the first axis,
    such as an image. No data give NaN.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: Within a sample: "macro" (plain mean over classes or labels), "micro"
            (their counts are added first) or None (an array with the mean of each over
            samples). A class that a sample neither holds nor was predicted in leaves
            its mean. "binary" has one value and ignores it, unless `classes=` asks for
            both.
        classes: A class id or label, or a list of them: the value is of these only,
            while every element still counts, as with scikit-learn's `labels=`. A list
            with `average=None` gives an array in its order, and a single id a scalar.
            For "binary" 0 is the negative class. None takes all classes, for "binary"
            the positive one.
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out. A class
            that is ignored leaves the mean as well.
        zero_division: Value of a sample in which there is nothing to overlap: 0, 1, or
            NaN, which leaves the sample out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype; the first axis is that of
            samples. "binary": 0 or 1, `(N, ...)`. "multiclass": ids `(N, ...)` or
            one-hot `(N, ..., num_classes)`. "multilabel": 0 or 1, `(N, ...,
            num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(N, ..., num_classes)`, or integer class ids `(N,
            ...)`.
        sample_weight: One number a sample, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `jaccard_score` of each sample; torchmetrics' `MeanIoU`
    averages all pairs of a sample and a class instead.

    Examples:
        Two masks:

        >>> metric = SamplewiseJaccardIndex(task="binary")
        >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
        >>> round(float(metric.result()), 4)
        0.75

        Two images of class ids, without the background:

        >>> metric = SamplewiseJaccardIndex(
        ...     task="multiclass", num_classes=3, classes=[1, 2]
        ... )
        >>> metric.update_state(
        ...     [[0, 1, 1, 0], [0, 2, 2, 0]], [[1, 1, 1, 0], [0, 2, 0, 0]]
        ... )
        >>> round(float(metric.result()), 4)
        0.5833

        Two samples with two labels each:

        >>> metric = SamplewiseJaccardIndex(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
        >>> round(float(metric.result()), 4)
        0.5
    """

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Literal["macro", "micro"] | None = "macro",
        classes: Ids = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "samplewise_jaccard_index",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__(
            "jaccard", record, average, zero_division, name, dtype, intervals
        )


@keras.saving.register_keras_serializable("multiback")
class SamplewiseDice(SamplewiseOverlap):
    """The Dice score of each sample, averaged over samples.

    Formula: the mean over samples of `2 tp / (2 tp + fp + fn)` within each.

    Use it where small and large objects are to weigh alike; `JaccardIndex` and `Dice`
    count the elements of all samples together. A sample is one entry of the first axis,
    such as an image. No data give NaN.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: Within a sample: "macro" (plain mean over classes or labels), "micro"
            (their counts are added first) or None (an array with the mean of each over
            samples). A class that a sample neither holds nor was predicted in leaves
            its mean. "binary" has one value and ignores it, unless `classes=` asks for
            both.
        classes: A class id or label, or a list of them: the value is of these only,
            while every element still counts, as with scikit-learn's `labels=`. A list
            with `average=None` gives an array in its order, and a single id a scalar.
            For "binary" 0 is the negative class. None takes all classes, for "binary"
            the positive one.
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out. A class
            that is ignored leaves the mean as well.
        zero_division: Value of a sample in which there is nothing to overlap: 0, 1, or
            NaN, which leaves the sample out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype; the first axis is that of
            samples. "binary": 0 or 1, `(N, ...)`. "multiclass": ids `(N, ...)` or
            one-hot `(N, ..., num_classes)`. "multilabel": 0 or 1, `(N, ...,
            num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(N, ..., num_classes)`, or integer class ids `(N,
            ...)`.
        sample_weight: One number a sample, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `f1_score` of each sample.

    Examples:
        Two masks:

        >>> metric = SamplewiseDice(task="binary")
        >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
        >>> round(float(metric.result()), 4)
        0.8333

        Two images of class ids, without the background:

        >>> metric = SamplewiseDice(task="multiclass", num_classes=3, classes=[1, 2])
        >>> metric.update_state(
        ...     [[0, 1, 1, 0], [0, 2, 2, 0]], [[1, 1, 1, 0], [0, 2, 0, 0]]
        ... )
        >>> round(float(metric.result()), 4)
        0.7333

        Two samples with two labels each:

        >>> metric = SamplewiseDice(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
        >>> round(float(metric.result()), 4)
        0.5
    """

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Literal["macro", "micro"] | None = "macro",
        classes: Ids = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "samplewise_dice",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__("dice", record, average, zero_division, name, dtype, intervals)
