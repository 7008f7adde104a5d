"""Overlap of labels and predictions: Jaccard and Dice."""

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.count_metric import RatioMetric
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import Tensor
from multiback.metrics.statistics.counts import CountTable


@keras.saving.register_keras_serializable("multiback")
class JaccardIndex(RatioMetric):
    """The Jaccard index, or intersection over union (IoU).

    Formula: `tp / (tp + fp + fn)`.

    Use it for segmentation: `task="multiclass"` gives the mIoU of the whole data, in
    which the pixels of all images count together. `SamplewiseJaccardIndex` is the mean
    over images. `classes=[1, 2, ...]` leaves the background out of the mean;
    `ignore_index=0` would remove its pixels, and with them the false positives on them.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: How the values of the classes or labels become one: "macro" (plain
            mean; a class with neither a label nor a prediction is left out), "micro"
            (their counts are added first), "weighted" (mean by the number of true
            elements) or None (an array of all values). "binary" has one value and
            ignores it, unless `classes=` asks for both.
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
        zero_division: Value of a ratio whose denominator is 0: 0, 1 or NaN. A NaN
            leaves the mean.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
            "multilabel": 0 or 1, `(..., num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(..., num_classes)`, or integer class ids `(...)`.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `jaccard_score`; torchmetrics' `JaccardIndex`. Keras's
    `MeanIoU` leaves out classes without a union, as this does.

    Examples:
        Binary, from probabilities:

        >>> metric = JaccardIndex()
        >>> metric.update_state([0, 1, 1, 0, 1], [0.1, 0.9, 0.3, 0.8, 0.7])
        >>> round(float(metric.result()), 4)
        0.5

        Classes, from ids or from scores `(..., num_classes)`:

        >>> metric = JaccardIndex(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.6667

        Without the background, class 0:

        >>> metric = JaccardIndex(task="multiclass", num_classes=3, classes=[1, 2])
        >>> metric.update_state([0, 0, 1, 2, 2], [0, 1, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.4167

        Labels that may hold at once:

        >>> metric = JaccardIndex(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> round(float(metric.result()), 4)
        0.75
    """

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        classes: Ids = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "jaccard_index",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__(record, average, zero_division, name, dtype, intervals)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + fp + fn`."""
        return table.tp, table.tp + table.fp + table.fn


@keras.saving.register_keras_serializable("multiback")
class Dice(RatioMetric):
    """The Dice score: twice the intersection over the sum of both sizes.

    Formula: `2 tp / (2 tp + fp + fn)`.

    Use it for segmentation. Over the whole data it equals the F1 score;
    `SamplewiseDice` is the mean over images. `classes=[1, 2, ...]` leaves the
    background out of the mean; `ignore_index=0` would remove its pixels, and with them
    the false positives on them.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: How the values of the classes or labels become one: "macro" (plain
            mean; a class with neither a label nor a prediction is left out), "micro"
            (their counts are added first), "weighted" (mean by the number of true
            elements) or None (an array of all values). "binary" has one value and
            ignores it, unless `classes=` asks for both.
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
        zero_division: Value of a ratio whose denominator is 0: 0, 1 or NaN. A NaN
            leaves the mean.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
            "multilabel": 0 or 1, `(..., num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(..., num_classes)`, or integer class ids `(...)`.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `f1_score`, with the rule `score > threshold`.

    Examples:
        Binary, from probabilities:

        >>> metric = Dice()
        >>> metric.update_state([0, 1, 1, 0, 1], [0.1, 0.9, 0.3, 0.8, 0.7])
        >>> round(float(metric.result()), 4)
        0.6667

        Classes, from ids or from scores `(..., num_classes)`:

        >>> metric = Dice(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.7778

        Without the background, class 0:

        >>> metric = Dice(task="multiclass", num_classes=3, classes=[1, 2])
        >>> metric.update_state([0, 0, 1, 2, 2], [0, 1, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.5833

        Labels that may hold at once:

        >>> metric = Dice(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> round(float(metric.result()), 4)
        0.8333
    """

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        classes: Ids = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "dice",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__(record, average, zero_division, name, dtype, intervals)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `2 tp` and `2 tp + fp + fn`."""
        twice = 2.0 * table.tp
        return twice, twice + table.fp + table.fn
