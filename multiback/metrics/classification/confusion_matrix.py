"""Counts as arrays: the confusion matrix and true and false positives."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics import plots
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.count_metric import TaskMetric
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.task import Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.plots.axes import choose_columns, panels
from multiback.metrics.statistics.confusion import confusion_for_task
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.statistic import State, Tensor


@keras.saving.register_keras_serializable("multiback")
class ConfusionMatrix(PairMetric):
    """The confusion matrix: how often each label (row) was predicted as each class.

    Use it to see which classes are confused. The result is an array, which Keras's logs
    cannot hold: use it in a loop of your own, not in `compile`. An element whose score
    is NaN was predicted as no class and stands in no column. The counts are exact; the
    result is rounded to float32, so exact below 2**24.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        normalize: None (counts), "true" (each row adds up to 1), "pred" (each column
            does) or "all" (the whole matrix does). A row or column without elements is
            0.
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
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

    Result:
        `result()` has shape `(classes, classes)`, and for "multilabel" `(num_labels, 2,
            2)`.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `confusion_matrix` and, without weights an element and
    `normalize`, its `multilabel_confusion_matrix`.

    Examples:
        Binary:

        >>> metric = ConfusionMatrix()
        >>> metric.update_state([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.7])
        >>> [[int(number) for number in row] for row in metric.result()]
        [[1, 1], [0, 2]]

        Classes:

        >>> metric = ConfusionMatrix(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> [[int(number) for number in row] for row in metric.result()]
        [[1, 0, 0], [0, 1, 0], [0, 1, 1]]

        Labels, each with a matrix of its own:

        >>> metric = ConfusionMatrix(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> [[[int(n) for n in row] for row in matrix] for matrix in metric.result()]
        [[[1, 0], [0, 1]], [[0, 0], [1, 1]]]
    """

    direction: ClassVar[Direction | None] = None
    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        normalize: Literal["true", "pred", "all"] | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "confusion_matrix",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if normalize not in (None, "true", "pred", "all"):
            raise ArgumentError(
                f'normalize= wants None, "true", "pred" or "all", not {normalize!r}.'
            )
        self.record: Task = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index
        )
        self._confusion = confusion_for_task(self.record)
        if normalize is None:
            self.never_drawn = (
                "normalize=None returns counts of this data; pass normalize="
            )
        super().__init__(self._confusion, name=name, dtype=dtype, intervals=intervals)
        self.normalize = normalize

    def compute(self, state: State) -> Tensor:
        """Return the matrix of a state."""
        matrix, invalid = self._confusion.read(state)
        axis = {"true": -1, "pred": -2, "all": (-2, -1)}
        how = self.normalize
        seen = matrix[..., :-1]
        if how is not None:
            kept = matrix if how != "pred" else seen
            total = ops.sum(kept, axis=axis[how], keepdims=True)
            seen = ratio(seen, ops.broadcast_to(total, seen.shape), 0.0)
        return ops.where(invalid > 0, float("nan"), seen)

    def plot_state(
        self,
        state: State,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw the matrix, or one a label."""
        matrix = ops.convert_to_numpy(self.compute(state))
        several = self.record.num_labels is not None
        if column is not None and not several:
            raise ArgumentError(
                "column= wants several labels, each with a matrix of its own, but "
                f"{self.name} has one matrix. Leave it out."
            )
        ids = range(self.record.columns)
        rows = choose_columns(ids, len(ids), class_names, column)
        names = list(rows.values())
        if not several:
            return plots.heat_map(matrix, names, names, title=self.name, ax=ax)
        figure: Any = None
        axes: Any = [ax]
        if len(rows) > 1:
            figure, axes = panels(len(rows), ax)
        for place, (row, name) in enumerate(rows.items()):
            title = f"{self.name} of {name}"
            figure, axes[place] = plots.heat_map(
                matrix[row], ("0", "1"), ("0", "1"), title=title, ax=axes[place]
            )
        return figure, axes if len(rows) > 1 else axes[0]


@keras.saving.register_keras_serializable("multiback")
class StatScores(TaskMetric):
    """The counts themselves: tp, fp, tn, fn and support (`tp + fn`).

    Use it to compute a ratio of your own. The result is an array, which Keras's logs
    cannot hold: use it in a loop of your own, not in `compile`. The counts are exact;
    the result is rounded to float32, so exact below 2**24.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: "micro" adds the counts of all classes or labels; None keeps them
            apart. "binary" has one row and ignores it, unless `classes=` asks for both.
        classes: A class id or label, or a list of them: the value is of these only,
            while every element still counts, as with scikit-learn's `labels=`. A list
            with `average=None` gives an array in its order, and a single id a scalar.
            For "binary" 0 is the negative class. None takes all classes, for "binary"
            the positive one.
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        zero_division: Accepted as in the ratios over these counts; nothing is divided
            here.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
            "multilabel": 0 or 1, `(..., num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(..., num_classes)`, or integer class ids `(...)`.
        sample_weight: One number a sample or an element, or None.

    Result:
        `result()` has shape `(5,)`, or `(columns, 5)` for `average=None`.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: torchmetrics' `StatScores`.

    Examples:
        Binary:

        >>> metric = StatScores()
        >>> metric.update_state([0, 1, 1, 1], [0.9, 0.9, 0.3, 0.8])
        >>> [int(number) for number in metric.result()]
        [2, 1, 0, 1, 3]

        Two of several classes:

        >>> metric = StatScores(
        ...     task="multiclass", num_classes=3, average=None, classes=[1, 2]
        ... )
        >>> metric.update_state([0, 1, 2, 2], [0, 1, 2, 1])
        >>> [[int(number) for number in row] for row in metric.result()]
        [[1, 1, 2, 0, 1], [1, 0, 2, 1, 2]]

        Labels, added up:

        >>> metric = StatScores(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.1], [0.9, 0.8]])
        >>> [int(number) for number in metric.result()]
        [2, 0, 1, 1, 3]
    """

    direction = None
    value_range = (0.0, math.inf)

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Literal["micro"] | None = "micro",
        classes: Ids = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "stat_scores",
        dtype: str | None = None,
    ) -> None:
        if average not in ("micro", None):
            raise ArgumentError(f'average= wants "micro" or None, not {average!r}.')
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__(record, zero_division, name, dtype)
        self.average = average

    def score(self, table: CountTable) -> Tensor:
        """Return the counts."""
        table = self.chosen(table)
        columns = [table.tp, table.fp, table.tn, table.fn, table.tp + table.fn]
        scores = ops.stack(columns, axis=-1)
        one_row = self.task == "binary" and self.record.classes is None
        if self.average is None and not one_row and not self.record.is_single:
            return scores
        return ops.sum(scores, axis=0)

    def plot_state(
        self,
        state: State,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw the counts as a table, one row a class."""
        counts = ops.convert_to_numpy(self.compute(state))
        rows = {0: "all"}
        ids: Sequence[int]
        if counts.ndim == 1:
            counts = counts[None]
            ids = ()
        else:
            ids = self.record.chosen or range(len(counts))
        if ids or column is not None:
            rows = choose_columns(ids, self.record.columns, class_names, column)
        return plots.heat_map(
            counts[list(rows)],
            list(rows.values()),
            ("tp", "fp", "tn", "fn", "support"),
            xlabel="",
            ylabel="class",
            title=self.name,
            ax=ax,
        )
