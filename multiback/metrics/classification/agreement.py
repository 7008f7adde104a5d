"""Agreement beyond chance: MCC and kappa.

Neither score multiplies counts: torchmetrics' products overflow float32 from about 6e9
samples, where its MCC becomes 0.0. Both are computed from the shares of each class,
where only the true difference cancels.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import check_zero_division
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.count_metric import TaskMetric
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import check_flag
from multiback.metrics.inputs.task import ClassTask, Ids, Task, TaskName
from multiback.metrics.intervals.delta import kappa, matthews
from multiback.metrics.intervals.interval import Interval, sum_of_words, undefined
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.confusion import confusion_for_task
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.statistic import State, Tensor

NO_SHARE = 2.0**-20
_KAPPA_OF_LABELS = (
    "Kappa compares raters who give each element one class with what chance would make "
    "of their shares of classes; labels that hold side by side have such shares one by "
    'one. Give each label its own CohenKappa("binary") on its own column of y_true and '
    "y_pred."
)


def _shares(table: CountTable, task: TaskName) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return tp, fp, tn, fn of every class as shares of all elements."""
    cells = ops.stack([table.tp, table.fp, table.tn, table.fn])
    if task == "multilabel":  # Every label of every row is an element.
        cells = ops.sum(cells, axis=1, keepdims=True)
    if task != "multiclass":  # Of class 0: tn, fn, tp, fp.
        other = ops.stack([cells[2], cells[3], cells[0], cells[1]])
        cells = ops.concatenate([cells, other], axis=1)
    total = ops.sum(cells[:, 0])
    cells = cells / ops.where(ops.equal(total, 0.0), 1.0, total)
    return cells[0], cells[1], cells[2], cells[3]


@keras.saving.register_keras_serializable("multiback")
class MatthewsCorrelation(TaskMetric):
    """The Matthews correlation coefficient (MCC) of labels and predictions.

    Formula: `(sum(c) - sum(t p)) / sqrt((1 - sum(p^2)) (1 - sum(t^2)))` with the shares
    t of labels, p of predictions and c of hits of each class.

    Use it where classes are of unequal size and all four cells of the confusion matrix
    matter. Where all labels or all predictions are of one class it is `zero_division`.
    A NaN score predicts the wrong one of 0 and 1, and for classes one of its own.
    Several labels are one binary problem in which each label of each row is an element;
    for a correlation of each label, give each column a metric of its own.

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
        ignore_index: A label, or a list of them, whose elements are left out.
        zero_division: Value where the correlation is not defined: 0, 1 or NaN.
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

    Source: scikit-learn's `matthews_corrcoef` (Gorodkin 2004); for several labels
    torchmetrics' `MultilabelMatthewsCorrCoef`, which is scikit-learn's of all labels in
    one column.

    Examples:
        Binary, from probabilities:

        >>> metric = MatthewsCorrelation()
        >>> metric.update_state([0, 1, 1, 0, 1], [0.1, 0.9, 0.3, 0.8, 0.7])
        >>> round(float(metric.result()), 4)
        0.1667

        Classes, from ids or from scores `(..., num_classes)`:

        >>> metric = MatthewsCorrelation(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.7

        Labels that may hold at once:

        >>> metric = MatthewsCorrelation(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> round(float(metric.result()), 4)
        0.5774
    """

    value_range = (-1.0, 1.0)

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
        name: str = "matthews_correlation",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index
        )
        super().__init__(record, zero_division, name, dtype, intervals)

    def score(self, table: CountTable) -> Tensor:
        """Return the correlation."""
        tp, fp, tn, fn = _shares(table, self.task)
        covariance = ops.sum(tp * tn - fp * fn)
        predicted = ops.sum((tp + fp) * (tn + fn))
        # NaN predictions are one class of their own. A smaller value may be a rounding
        # of huge counts.
        none = ops.sum(fn) - ops.sum(fp)
        none = ops.where(none > NO_SHARE, none, 0.0)
        predicted = predicted + none * (1.0 - none)
        labels = ops.sum((tp + fn) * (tn + fp))
        # One root each: the product of two small numbers would underflow.
        spread = ops.sqrt(predicted) * ops.sqrt(labels)
        value = ratio(covariance, spread, self.zero_division)
        return ops.clip(value, -1.0, 1.0)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the correlation."""
        table = self.count_table(state)
        if self._counts.has_invalid(state):
            return undefined(level)
        if self.task == "multilabel":
            table = table.pooled()
        if self.task != "multiclass":
            table = table.with_reverse()
        return matthews(table, level)


@keras.saving.register_keras_serializable("multiback")
class CohenKappa(PairMetric):
    """Cohen's kappa: agreement of labels and predictions beyond that of chance.

    Formula: `1 - sum(w o) / sum(w e)`, where o are the shares of the confusion matrix,
    e those that independent rows and columns would have, and w what a confusion of
    class i with class j costs.

    Use it to compare raters, or with `weights` for ordered classes such as grades.
    Where chance cannot disagree it is `zero_division`. An element whose score is NaN
    agrees with no class; with `weights` it costs as much as the worst confusion. Kappa
    is of raters who give each element one class, so that it has no "multilabel": give
    each label a metric of its own.

    Args:
        task: "binary" (each element is 0 or 1) or "multiclass" (each element has one
            class). None, the default, takes "binary" if the first `y_pred` is a vector
            or has a last axis of 1, and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        regression: Whether `y_pred` holds one number an element, such as a regressed
            grade, which is rounded to the nearest class, a half to the even one. Wants
            "multiclass".
        weights: Cost of a confusion: None (all cost the same), "linear" (`|i - j|`) or
            "quadratic" (`(i - j)^2`).
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        zero_division: Value where chance cannot disagree: 0, 1 or NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
        y_pred: Scores of any float dtype. "binary": the shape of `y_true`.
            "multiclass": `(..., num_classes)`, or integer class ids `(...)`; with
            `regression=True` numbers `(...)` or `(..., 1)`.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `cohen_kappa_score`.

    Examples:
        Binary:

        >>> metric = CohenKappa()
        >>> metric.update_state([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.7])
        >>> float(metric.result())
        0.5

        Ordered classes:

        >>> metric = CohenKappa(task="multiclass", num_classes=3, weights="quadratic")
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> round(float(metric.result()), 4)
        0.8

        Grades that a model regresses: the quadratic weighted kappa (QWK).

        >>> metric = CohenKappa(
        ...     task="multiclass", num_classes=3, regression=True, weights="quadratic"
        ... )
        >>> metric.update_state([0, 1, 2, 2], [-0.3, 1.2, 2.7, 1.4])
        >>> round(float(metric.result()), 4)
        0.8
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    instead: ClassVar[Mapping[str, str]] = {"num_labels": _KAPPA_OF_LABELS}

    def __init__(
        self,
        task: ClassTask | None = None,
        *,
        num_classes: int | None = None,
        regression: bool = False,
        weights: Literal["linear", "quadratic"] | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "cohen_kappa",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if str(task) == "multilabel":
            raise ArgumentError(
                f'task= wants "binary" or "multiclass", not {task!r}. '
                + _KAPPA_OF_LABELS
            )
        check_zero_division(zero_division)
        if weights not in (None, "linear", "quadratic"):
            raise ArgumentError(
                f'weights= wants None, "linear" or "quadratic", not {weights!r}.'
            )
        self.record: Task = Task(
            task,
            num_classes,
            None,
            threshold,
            from_logits,
            ignore_index,
            allowed=("binary", "multiclass"),
        )
        regression = check_flag("regression", regression)
        if regression and self.record.kind != "multiclass":
            raise ArgumentError(
                'regression=True wants task="multiclass" and num_classes=, the classes '
                f"that numbers are rounded to, not task={task!r}."
            )
        self._confusion = confusion_for_task(self.record, rounded=regression)
        super().__init__(self._confusion, name=name, dtype=dtype, intervals=intervals)
        self.weights = weights
        self.zero_division = float(zero_division)

    def compute(self, state: State) -> Tensor:
        """Return kappa of a state."""
        matrix, invalid = self._confusion.read(state)
        classes = self._confusion.classes
        total = ops.sum(matrix)
        shares = matrix / ops.where(ops.equal(total, 0.0), 1.0, total)
        columns = ops.arange(classes + 1, dtype="float32")
        apart = ops.abs(columns[:classes, None] - columns[None, :])
        kind = self.weights
        if kind is None:
            cost = ops.cast(apart > 0, "float32")
        else:
            nowhere = ops.equal(columns, float(classes))
            apart = ops.where(nowhere, float(classes - 1), apart)
            cost = apart if kind == "linear" else ops.square(apart)
        by_chance = ops.sum(shares, axis=1)[:, None] * ops.sum(shares, axis=0)[None, :]
        observed, expected = ops.sum(cost * shares), ops.sum(cost * by_chance)
        # Without disagreement by chance 1 - 0/0 has to be zero_division.
        value = 1.0 - ratio(observed, expected, 1.0 - self.zero_division)
        return ops.where(invalid > 0, float("nan"), value)

    def class_rows(self, state: State) -> Any:
        """Return the effective rows of each class."""
        counts, squares = self._cells(state)
        with np.errstate(all="ignore"):
            rows = np.sum(counts, axis=1) ** 2 / np.sum(squares, axis=1)
        kept = [at for at in range(rows.size) if at not in self.record.ignored]
        return np.nan_to_num(rows)[kept]

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of kappa."""
        if self._confusion.has_invalid(state):
            return undefined(level)
        counts, squares = self._cells(state)
        classes, columns = counts.shape
        apart = np.abs(np.arange(classes)[:, None] - np.arange(columns)[None, :])
        apart[:, -1] = classes - 1  # No prediction costs as much as the worst one.
        cost = {None: apart > 0, "linear": apart, "quadratic": apart**2}[self.weights]
        return kappa(counts, squares, cost.astype("float64"), level)

    def _cells(self, state: State) -> tuple[Any, Any]:
        """Return the counts of all pairs, and the sums of squared weights."""
        counts = exact.count_to_float(state["counts"])
        shape = (self._confusion.classes, self._confusion.classes + 1)
        parts = (counts + sum_of_words(state[key]) for key in ("weighted", "squares"))
        weighted, squares = (part.reshape(shape) for part in parts)
        return weighted, squares
