"""Counts of rows that are completely right."""

import dataclasses
from typing import Any

from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.batch import Batch, Given, two_class_batch
from multiback.metrics.inputs.classes import class_batch
from multiback.metrics.inputs.task import Ids
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.counts import Counts, score_threshold
from multiback.metrics.statistics.sample_ratios import elements_of_row
from multiback.metrics.statistics.statistic import Tensor, explain_classes


@dataclasses.dataclass(frozen=True)
class ExactMatchCounts(Counts):
    """Count rows whose elements are all right (`tp`), and the others (`fn`).

    An element that is masked or ignored does not spoil its row; a row of nothing
    else is left out. One unknown label makes its row invalid.
    """

    num_classes: int | None = None
    num_labels: int | None = None
    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: Ids = None

    @property
    def columns(self) -> int:
        """One column: all rows."""
        return 1

    @property
    def probabilities(self) -> bool:
        """Whether the threshold is compared with probabilities."""
        return self.num_classes is None and not self.from_logits

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N, elements a row)` with a weight a row."""
        elements: Any
        if self.num_labels is not None:
            batch = two_class_batch(given, self.ignore_index, self.num_labels)
            elements = self.num_labels
            threshold = score_threshold(self.threshold, from_logits=self.from_logits)
            above = ops.cast(batch.predictions > threshold, "int32")
            right = ops.equal(above, batch.labels)
        else:
            batch = class_batch(given, self.ignore_index, self.num_classes or 0)
            elements = elements_of_row(batch, given.y_true)
            right = ops.equal(batch.predictions, batch.labels)
        right = ops.logical_and(right, ops.logical_not(batch.hopeless))
        rows = (-1, elements)
        return dataclasses.replace(
            batch,
            predictions=ops.reshape(right, rows),
            valid=ops.reshape(batch.valid, rows),
            wrong=ops.reshape(batch.wrong, rows),
            weights=_row_weights(given.sample_weight, batch.weights, rows),
            labels=ops.reshape(batch.labels, rows),
            hopeless=ops.reshape(batch.hopeless, rows),
        )

    def count(self, batch: Batch) -> list[Tensor]:
        """Return four scalars."""
        counts = ops.logical_and(
            ops.any(batch.valid, axis=1), ops.logical_not(ops.any(batch.wrong, axis=1))
        )
        spoilt = ops.any(
            ops.logical_and(batch.valid, ops.logical_not(batch.predictions)), axis=1
        )
        hit = ops.logical_and(counts, ops.logical_not(spoilt))
        miss = ops.logical_and(counts, spoilt)
        if batch.weights is None:
            tp, fn = (ops.sum(ops.cast(rows, "int32")) for rows in (hit, miss))
        else:
            weights = ops.where(ops.stack([hit, miss]), batch.weights, 0.0)
            tp, fn = ops.unstack(exact.sum_to_float(exact.batch_sum(weights)), 2)
        return [tp, ops.zeros_like(tp), ops.zeros_like(tp), fn]

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        return explain_classes(self.num_classes)


def _row_weights(
    sample_weight: Tensor | None, weights: Tensor | None, rows: tuple[int, Any]
) -> Tensor | None:
    if weights is None:
        return None
    shape = tuple(ops.convert_to_tensor(sample_weight).shape)
    if any(size != 1 for size in shape[1:]):
        raise ArgumentError(
            f"sample_weight has shape {shape}; ExactMatch wants one number a row."
        )
    return ops.reshape(weights, rows)[:, 0]
