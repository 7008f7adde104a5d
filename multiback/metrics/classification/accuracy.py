"""Accuracy, balanced accuracy and Hamming distance."""

import keras
import numpy as np
from keras import ops

from multiback.metrics.base.averaging import check_has_classes
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.count_metric import RatioMetric, TaskMetric
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.intervals.delta import FN, RECALL, TP, averaged_ratio, balanced
from multiback.metrics.intervals.interval import Interval, undefined
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.statistic import State, Tensor

# A plain mean over classes leaves out absent classes, and so needs the predicted
# classes.
_ALL_BUT_MACRO = frozenset({"micro", "weighted", None})


@keras.saving.register_keras_serializable("multiback")
class Accuracy(RatioMetric):
    """Accuracy: the share of predictions that are right.

    Formula: "binary" and "multilabel" `(tp + tn) / (tp + fp + tn + fn)` over elements;
    "multiclass" `tp / (tp + fn)`, which `average="micro"`, the default, makes the share
    of right predictions and `average="macro"` the mean recall.

    Use it where classes are about equally frequent; `BalancedAccuracy` and `F1Score`
    suit rare classes.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: How the values of the classes or labels become one: "micro" (their
            counts are added first), "macro" (plain mean; a class with neither a label
            nor a prediction is left out), "weighted" (mean by the number of true
            elements) or None (an array of all values). "binary" ignores it.
        classes: A class id or label, or a list of them: the value is of these only.
            Plain accuracy ("binary", and "multiclass" with `average="micro"`) is one
            number for all classes and refuses it: use `Recall`.
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

    Source: scikit-learn's `accuracy_score` (micro) and torchmetrics' `Accuracy`.

    Examples:
        Binary, from probabilities:

        >>> metric = Accuracy()
        >>> metric.update_state([0, 1, 1, 0, 1], [0.1, 0.9, 0.3, 0.8, 0.7])
        >>> round(float(metric.result()), 4)
        0.6

        Classes, from ids or from scores `(..., num_classes)`:

        >>> metric = Accuracy(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.75

        Labels that may hold at once:

        >>> metric = Accuracy(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> round(float(metric.result()), 4)
        0.75
    """

    averages_of_hits = _ALL_BUT_MACRO

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "micro",
        classes: Ids = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "accuracy",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        check_has_classes(record, average)
        super().__init__(record, average, zero_division, name, dtype, intervals)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return the right elements, and all elements."""
        if self.task == "multiclass":
            return table.tp, table.tp + table.fn
        right = table.tp + table.tn
        return right, right + table.fp + table.fn


@keras.saving.register_keras_serializable("multiback")
class BalancedAccuracy(TaskMetric):
    """Balanced accuracy: the mean recall of the classes.

    Formula: "binary" and each label of "multilabel" `(tp / (tp + fn) + tn / (tn + fp))
    / 2`, with a plain mean over labels; "multiclass" the mean of `tp / (tp + fn)`.

    Use it in place of accuracy where classes are of unequal size. A class without a
    label leaves the mean; with no class left it is `zero_division`.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out. A class
            that is ignored leaves the mean as well.
        zero_division: Value where no class has a label: 0, 1 or NaN.
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

    Source: scikit-learn's `balanced_accuracy_score`.

    Examples:
        Binary, from probabilities:

        >>> metric = BalancedAccuracy()
        >>> metric.update_state([0, 1, 1, 0, 1], [0.1, 0.9, 0.3, 0.8, 0.7])
        >>> round(float(metric.result()), 4)
        0.5833

        Classes, from ids or from scores `(..., num_classes)`:

        >>> metric = BalancedAccuracy(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.8333

        Labels that may hold at once:

        >>> metric = BalancedAccuracy(task="multilabel", num_labels=2)
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
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "balanced_accuracy",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index
        )
        super().__init__(record, zero_division, name, dtype, intervals, hits_only=True)

    def score(self, table: CountTable) -> Tensor:
        """Return the mean recall."""
        hits, all_of = table.tp, table.tp + table.fn
        zero_division = self.zero_division
        if self.task == "multiclass":
            present = ops.cast(all_of > 0, "float32")
            for ignored in self.record.ignored:
                here = ops.equal(ops.arange(all_of.shape[0]), ignored)
                present = ops.where(here, 0.0, present)
            recall = ratio(hits, all_of, 0.0)
            return ratio(ops.sum(present * recall), ops.sum(present), zero_division)
        hits = ops.stack([hits, table.tn])
        all_of = ops.stack([all_of, table.tn + table.fp])
        classes = ops.sum(ops.cast(all_of > 0, "float32"), axis=0)
        recall = ops.sum(ratio(hits, all_of, 0.0), axis=0)
        return ops.mean(ratio(recall, classes, zero_division))

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the mean recall."""
        table = self.count_table(state)
        if self._counts.has_invalid(state):
            return undefined(level)
        if self.task != "multiclass":
            return balanced(table, level)
        present = (table.counts[TP] + table.counts[FN] > 0.0).astype("float64")
        present[[at for at in self.record.ignored if 0 <= at < present.size]] = 0.0
        return averaged_ratio(
            table, RECALL, present, by_size=False, empty=np.nan, level=level
        )


@keras.saving.register_keras_serializable("multiback")
class HammingDistance(RatioMetric):
    """The Hamming distance: the share of predictions that are wrong.

    Formula: "binary" and "multilabel" `(fp + fn) / (tp + fp + tn + fn)` over elements;
    "multiclass" `fn / (tp + fn)`.

    Use it for labels that may hold at once, where it counts each wrong label. It is
    1 - `Accuracy` of the same task and average.

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
        classes: A class id or label, or a list of them: the value is of these only.
            "binary", and "multiclass" with `average="micro"`, is one number for all
            classes and refuses it: use `Recall`.
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

    Source: scikit-learn's `hamming_loss` (micro); torchmetrics' `HammingDistance`.

    Examples:
        Binary, from probabilities:

        >>> metric = HammingDistance()
        >>> metric.update_state([0, 1, 1, 0, 1], [0.1, 0.9, 0.3, 0.8, 0.7])
        >>> round(float(metric.result()), 4)
        0.4

        Classes, from ids or from scores `(..., num_classes)`:

        >>> metric = HammingDistance(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.1667

        Labels that may hold at once:

        >>> metric = HammingDistance(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> round(float(metric.result()), 4)
        0.25
    """

    direction = "min"
    averages_of_hits = _ALL_BUT_MACRO

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
        name: str = "hamming_distance",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        check_has_classes(record, average)
        super().__init__(record, average, zero_division, name, dtype, intervals)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return the wrong elements, and all elements."""
        if self.task == "multiclass":
            return table.fn, table.tp + table.fn
        wrong = table.fp + table.fn
        return wrong, wrong + table.tp + table.tn
