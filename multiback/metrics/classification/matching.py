"""Whole rows that match, and labels among the best scores."""

import numbers
from typing import Any, Literal

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import (
    average_ratio,
    check_average,
    check_zero_division,
    ratio,
)
from multiback.metrics.base.count_metric import Average, CountMetric, counts_for_task
from multiback.metrics.inputs.arguments import (
    as_integer,
    as_plain,
    check_ignore_index,
    is_real,
)
from multiback.metrics.statistics.counts import CountTable
from multiback.metrics.statistics.row_counts import ExactMatchCounts, TopKCounts

Tensor = Any


@keras.saving.register_keras_serializable("multiback")
class TopKAccuracy(CountMetric):
    """How often the label is among the `top_k` best scores.

    Equal scores rank by index, the first one best, as `argmax` does. A row with
    a NaN score is never a hit.

    Args:
        num_classes: Number of classes, at least 2.
        top_k: How many of the best scores count.
        average: Over classes: "micro" (all elements alike), "macro" (plain mean
            over classes that have a label), "weighted" (the same as "micro") or
            None (one value each, which cannot be monitored).
        ignore_index: Elements with this label are left out, and the class leaves
            the mean.
        zero_division: Value without any element: 0, 1 or NaN.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Call arguments:
        y_true: Class ids `(...)` or one-hot `(..., num_classes)`.
        y_pred: Scores `(..., num_classes)`, probabilities or logits alike.
        sample_weight: One number a sample or an element, or None.

    Source: scikit-learn's `top_k_accuracy_score` where no scores are equal; with
    ties that one ranks the last index best.

    Example:
    >>> metric = TopKAccuracy(num_classes=3, top_k=2)
    >>> metric.update_state([0, 2], [[0.3, 0.6, 0.1], [0.4, 0.4, 0.2]])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        top_k: int = 5,
        *,
        average: Average = "micro",
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str = "top_k_accuracy",
        dtype: str | None = None,
    ) -> None:
        check_average(average)
        check_zero_division(zero_division)
        num_classes = as_integer("num_classes", num_classes, 2)
        whole = isinstance(top_k, numbers.Integral) and is_real(top_k)
        if not whole or not 1 <= top_k <= num_classes:
            raise ArgumentError(
                f"top_k= wants an integer from 1 to num_classes={num_classes}, not "
                f"{top_k!r}."
            )
        check_ignore_index(ignore_index)
        arguments = as_plain(
            {
                "num_classes": num_classes,
                "top_k": top_k,
                "average": average,
                "ignore_index": ignore_index,
                "zero_division": zero_division,
            }
        )
        counts = TopKCounts(num_classes, int(top_k), arguments["ignore_index"])
        super().__init__(counts, arguments, name=name, dtype=dtype)

    def score(self, table: CountTable) -> Tensor:
        """Return the average share of hits."""
        return average_ratio(
            table.tp,
            table.tp + table.fn,
            table,
            average=self.arguments["average"],
            zero_division=self.arguments["zero_division"],
            exclusive=True,
            ignored_column=self.arguments["ignore_index"],
        )


@keras.saving.register_keras_serializable("multiback")
class ExactMatch(CountMetric):
    """How often everything in a row is right at once.

    An element that is masked or has the label `ignore_index` does not spoil its
    row; a row of nothing else is left out.

    Args:
        task: "multilabel" (a row is the last axis) or "multiclass" (a row is
            everything but the first axis, such as the tokens of a sequence).
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        threshold: A probability above it, not equal to it, is positive.
        from_logits: `y_pred` holds logits. It is never guessed.
        ignore_index: Elements with this label do not matter.
        zero_division: Value without any row: 0, 1 or NaN.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Call arguments:
        y_true: "multilabel": 0 or 1, `(..., num_labels)`. "multiclass": ids
            `(N, ...)` or one-hot `(N, ..., num_classes)`.
        y_pred: "multilabel": the shape of `y_true`. "multiclass": scores
            `(N, ..., num_classes)` or integer ids `(N, ...)`.
        sample_weight: One number a row, or None.

    Source: scikit-learn's `accuracy_score` on multilabel rows; torchmetrics'
    `ExactMatch`.

    Example:
    >>> metric = ExactMatch(num_labels=2)
    >>> metric.update_state([[0, 1], [1, 1]], [[0.2, 0.9], [0.9, 0.3]])
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
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str = "exact_match",
        dtype: str | None = None,
    ) -> None:
        check_zero_division(zero_division)
        if task not in ("multiclass", "multilabel"):
            raise ArgumentError(
                f'task= wants "multiclass" or "multilabel", not {task!r}.'
            )
        arguments = as_plain(
            {
                "num_classes": num_classes,
                "num_labels": num_labels,
                "threshold": threshold,
                "from_logits": from_logits,
                "ignore_index": ignore_index,
            }
        )
        counts_for_task(task, **arguments)  # Checks them.
        counts = ExactMatchCounts(**arguments)
        arguments = {"task": task, **arguments, "zero_division": zero_division}
        super().__init__(counts, arguments, name=name, dtype=dtype)

    def score(self, table: CountTable) -> Tensor:
        """Return the share of rows."""
        zero_division = self.arguments["zero_division"]
        return ratio(table.tp, table.tp + table.fn, zero_division)[0]
