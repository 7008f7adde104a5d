"""The shared parts of all metrics over counts, without the formula."""

import abc
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from multiback.metrics.base.averaging import (
    average_ratio,
    check_average,
    check_zero_division,
)
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.task import Average, Task, TaskName
from multiback.metrics.intervals.delta import (
    FN,
    FP,
    TP,
    Coefficients,
    Table,
    averaged_ratio,
    column_ratios,
    pooled_ratio,
)
from multiback.metrics.intervals.interval import Interval, sum_of_words, undefined
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.class_hits import ClassHits
from multiback.metrics.statistics.counts import Counts, CountTable
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.metrics.statistics.task_counts import counts_for_task

Fraction = Callable[[CountTable], tuple[Tensor, Tensor]]


def _coefficients(fraction: Fraction) -> Coefficients:
    """Return what each of the four counts adds to both sides of a ratio."""
    units = (CountTable(tp, fp, tn, fn, 0.0) for tp, fp, tn, fn in np.eye(4))
    rows = [fraction(unit) for unit in units]
    above, below = (
        np.array([row[side] for row in rows], dtype="float64") for side in (0, 1)
    )
    return Coefficients(above, below)


class CountMetric(PairMetric):
    """A formula over counts; subclasses write `score`."""

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        record: Task,
        counts: Counts,
        zero_division: float,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        check_zero_division(zero_division)
        super().__init__(counts, name=name, dtype=dtype, intervals=intervals)
        self._counts = counts
        self.record: Task = record
        self.zero_division = float(zero_division)

    @property
    def task(self) -> TaskName:
        """What is classified; "binary" until it is decided."""
        return self.record.kind

    @abc.abstractmethod
    def score(self, table: CountTable) -> Tensor:
        """Return the metric's value for counts that hold no invalid label."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        table = self._counts.read(state)
        return namespace(table.invalid).where(
            table.invalid > 0, float("nan"), self.score(table)
        )

    def chosen(self, table: CountTable) -> CountTable:
        """Return the columns that `classes=` names, in its order, or all."""
        classes = self.record.chosen
        if classes is None:
            return table
        xp = namespace(table.invalid)
        columns = table.tp, table.fp, table.tn, table.fn
        if self.task == "binary":  # The negative class is the reverse.
            tp, fp, tn, fn = columns
            columns = tuple(
                xp.concatenate(pair)
                for pair in ((tn, tp), (fn, fp), (tp, tn), (fp, fn))
            )
        tp, fp, tn, fn = (xp.take(each, list(classes), axis=0) for each in columns)
        return CountTable(tp, fp, tn, fn, table.invalid)

    def count_table(self, state: State) -> Table:
        """Return the counts and the sums of squared weights of all columns.

        Of a binary task with `classes=` there are two columns: each class once.
        """
        counts = exact.count_to_float(state["counts"])
        shape = (4, self._counts.columns)
        table = Table(
            (counts + sum_of_words(state["weighted"])).reshape(shape),
            (counts + sum_of_words(state["squares"])).reshape(shape),
            exclusive=self.task == "multiclass" and self._counts.columns > 1,
        )
        if self.task == "binary" and self.record.classes is not None:
            return table.with_reverse()
        return table

    def class_rows(self, state: State) -> Any:
        """Return the effective rows of each class that the value is of."""
        table = self.count_table(state)
        if self.task == "binary" and not table.exclusive:
            table = table.with_reverse()
        with np.errstate(all="ignore"):
            rows = (table.counts[TP] + table.counts[FN]) ** 2
            rows = rows / (table.squares[TP] + table.squares[FN])
        rows = np.nan_to_num(rows)
        chosen = self.record.chosen
        if chosen is not None:
            return rows[list(chosen)]
        kept = [at for at in range(rows.size) if at not in self.record.ignored]
        return rows if self.task == "multilabel" else rows[kept]

    def interval_of_ratio(
        self, state: State, level: float, fraction: Fraction, how: Average
    ) -> Interval:
        """Return the interval of a ratio that is averaged as `averaged` does.

        `fraction` returns the numerator and the denominator of each column: sums of
        counts, each times a number. The state is one of NumPy arrays.
        """
        table, ratio = self.count_table(state), _coefficients(fraction)
        record = self.record
        chosen = record.chosen
        if self._counts.has_invalid(state):
            return undefined(level, self._shape(how, table))
        if self._is_plain() or record.is_single or how is None:
            own = table if chosen is None else table.columns(chosen)
            found = column_ratios(own, ratio, level)[0]
            one = self._is_plain() or record.is_single
            return found.first() if one else found
        if how == "micro":
            return pooled_ratio(table, ratio, level, chosen)
        used = np.ones(table.counts.shape[1])
        if how == "weighted":
            used = table.counts[TP] + table.counts[FN]
        elif self.task != "multilabel":
            used = (np.sum(table.counts[[TP, FP, FN]], axis=0) > 0.0).astype("float64")
        if chosen is not None:
            used = np.where(np.isin(np.arange(used.size), chosen), used, 0.0)
        elif self.task == "multiclass":
            used[[at for at in record.ignored if 0 <= at < used.size]] = 0.0
        return averaged_ratio(
            table,
            ratio,
            used,
            by_size=how == "weighted",
            empty=self.zero_division,
            level=level,
        )

    def _is_plain(self) -> bool:
        return self.task == "binary" and self.record.classes is None

    def _shape(self, how: Average, table: Table) -> tuple[int, ...]:
        one = how is not None or self._is_plain() or self.record.is_single
        chosen = self.record.chosen
        return () if one else (len(chosen or range(table.counts.shape[1])),)

    def averaged(
        self, numerator: Tensor, denominator: Tensor, table: CountTable, how: Average
    ) -> Tensor:
        """Average a ratio of the chosen columns by the task's rules."""
        record = self.record
        plain = self.task == "binary" and record.classes is None
        multiclass = self.task == "multiclass" and record.classes is None
        return average_ratio(
            numerator,
            denominator,
            table,
            average="micro" if plain or record.is_single else how,
            zero_division=self.zero_division,
            exclusive=self.task != "multilabel",
            ignored=record.ignored if multiclass else (),
        )


class TaskMetric(CountMetric):
    """A formula over true and false positives and negatives of a task.

    With `hits_only` the formula for classes reads no false positives and no true
    negatives, which take most of the time.
    """

    def __init__(
        self,
        record: Task,
        zero_division: float,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
        *,
        hits_only: bool = False,
    ) -> None:
        counts: Counts = counts_for_task(record)
        if hits_only and record.num_classes is not None:
            counts = ClassHits(record.num_classes, record.ignore_index)
        super().__init__(record, counts, zero_division, name, dtype, intervals)


class RatioMetric(TaskMetric):
    """A ratio of counts, averaged over classes or labels; subclasses say which.

    Args:
        record: What is classified.
        average: Over classes or labels: "micro" (add the counts first), "macro"
            (plain mean; classes that do not occur are left out), "weighted" (by
            the number of true elements) or None (one value each).
        zero_division: Value of a ratio without a denominator: 0, 1 or NaN.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.
        intervals: As for each metric.
    """

    # Averages for which the formula for classes reads true positives and false
    # negatives alone.
    averages_of_hits: ClassVar[frozenset[str | None]] = frozenset()

    def __init__(
        self,
        record: Task,
        average: Average,
        zero_division: float,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        check_average(average)
        hits = average in self.averages_of_hits
        super().__init__(record, zero_division, name, dtype, intervals, hits_only=hits)
        self.average = average

    @abc.abstractmethod
    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return the numerator and the denominator of each column, sums of counts.

        By arithmetic alone: the table may hold tensors or NumPy arrays.
        """

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the metric's value for a state of NumPy arrays."""
        if not self._is_one_ratio():
            return self.compute(state)
        # With four cells Python takes less time than NumPy's first operation.
        high, low = state["counts"].tolist()
        weights = zip(*state["weighted"].tolist(), strict=True)
        tp, fp, tn, fn = (
            h * exact.COUNT_BASE + n + sum(w)
            for h, n, w in zip(high, low, weights, strict=True)
        )
        if self._counts.unusable(state) and self._counts.invalid(state) > 0:
            return math.nan
        numerator, denominator = self.fraction(CountTable(tp, fp, tn, fn, 0))
        return self.zero_division if denominator == 0 else numerator / denominator

    def compute_in_step(self, state: State, kernels: Any) -> Tensor | None:
        """Return the ratio of a binary task."""
        if not self._is_one_ratio():
            return None
        return kernels.ratio_of_two_classes(state, self.fraction, self.zero_division)

    def _is_one_ratio(self) -> bool:
        """Return whether the value is `fraction` of the positive class."""
        return (
            self.task == "binary"
            and self.record.classes is None
            and type(self).score is RatioMetric.score
        )

    def score(self, table: CountTable) -> Tensor:
        """Return the average ratio."""
        table = self.chosen(table)
        numerator, denominator = self.fraction(table)
        return self.averaged(numerator, denominator, table, self.average)

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return the interval of the average ratio."""
        if type(self).score is not RatioMetric.score:
            return super().interval_on_arrays(state, level)
        return self.interval_of_ratio(state, level, self.fraction, self.average)
