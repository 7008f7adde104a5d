"""Agreement beyond chance: the confusion matrix, MCC and kappa.

Neither score multiplies counts: torchmetrics' products leave float32 at some 6e9
samples, from where on its MCC is 0.0. Both follow from shares of
each class, in which nothing but the true difference cancels.
"""

import math
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import check_zero_division, ratio
from multiback.metrics.base.count_metric import Task, TaskMetric
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.statistics.confusion import confusion_for_task
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.statistic import State

Tensor = Any
NO_SHARE = 2.0**-20
ClassTask = Literal["binary", "multiclass"]


def _shares(table: CountTable, task: Task) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return tp, fp, tn, fn of every class as shares of all elements."""
    cells = ops.stack([table.tp, table.fp, table.tn, table.fn])
    if task == "multilabel":  # Every label of every row is an element.
        cells = ops.sum(cells, axis=1, keepdims=True)
    if task != "multiclass":  # The negative class sees it the other way round.
        other = ops.stack([cells[2], cells[3], cells[0], cells[1]])
        cells = ops.concatenate([cells, other], axis=1)
    total = ops.sum(cells[:, 0])
    cells = cells / ops.where(ops.equal(total, 0.0), 1.0, total)
    return cells[0], cells[1], cells[2], cells[3]


def _check_one_class_holds(task: str) -> None:
    """Raise unless kappa means something for a task."""
    if task in ("binary", "multiclass"):
        return
    why = ""
    if task == "multilabel":
        why = (
            " Kappa compares raters who give each element one class with what chance "
            "would make of their shares of classes; labels that hold side by side "
            'have such shares one by one. Give each label its own CohenKappa("binary")'
            " on its own column of y_true and y_pred."
        )
    raise ArgumentError(f'task= wants "binary" or "multiclass", not {task!r}.{why}')


@keras.saving.register_keras_serializable("multiback")
class MatthewsCorrelation(TaskMetric):
    """The correlation of labels and predictions over all classes.

    With shares t of labels, p of predictions and c of hits:
    `(sum(c) - sum(t p)) / sqrt((1 - sum(p^2)) (1 - sum(t^2)))`. Where all labels or
    all predictions are of one class it is `zero_division`. A NaN score predicts the
    wrong one of 0 and 1, and of classes one of its own. Several labels are one binary
    problem in which each label of each row is an element; for a correlation of each
    label, give each column a metric of its own.

    Args:
        task: "binary", "multiclass" or "multilabel"; shapes and other arguments are
            those of `TaskMetric`.
        name: Name in the logs.
        **arguments: Those of `TaskMetric`.

    Source: scikit-learn's `matthews_corrcoef` (Gorodkin 2004); for several labels
    torchmetrics' `MultilabelMatthewsCorrCoef`, which is scikit-learn's of all labels
    in one column.

    Example:
    >>> metric = MatthewsCorrelation()
    >>> metric.update_state([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.7])
    >>> round(float(metric.result()), 4)
    0.5774
    """

    value_range = (-1.0, 1.0)

    def __init__(
        self,
        task: Task = "binary",
        *,
        name: str = "matthews_correlation",
        **arguments: Any,
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def score(self, table: CountTable) -> Tensor:
        """Return the correlation."""
        tp, fp, tn, fn = _shares(table, self.task)
        covariance = ops.sum(tp * tn - fp * fn)
        predicted = ops.sum((tp + fp) * (tn + fn))
        # What a NaN predicts is a class of its own, the same for all of them. Less
        # than that may be a rounding of huge counts.
        none = ops.sum(fn) - ops.sum(fp)
        none = ops.where(none > NO_SHARE, none, 0.0)
        predicted = predicted + none * (1.0 - none)
        labels = ops.sum((tp + fn) * (tn + fp))
        # One root each: the product of two small numbers would underflow.
        spread = ops.sqrt(predicted) * ops.sqrt(labels)
        value = ratio(covariance, spread, self.arguments["zero_division"])
        return ops.clip(value, -1.0, 1.0)


@keras.saving.register_keras_serializable("multiback")
class CohenKappa(PairMetric):
    """Agreement of labels and predictions beyond that of chance.

    `1 - sum(w o) / sum(w e)`: o are the shares of the confusion matrix, e those
    that independent rows and columns would have, w what a confusion of class i
    with class j costs. Where chance cannot disagree it is `zero_division`. An
    element whose score is NaN agrees with no class; with `weights` it costs as much
    as the worst confusion.

    Args:
        task: "binary" or "multiclass". Kappa is of raters who give an element one
            class each, so that several labels have a kappa each: a metric a column.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Taken for the sake of the error, which says what to do instead.
        weights: None (all confusions cost the same), "linear" (`|i - j|`) or
            "quadratic" (`(i - j)^2`).
        threshold: A probability above it, not equal to it, is positive.
        from_logits: `y_pred` holds logits. It is never guessed.
        ignore_index: Elements with this label are left out.
        zero_division: Value where chance cannot disagree: 0, 1 or NaN.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Shapes are those of `TaskMetric`.

    Source: scikit-learn's `cohen_kappa_score`.

    Example:
    >>> metric = CohenKappa()
    >>> metric.update_state([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.7])
    >>> float(metric.result())
    0.5
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def __init__(
        self,
        task: ClassTask = "binary",
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        weights: Literal["linear", "quadratic"] | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str = "cohen_kappa",
        dtype: str | None = None,
    ) -> None:
        _check_one_class_holds("multilabel" if num_labels is not None else task)
        check_zero_division(zero_division)
        if weights not in (None, "linear", "quadratic"):
            raise ArgumentError(
                f'weights= wants None, "linear" or "quadratic", not {weights!r}.'
            )
        self._confusion, arguments = confusion_for_task(
            task,
            num_classes=num_classes,
            threshold=threshold,
            from_logits=from_logits,
            ignore_index=ignore_index,
        )
        super().__init__(self._confusion, name=name, dtype=dtype)
        self.arguments = {
            **arguments,
            "weights": weights,
            "zero_division": zero_division,
        }

    def compute(self, state: State) -> Tensor:
        """Return kappa of a state."""
        matrix, invalid = self._confusion.read(state)
        classes = self._confusion.classes
        total = ops.sum(matrix)
        shares = matrix / ops.where(ops.equal(total, 0.0), 1.0, total)
        columns = ops.arange(classes + 1, dtype="float32")
        apart = ops.abs(columns[:classes, None] - columns[None, :])
        kind = self.arguments["weights"]
        if kind is None:
            cost = ops.cast(apart > 0, "float32")
        else:
            nowhere = ops.equal(columns, float(classes))
            apart = ops.where(nowhere, float(classes - 1), apart)
            cost = apart if kind == "linear" else ops.square(apart)
        by_chance = ops.sum(shares, axis=1)[:, None] * ops.sum(shares, axis=0)[None, :]
        observed, expected = ops.sum(cost * shares), ops.sum(cost * by_chance)
        # Without disagreement by chance 1 - 0/0 is to be zero_division.
        zero_division = self.arguments["zero_division"]
        value = 1.0 - ratio(observed, expected, 1.0 - zero_division)
        return ops.where(invalid > 0, float("nan"), value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable("multiback")
class ConfusionMatrix(PairMetric):
    """How often each label (row) was predicted as each class (column).

    The result is an array, which Keras's logs cannot hold: use it in a loop of your
    own, not in `compile`. The state is exact; the result is rounded to float32, so
    exact below 2**24. An element whose score is NaN was predicted as no class and
    stands in no column.

    Args:
        task: "binary", "multiclass" or "multilabel", where each label has a matrix
            of its own.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        normalize: None (counts), "true" (each row adds up to 1), "pred" (each
            column does) or "all" (each matrix does). What has nothing to divide by
            is 0.
        threshold: A probability above it, not equal to it, is positive.
        from_logits: `y_pred` holds logits. It is never guessed.
        ignore_index: Elements with this label are left out.
        name: Name of the metric.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Shapes are those of `TaskMetric`; the result is `(classes, classes)`, or
    `(num_labels, 2, 2)`.

    Source: scikit-learn's `confusion_matrix` and, without weights an element and
    `normalize`, its `multilabel_confusion_matrix`.

    Example:
    >>> metric = ConfusionMatrix()
    >>> metric.update_state([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.7])
    >>> [[int(number) for number in row] for row in metric.result()]
    [[1, 1], [0, 2]]
    """

    direction: ClassVar[Direction | None] = None
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __init__(
        self,
        task: Task = "binary",
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        normalize: Literal["true", "pred", "all"] | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: int | None = None,
        name: str = "confusion_matrix",
        dtype: str | None = None,
    ) -> None:
        if normalize not in (None, "true", "pred", "all"):
            raise ArgumentError(
                f'normalize= wants None, "true", "pred" or "all", not {normalize!r}.'
            )
        self._confusion, arguments = confusion_for_task(
            task,
            num_classes=num_classes,
            num_labels=num_labels,
            threshold=threshold,
            from_logits=from_logits,
            ignore_index=ignore_index,
        )
        super().__init__(self._confusion, name=name, dtype=dtype)
        self.arguments = {**arguments, "normalize": normalize}

    def compute(self, state: State) -> Tensor:
        """Return the matrix of a state."""
        matrix, invalid = self._confusion.read(state)
        axis = {"true": -1, "pred": -2, "all": (-2, -1)}
        how = self.arguments["normalize"]
        seen = matrix[..., :-1]
        if how is not None:
            kept = matrix if how != "pred" else seen
            total = ops.sum(kept, axis=axis[how], keepdims=True)
            seen = ratio(seen, ops.broadcast_to(total, seen.shape), 0.0)
        return ops.where(invalid > 0, float("nan"), seen)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}
