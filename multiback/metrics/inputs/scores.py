"""Scores of each class or label against the rest, for histogram and buffer."""

import dataclasses
from typing import Any

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given, two_class_batch
from multiback.metrics.inputs.classes import score_batch
from multiback.metrics.inputs.task import Ids

Tensor = Any


@dataclasses.dataclass(frozen=True)
class ScoreTask:
    """Which scores are ranked together.

    Attributes:
        num_classes: Number of exclusive classes; each is ranked against the rest. None
            for other tasks.
        num_labels: Number of labels that may hold at once, or None.
        micro: All classes or labels are ranked together.
        together: Which ones are, if not all.
        from_logits: The scores are logits. Those of classes are ranked by their
            softmax, which compares them between rows.
        ignore_index: Elements with this label are left out.
    """

    num_classes: int | None = None
    num_labels: int | None = None
    micro: bool = False
    together: tuple[int, ...] | None = None
    from_logits: bool = False
    ignore_index: Ids = None

    @property
    def columns(self) -> int:
        """How many rankings there are."""
        return 1 if self.micro else self.num_classes or self.num_labels or 1

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)`, `(N, num_labels)`, or `(N,)` with `(N, num_classes)`."""
        if self.num_classes is not None:
            return score_batch(given, self.ignore_index, self.num_classes)
        return two_class_batch(given, self.ignore_index, self.num_labels)

    def ranked(self, batch: Batch) -> Batch:
        """Return elements that are each 0 or 1, `(N,)`, or `(N, columns)`."""
        if self.num_classes is not None:
            batch = _against_rest(batch, self.num_classes)
        if self.micro:
            weights = batch.weights
            batch = dataclasses.replace(
                batch,
                labels=self._together(batch.labels),
                predictions=self._together(batch.predictions),
                valid=self._together(batch.valid),
                weights=None if weights is None else self._together(weights),
            )
        return batch

    def _together(self, columns: Tensor) -> Tensor:
        if self.together is not None:
            columns = ops.take(columns, list(self.together), axis=-1)
        return ops.ravel(columns)

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        if self.num_classes is None:
            return "0 or 1"
        return f"class ids from 0 to {self.num_classes - 1} or one-hot rows"

    def comparable(self, scores: Tensor) -> Tensor:
        """Return rankable scores; NaN for invalid ones."""
        if not self.from_logits:
            outside = ops.logical_or(scores < 0.0, scores > 1.0)
            return ops.where(outside, float("nan"), scores)
        return scores if self.num_classes is None else softmax_logits(scores)


BINARY = ScoreTask()


def _against_rest(batch: Batch, num_classes: int) -> Batch:
    """Give each class a column, in which it is the positive one."""
    classes = ops.arange(num_classes, dtype="int32")
    labels = ops.expand_dims(batch.labels, -1)
    labels = ops.cast(ops.equal(labels, classes), "int32")

    def repeat(column: Tensor) -> Tensor:
        return ops.broadcast_to(ops.expand_dims(column, -1), ops.shape(labels))

    return dataclasses.replace(
        batch,
        labels=labels,
        valid=repeat(batch.valid),
        weights=None if batch.weights is None else repeat(batch.weights),
    )


def softmax_logits(scores: Tensor) -> Tensor:
    """Return `log(p / (1 - p))` of the softmax p of `(N, C)` scores.

    Computed from p, all probabilities near 1 would be equal.
    """
    best = ops.expand_dims(ops.argmax(scores, axis=-1), -1)
    classes = ops.arange(scores.shape[-1], dtype=best.dtype)
    is_best = ops.equal(classes, best)
    rest = ops.logsumexp(ops.where(is_best, -float("inf"), scores), axis=-1)
    # Without `initial` Keras refuses an empty batch on TensorFlow.
    top = ops.max(scores, axis=-1, initial=-float("inf"))
    largest = ops.expand_dims(top - rest, -1)
    # All but the best have a p of at most 1/2, where 1 - p keeps every bit.
    log_p = ops.minimum(scores - ops.expand_dims(ops.logaddexp(top, rest), -1), -0.5)
    others = log_p - ops.log1p(-ops.exp(log_p))
    return ops.where(is_best, largest, others)
