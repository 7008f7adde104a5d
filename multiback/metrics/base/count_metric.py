"""The shells of all metrics over counts: what they share but the formula."""

import abc
import math
from typing import Any, ClassVar, Literal

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import (
    average_ratio,
    check_average,
    check_zero_division,
)
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import (
    as_integer,
    as_plain,
    check_from_logits,
    check_ignore_index,
    is_real,
    refuse_unknown,
)
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.class_hits import ClassHits
from multiback.metrics.statistics.counts import Counts, CountTable
from multiback.metrics.statistics.statistic import State
from multiback.metrics.statistics.task_counts import (
    BinaryCounts,
    MulticlassCounts,
    MultilabelCounts,
)

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
    if not is_real(threshold) or not 0.0 <= threshold <= 1.0:
        raise ArgumentError(
            f"threshold= wants a probability in [0, 1], not {threshold!r}; with "
            "from_logits=True it stays a probability."
        )
    check_ignore_index(ignore_index)
    check_from_logits(from_logits)
    wanted = {"binary": None, "multiclass": "num_classes", "multilabel": "num_labels"}
    if not isinstance(task, str) or task not in wanted:
        raise ArgumentError(
            f'task= wants "binary", "multiclass" or "multilabel", not {task!r}.'
        )
    for name, value in (("num_classes", num_classes), ("num_labels", num_labels)):
        smallest = 2 if name == "num_classes" else 1
        if wanted[task] == name:
            as_integer(name, value, smallest, f'task="{task}" ')
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


class CountMetric(PairMetric):
    """A formula over counts; subclasses write `score`.

    Args:
        counts: What is counted.
        arguments: The constructor's arguments, for `get_config`.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        counts: Counts,
        arguments: dict[str, Any],
        *,
        name: str,
        dtype: str | None = None,
    ) -> None:
        super().__init__(counts, name=name, dtype=dtype)
        self._counts = counts
        self.arguments = arguments

    @abc.abstractmethod
    def score(self, table: CountTable) -> Tensor:
        """Return the metric's value for counts that hold no invalid label."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        table = self._counts.read(state)
        return namespace(table.invalid).where(
            table.invalid > 0, float("nan"), self.score(table)
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


class TaskMetric(CountMetric):
    """A formula over true and false positives and negatives of a task.

    Args:
        task: "binary", "multiclass" (one class holds) or "multilabel" (each of
            several labels may hold).
        hits_only: Set by subclasses whose formula for classes reads no false
            positives and no true negatives, which cost most of the time.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
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
            "multiclass": `(..., num_classes)`, or integer ids `(...)`. Integers of
            the shape of `y_true` are ids: give the argmax of one-hot predictions.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is not usable, or the shapes do not fit together.
            Values never raise: an unknown label makes the result NaN, and a warning
            says so.
    """

    def __init__(
        self,
        task: Task = "binary",
        hits_only: bool = False,
        /,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str,
        dtype: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        check_zero_division(zero_division)
        arguments = as_plain(
            {
                "num_classes": num_classes,
                "num_labels": num_labels,
                "threshold": threshold,
                "from_logits": from_logits,
                "ignore_index": ignore_index,
            }
        )
        counts = counts_for_task(task, **arguments)
        if hits_only and isinstance(counts, MulticlassCounts):
            counts = ClassHits(counts.num_classes, counts.ignore_index)
        arguments = {"task": task, **arguments, "zero_division": zero_division}
        super().__init__(counts, arguments, name=name, dtype=dtype)

    @property
    def task(self) -> Task:
        """The task, as it was given."""
        task: Task = self.arguments["task"]
        return task

    def average(
        self, numerator: Tensor, denominator: Tensor, table: CountTable, how: Average
    ) -> Tensor:
        """Average a ratio of columns by the task's rules."""
        multiclass = self.task == "multiclass"
        return average_ratio(
            numerator,
            denominator,
            table,
            average="micro" if self.task == "binary" else how,
            zero_division=self.arguments["zero_division"],
            exclusive=multiclass,
            ignored_column=self.arguments["ignore_index"] if multiclass else None,
        )


class RatioMetric(TaskMetric):
    """A ratio of counts, averaged over classes or labels; subclasses say which.

    Args:
        task: As for `TaskMetric`, whose other arguments and shapes hold too.
        average: Over classes or labels: "micro" (add the counts first), "macro"
            (plain mean; classes that do not occur are left out), "weighted" (by
            the number of true elements) or None (one value each, which cannot
            be monitored). A binary task has one value and ignores it.
        **arguments: Those of `TaskMetric`.
    """

    # Averages for which the formula for classes reads true positives and false
    # negatives alone.
    averages_of_hits: ClassVar[frozenset[str | None]] = frozenset()

    def __init__(
        self, task: Task = "binary", *, average: Average = "macro", **arguments: Any
    ) -> None:
        check_average(average)
        hits_only = average in self.averages_of_hits
        super().__init__(task, hits_only, **arguments)
        self.arguments["average"] = average

    @abc.abstractmethod
    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return the numerator and the denominator of each column.

        By arithmetic alone: the table may hold tensors or NumPy arrays.
        """

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the metric's value for a state of NumPy arrays."""
        if self.task != "binary" or type(self).score is not RatioMetric.score:
            return self.compute(state)
        # Of four cells, which take Python less time than NumPy's first operation.
        high, low = state["counts"].tolist()
        weights = zip(*state["weighted"].tolist(), strict=True)
        tp, fp, tn, fn = (
            h * exact.COUNT_BASE + n + sum(w)
            for h, n, w in zip(high, low, weights, strict=True)
        )
        invalid = 0
        if self.statistic.unusable(state):
            invalid = self._counts.invalid(state)
        if invalid > 0:
            return math.nan
        numerator, denominator = self.fraction(CountTable(tp, fp, tn, fn, invalid))
        if denominator == 0:
            return self.arguments["zero_division"]
        return numerator / denominator

    def compute_in_step(self, state: State, kernels: Any) -> Tensor | None:
        """Return the ratio of a binary task."""
        if self.task != "binary" or type(self).score is not RatioMetric.score:
            return None
        zero_division: float = self.arguments["zero_division"]
        return kernels.ratio_of_two_classes(state, self.fraction, zero_division)

    def score(self, table: CountTable) -> Tensor:
        """Return the average ratio."""
        numerator, denominator = self.fraction(table)
        how: Average = self.arguments["average"]
        return self.average(numerator, denominator, table, how)
