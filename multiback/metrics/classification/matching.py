"""Whole rows that match, and labels among the best scores."""

from typing import Any, Literal

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import check_average, check_has_classes
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.count_metric import CountMetric
from multiback.metrics.base.metric import Metric
from multiback.metrics.inputs.arguments import as_integer, is_whole
from multiback.metrics.inputs.task import Average, Ids, Task
from multiback.metrics.intervals.delta import RECALL, column_ratios
from multiback.metrics.intervals.interval import Interval, undefined
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.class_hits import TopKCounts
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.row_counts import ExactMatchCounts
from multiback.metrics.statistics.statistic import State, Tensor


@keras.saving.register_keras_serializable("multiback")
class TopKAccuracy(CountMetric):
    """Top-k accuracy: how often the label is among the `top_k` best scores.

    Formula: `tp / (tp + fn)` for each class, where a hit is a label among the best
    scores.

    Use it for many classes, if a user sees only the first few. Equal scores rank by
    index, the first one best, as `argmax` does. A row with a NaN score is never a hit.

    Args:
        num_classes: Number of classes, at least 2.
        top_k: How many of the best scores count, from 1 to `num_classes`.
        average: How the values of the classes become one: "micro" (all elements alike),
            "macro" (plain mean over classes that have a label), "weighted" (the same as
            "micro") or None (an array of all values).
        classes: A class id, or a list of them: the value is of these only.
            `average="micro"` is one number for all classes and refuses it.
        ignore_index: A label, or a list of them, whose elements are left out. A class
            that is ignored leaves the mean as well.
        zero_division: Value without any element: 0, 1 or NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Class ids `(...)` or one-hot `(..., num_classes)`, of any dtype.
        y_pred: Scores `(..., num_classes)` of any float dtype, probabilities or logits.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `top_k_accuracy_score` where no scores are equal; with ties
    that one ranks the last index best.

    Examples:
        Classes, all alike:

        >>> metric = TopKAccuracy(num_classes=3, top_k=2)
        >>> metric.update_state([0, 2], [[0.3, 0.6, 0.1], [0.4, 0.4, 0.2]])
        >>> float(metric.result())
        0.5

        Each class:

        >>> metric = TopKAccuracy(num_classes=3, top_k=2, average=None)
        >>> metric.update_state(
        ...     [0, 1, 2], [[0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.4, 0.4, 0.2]]
        ... )
        >>> [float(value) for value in metric.result()]
        [1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        num_classes: int,
        top_k: int = 5,
        *,
        average: Average = "micro",
        classes: Ids = None,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "top_k_accuracy",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        check_average(average)
        num_classes = as_integer("num_classes", num_classes, 2)
        if not is_whole(top_k) or not 1 <= top_k <= num_classes:
            raise ArgumentError(
                f"top_k= wants an integer from 1 to num_classes={num_classes}, not "
                f"{top_k!r}."
            )
        record = Task(
            "multiclass", num_classes, ignore_index=ignore_index, classes=classes
        )
        check_has_classes(record, average)
        counts = TopKCounts(num_classes, int(top_k), record.ignore_index)
        super().__init__(record, counts, zero_division, name, dtype, intervals)
        self.average = average

    def score(self, table: CountTable) -> Tensor:
        """Return the average share of hits."""
        table = self.chosen(table)
        return self.averaged(*self.fraction(table), table, self.average)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return the hits, and all elements."""
        return table.tp, table.tp + table.fn

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the average share of hits."""
        return self.interval_of_ratio(state, level, self.fraction, self.average)


@keras.saving.register_keras_serializable("multiback")
class ExactMatch(CountMetric):
    """Exact match: how often everything in a row is right at once.

    Formula: rows in which all is right, divided by rows.

    Use it where a partly right answer is worth nothing. It is also called subset
    accuracy. An element that is masked or has the label `ignore_index` does not spoil
    its row; a row without any other element is left out.

    Args:
        task: "multilabel" (a row is the last axis) or "multiclass" (a row is everything
            but the first axis, such as the tokens of a sequence).
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements do not matter.
        zero_division: Value without any row: 0, 1 or NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "multilabel": 0 or 1,
            `(..., num_labels)`. "multiclass": ids `(N, ...)` or one-hot `(N, ...,
            num_classes)`.
        y_pred: Scores of any float dtype. "multilabel": the shape of `y_true`.
            "multiclass": `(N, ..., num_classes)`, or integer class ids `(N, ...)`.
        sample_weight: One number a row, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: scikit-learn's `accuracy_score` on multilabel rows; torchmetrics'
    `ExactMatch`.

    Examples:
        Labels that may hold at once:

        >>> metric = ExactMatch(num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.9], [0.9, 0.3]])
        >>> float(metric.result())
        0.5

        Sequences of class ids with -1 as padding:

        >>> metric = ExactMatch(task="multiclass", num_classes=3, ignore_index=-1)
        >>> metric.update_state([[0, 1], [2, -1]], [[0, 2], [2, 0]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self,
        task: Literal["multiclass", "multilabel"] = "multilabel",
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "exact_match",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task,
            num_classes,
            num_labels,
            threshold,
            from_logits,
            ignore_index,
            allowed=("multiclass", "multilabel"),
        )
        counts = ExactMatchCounts(
            record.num_classes,
            record.num_labels,
            record.threshold,
            record.from_logits,
            record.ignore_index,
        )
        super().__init__(record, counts, zero_division, name, dtype, intervals)

    def score(self, table: CountTable) -> Tensor:
        """Return the share of rows."""
        return ratio(*self.fraction(table), self.zero_division)[0]

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return the rows that are right, and all rows."""
        return table.tp, table.tp + table.fn

    def class_rows(self, state: State) -> Any:
        """Return no classes: a row has no class of its own."""
        return Metric.class_rows(self, state)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the share of rows."""
        if self._counts.has_invalid(state):
            return undefined(level)
        return column_ratios(self.count_table(state), RECALL, level)[0].first()
