"""How often a class was found: the counts of plain and of top-k accuracy."""

import dataclasses

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given
from multiback.metrics.inputs.classes import hit_batch, top_k_batch
from multiback.metrics.inputs.task import Ids
from multiback.metrics.numeric.by_id import count_ids, sum_by_id
from multiback.metrics.statistics.counts import Counts
from multiback.metrics.statistics.statistic import Tensor, explain_classes


class FoundClasses(Counts):
    """Count, for each class, labels that were found and those that were not.

    `tp` and `fn` hold them; `fp` and `tn` stay 0. Predictions are True where a label is
    found.
    """

    num_classes: int

    @property
    def columns(self) -> int:
        """One column a class."""
        return self.num_classes

    def count(self, batch: Batch) -> list[Tensor]:
        """Return four vectors of shape `(num_classes,)`."""
        n = self.num_classes
        ids = ops.where(batch.predictions, batch.labels, batch.labels + n)
        ids = ops.where(batch.valid, ids, ops.full_like(ids, 2 * n))
        if batch.weights is None:
            cells = count_ids(ids, 2 * n + 1)
        else:
            # An excluded element's weight may be NaN.
            weights = ops.where(batch.valid, batch.weights, 0.0)
            cells = sum_by_id(ids, weights, 2 * n + 1)
        tp, fn = cells[:n], cells[n : 2 * n]
        return [tp, ops.zeros_like(tp), ops.zeros_like(tp), fn]

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        return explain_classes(self.num_classes)


@dataclasses.dataclass(frozen=True)
class ClassHits(FoundClasses):
    """Find labels whose score is the first largest.

    That takes a single run through the scores; which score it is takes several.
    """

    num_classes: int
    ignore_index: Ids = None

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)`."""
        return hit_batch(given, self.ignore_index, self.num_classes)


@dataclasses.dataclass(frozen=True)
class TopKCounts(FoundClasses):
    """Find labels that are among the `top_k` best scores."""

    num_classes: int
    top_k: int
    ignore_index: Ids = None

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)`."""
        return top_k_batch(given, self.ignore_index, self.num_classes, self.top_k)
