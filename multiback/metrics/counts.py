"""True and false positives and negatives, counted exactly.

Unweighted updates count in integers; weighted ones add up in compensated
float32. Which of the two a batch takes is known while tracing, and a result
reads both, so that weights cost nothing to those who give none.

A NaN score never counts as a hit: the element is counted as a miss of its
label. A label that the task does not know makes every result NaN, and outside
of a compiled step it raises.
"""

import abc
import dataclasses
import math
from typing import Any

import numpy as np
from keras import ops

from multiback.metrics import exact
from multiback.metrics.bins import count_ids, sum_by_id
from multiback.metrics.class_inputs import class_batch
from multiback.metrics.inputs import Batch, two_class_batch
from multiback.metrics.statistic import LabelStatistic, State

Tensor = Any


@dataclasses.dataclass(frozen=True)
class CountTable:
    """What a state says: float32 tensors of shape `(columns,)`.

    A column is a class, a label, or the positive class of a binary task.

    Attributes:
        tp: True positives.
        fp: False positives.
        tn: True negatives.
        fn: False negatives.
        invalid: Scalar, number of elements whose label the task does not know.
    """

    tp: Tensor
    fp: Tensor
    tn: Tensor
    fn: Tensor
    invalid: Tensor


class LabelCells(LabelStatistic):
    """Accumulate any number of counts, and invalid labels."""

    @property
    @abc.abstractmethod
    def cells(self) -> int:
        """Number of counts."""

    @abc.abstractmethod
    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Bring a batch to one shape."""

    @abc.abstractmethod
    def count(self, batch: Batch) -> list[Tensor]:
        """Return the counts of a batch, weighted if it has weights."""

    @abc.abstractmethod
    def explain_labels(self) -> str:
        """Say which labels the task knows."""

    def init(self) -> State:
        """Return the state of no data."""
        shape = (2, self.cells + 1)
        return {
            "counts": ops.zeros(shape, dtype="int32"),
            "weighted": ops.zeros(shape, dtype="float32"),
        }

    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        batch = self.prepare(y_true, y_pred, sample_weight, mask)
        dtype = "int32" if batch.weights is None else "float32"
        invalid = ops.sum(ops.cast(batch.wrong, dtype))
        cells = ops.concatenate(
            [ops.reshape(part, (-1,)) for part in (*self.count(batch), invalid)]
        )
        if batch.weights is None:
            return {**state, "counts": exact.add_to_count(state["counts"], cells)}
        return {**state, "weighted": exact.add_to_sum(state["weighted"], cells)}

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        return {
            "counts": exact.merge_counts(a["counts"], b["counts"]),
            "weighted": exact.merge_sums(a["weighted"], b["weighted"]),
        }

    def invalid(self, state: State) -> Tensor:
        """Return how many elements had a label that the task does not know."""
        last = {key: words[:, -1] for key, words in state.items()}
        return exact.count_to_float(last["counts"]) + exact.sum_to_float(
            last["weighted"]
        )

    def explain_invalid(self, y_true: Tensor, y_pred: Tensor) -> str:
        """Say which labels of a batch are wrong."""
        batch = self.prepare(y_true, y_pred, None, None)
        labels = ops.convert_to_numpy(batch.labels)
        wrong = np.unique(labels[ops.convert_to_numpy(batch.wrong)])
        shown = ", ".join(str(label) for label in wrong[:5])
        return (
            f"y_true holds {shown or 'labels'} (cast to int32) where the task knows "
            f"{self.explain_labels()}. Correct the labels, or pass ignore_index= for "
            "a label that should not count."
        )


class Counts(LabelCells):
    """Accumulate tp, fp, tn and fn for each column; `count` returns the four."""

    @property
    @abc.abstractmethod
    def columns(self) -> int:
        """Number of columns."""

    @property
    def cells(self) -> int:
        """Four a column."""
        return 4 * self.columns

    def read(self, state: State) -> CountTable:
        """Round a state to float32."""
        cells = exact.count_to_float(state["counts"]) + exact.sum_to_float(
            state["weighted"]
        )
        table = ops.reshape(cells[:-1], (4, self.columns))
        return CountTable(table[0], table[1], table[2], table[3], cells[-1])


def score_threshold(threshold: float, *, from_logits: bool) -> float:
    """Move the threshold to where the scores are, which leaves them exact."""
    if not from_logits:
        return threshold
    if threshold in (0.0, 1.0):
        return -math.inf if threshold == 0.0 else math.inf
    return math.log(threshold) - math.log1p(-threshold)


def _count_two_classes(
    batch: Batch, threshold: float, axis: int | None
) -> list[Tensor]:
    """Count elements that are each 0 or 1."""
    positive = ops.equal(batch.labels, 1)
    above = batch.predictions > threshold
    hit = ops.logical_and(ops.equal(above, positive), ops.logical_not(batch.hopeless))
    hit = ops.logical_and(hit, batch.valid)
    miss = ops.logical_and(batch.valid, ops.logical_not(hit))
    negative = ops.logical_not(positive)
    cells = [
        ops.logical_and(hit, positive),
        ops.logical_and(miss, negative),
        ops.logical_and(hit, negative),
        ops.logical_and(miss, positive),
    ]
    if batch.weights is None:
        return [ops.sum(ops.cast(cell, "int32"), axis=axis) for cell in cells]
    zero = ops.zeros_like(batch.weights)
    return [ops.sum(ops.where(cell, batch.weights, zero), axis=axis) for cell in cells]


@dataclasses.dataclass(frozen=True)
class BinaryCounts(Counts):
    """Count one positive class against one negative.

    Args:
        threshold: A probability above it is a positive prediction.
        from_logits: The scores are logits; the threshold stays a probability.
        ignore_index: Elements with this label are left out.

    Example:
    >>> counts = BinaryCounts()
    >>> state = counts.update(counts.init(), [0, 1, 1], [0.2, 0.9, 0.4])
    >>> float(counts.read(state).tp[0]), float(counts.read(state).fn[0])
    (1.0, 1.0)
    """

    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: int | None = None

    @property
    def columns(self) -> int:
        """One: the positive class."""
        return 1

    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Flatten to `(N,)`."""
        return two_class_batch(
            y_true,
            y_pred,
            sample_weight,
            mask,
            ignore_index=self.ignore_index,
            num_labels=None,
        )

    def count(self, batch: Batch) -> list[Tensor]:
        """Return four scalars."""
        threshold = score_threshold(self.threshold, from_logits=self.from_logits)
        return _count_two_classes(batch, threshold, axis=None)

    def explain_labels(self) -> str:
        """Name the two labels."""
        return "0 and 1"


@dataclasses.dataclass(frozen=True)
class MultilabelCounts(Counts):
    """Count each of several labels that may hold at once.

    Args:
        num_labels: Length of the last axis of `y_true` and `y_pred`.
        threshold: A probability above it is a positive prediction.
        from_logits: The scores are logits; the threshold stays a probability.
        ignore_index: Elements with this label are left out.
    """

    num_labels: int
    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: int | None = None

    @property
    def columns(self) -> int:
        """One a label."""
        return self.num_labels

    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Flatten to `(N, num_labels)`."""
        return two_class_batch(
            y_true,
            y_pred,
            sample_weight,
            mask,
            ignore_index=self.ignore_index,
            num_labels=self.num_labels,
        )

    def count(self, batch: Batch) -> list[Tensor]:
        """Return four vectors of shape `(num_labels,)`."""
        threshold = score_threshold(self.threshold, from_logits=self.from_logits)
        return _count_two_classes(batch, threshold, axis=0)

    def explain_labels(self) -> str:
        """Name the two labels."""
        return "0 and 1"


@dataclasses.dataclass(frozen=True)
class MulticlassCounts(Counts):
    """Count each of several classes, of which exactly one holds.

    Args:
        num_classes: Number of classes.
        ignore_index: Elements with this label are left out.
    """

    num_classes: int
    ignore_index: int | None = None

    @property
    def columns(self) -> int:
        """One a class."""
        return self.num_classes

    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Flatten to `(N,)` class ids."""
        return class_batch(
            y_true,
            y_pred,
            sample_weight,
            mask,
            ignore_index=self.ignore_index,
            num_classes=self.num_classes,
        )

    def count(self, batch: Batch) -> list[Tensor]:
        """Return four vectors of shape `(num_classes,)`."""
        n = self.num_classes
        nowhere = ops.full_like(batch.labels, 3 * n)
        hit = ops.logical_and(
            ops.equal(batch.labels, batch.predictions), ops.logical_not(batch.hopeless)
        )
        missed = ops.logical_and(ops.logical_not(hit), ops.logical_not(batch.hopeless))
        # One pass: the label of a hit, the prediction of a miss, the label of a miss.
        label = ops.where(hit, batch.labels, batch.labels + 2 * n)
        predicted = ops.where(missed, batch.predictions + n, nowhere)
        ids = ops.concatenate(
            [
                ops.where(batch.valid, label, nowhere),
                ops.where(batch.valid, predicted, nowhere),
            ]
        )
        if batch.weights is None:
            cells = count_ids(ids, 3 * n + 1)
        else:
            weights = ops.concatenate([batch.weights, batch.weights])
            # A weight that does not count may be NaN.
            weights = ops.where(ops.equal(ids, 3 * n), 0.0, weights)
            cells = sum_by_id(ids, weights, 3 * n + 1)
        tp, fp, fn = cells[:n], cells[n : 2 * n], cells[2 * n : 3 * n]
        tn = ops.sum(tp) + ops.sum(fn) - tp - fp - fn
        return [tp, fp, tn, fn]

    def explain_labels(self) -> str:
        """Give the range of class ids."""
        return f"class ids from 0 to {self.num_classes - 1}, or one-hot rows"
