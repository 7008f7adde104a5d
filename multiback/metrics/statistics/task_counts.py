"""The counts of a binary, a multilabel and a multiclass task."""

import dataclasses

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given, two_class_batch
from multiback.metrics.inputs.classes import class_batch
from multiback.metrics.inputs.task import Ids, Task
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.by_id import count_cases, count_ids, sum_by_id
from multiback.metrics.statistics.counts import Counts, score_threshold
from multiback.metrics.statistics.statistic import Tensor, explain_classes


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
    weights = ops.where(ops.stack(cells), batch.weights, ops.zeros_like(batch.weights))
    if axis == 0:
        weights = ops.transpose(weights, (0, 2, 1))
    return list(ops.unstack(exact.sum_to_float(exact.batch_sum(weights)), 4))


@dataclasses.dataclass(frozen=True)
class BinaryCounts(Counts):
    """Count one positive class against one negative.

    Examples:
        >>> counts = BinaryCounts()
        >>> state = counts.update(counts.init(), [0, 1, 1], [0.2, 0.9, 0.4])
        >>> float(counts.read(state).tp[0]), float(counts.read(state).fn[0])
        (1.0, 1.0)
    """

    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: Ids = None

    @property
    def columns(self) -> int:
        """One column: the positive class."""
        return 1

    @property
    def probabilities(self) -> bool:
        """Whether scores are to be probabilities; 0 is a threshold of logits."""
        return not self.from_logits and self.threshold != 0.0

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)`."""
        return two_class_batch(given, self.ignore_index, None)

    def tally(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the four counts, and how many elements are odd."""
        if batch.weights is not None:
            return super().tally(batch)
        threshold = score_threshold(self.threshold, from_logits=self.from_logits)
        scores = batch.predictions
        # A NaN is neither above nor below, and so a miss of either label.
        above = ops.where(scores > threshold, 0, 3)
        below = ops.where(scores <= threshold, 2, 1)
        case = ops.where(ops.equal(batch.labels, 1), above, below)
        if self.probabilities:
            usable = ops.logical_and(scores >= 0.0, scores <= 1.0)
        else:
            usable = ops.equal(scores, scores)
        odd = ops.logical_not(ops.logical_and(usable, batch.valid))
        counted = ops.logical_or(batch.valid, batch.wrong)
        cells = count_cases(case, batch.valid, ops.logical_and(odd, counted))
        return cells[:4], cells[4] > 0

    def count(self, batch: Batch) -> list[Tensor]:
        """Return tp, fp, tn and fn as scalars."""
        threshold = score_threshold(self.threshold, from_logits=self.from_logits)
        return _count_two_classes(batch, threshold, axis=None)

    def explain_labels(self) -> str:
        """Return the labels that the task allows, for a warning."""
        return explain_classes(None)


@dataclasses.dataclass(frozen=True)
class MultilabelCounts(Counts):
    """Count each of several labels that may hold at once, on the last axis."""

    num_labels: int
    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: Ids = None

    @property
    def columns(self) -> int:
        """One column a label."""
        return self.num_labels

    @property
    def probabilities(self) -> bool:
        """Whether scores are to be probabilities; 0 is a threshold of logits."""
        return not self.from_logits and self.threshold != 0.0

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N, num_labels)`."""
        return two_class_batch(given, self.ignore_index, self.num_labels)

    def count(self, batch: Batch) -> list[Tensor]:
        """Return tp, fp, tn and fn, each of shape `(num_labels,)`."""
        threshold = score_threshold(self.threshold, from_logits=self.from_logits)
        return _count_two_classes(batch, threshold, axis=0)

    def explain_labels(self) -> str:
        """Return the labels that the task allows, for a warning."""
        return explain_classes(None)


@dataclasses.dataclass(frozen=True)
class MulticlassCounts(Counts):
    """Count each of several exclusive classes."""

    num_classes: int
    ignore_index: Ids = None

    @property
    def columns(self) -> int:
        """One column a class."""
        return self.num_classes

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)` class ids."""
        return class_batch(given, self.ignore_index, self.num_classes)

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
            # An excluded element's weight may be NaN.
            weights = ops.where(ops.equal(ids, 3 * n), 0.0, weights)
            cells = sum_by_id(ids, weights, 3 * n + 1)
        tp, fp, fn = cells[:n], cells[n : 2 * n], cells[2 * n : 3 * n]
        tn = ops.sum(tp) + ops.sum(fn) - tp - fp - fn
        return [tp, fp, tn, fn]

    def explain_labels(self) -> str:
        """Return the labels that the task allows, for a warning."""
        return explain_classes(self.num_classes)


def counts_for_task(task: Task) -> BinaryCounts | MultilabelCounts | MulticlassCounts:
    """Return the statistic that counts tp, fp, tn and fn for a task."""
    if task.num_classes is not None:
        return MulticlassCounts(task.num_classes, task.ignore_index)
    if task.num_labels is not None:
        return MultilabelCounts(
            task.num_labels, task.threshold, task.from_logits, task.ignore_index
        )
    return BinaryCounts(task.threshold, task.from_logits, task.ignore_index)
