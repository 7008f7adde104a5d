"""A confusion matrix, counted exactly."""

import dataclasses

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given, two_class_batch
from multiback.metrics.inputs.classes import class_batch, rounded_batch
from multiback.metrics.inputs.task import Ids, Task
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.by_id import count_ids, sum_by_id
from multiback.metrics.statistics.counts import LabelCells, score_threshold
from multiback.metrics.statistics.statistic import Tensor, explain_classes


@dataclasses.dataclass(frozen=True)
class ConfusionCounts(LabelCells):
    """Count each pair of a label and a prediction.

    A score that is NaN predicts no class: such elements fill a last column, so that
    a row still adds up to the number of its labels. There is one matrix a label;
    with `rounded`, predictions are numbers, rounded to the nearest class.
    """

    num_classes: int | None = None
    num_labels: int | None = None
    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: Ids = None
    rounded: bool = False

    @property
    def classes(self) -> int:
        """Number of rows."""
        return self.num_classes or 2

    @property
    def cells(self) -> int:
        """Number of pairs, with the column of no prediction, in all matrices."""
        return (self.num_labels or 1) * self.classes * (self.classes + 1)

    @property
    def probabilities(self) -> bool:
        """Whether the threshold is compared with probabilities."""
        return self.num_classes is None and not self.from_logits

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)` class ids, or `(N, num_labels)`."""
        if self.num_classes is not None and self.rounded:
            return rounded_batch(given, self.ignore_index, self.num_classes)
        if self.num_classes is not None:
            return class_batch(
                given, self.ignore_index, self.num_classes, float_ids=True
            )
        batch = two_class_batch(given, self.ignore_index, self.num_labels)
        threshold = score_threshold(self.threshold, from_logits=self.from_logits)
        above = ops.cast(batch.predictions > threshold, "int32")
        return dataclasses.replace(batch, predictions=above)

    def count(self, batch: Batch) -> list[Tensor]:
        """Return one vector of all pairs, matrix by matrix and row by row."""
        n = self.classes
        predicted = ops.where(
            batch.hopeless, ops.full_like(batch.predictions, n), batch.predictions
        )
        ids = batch.labels * (n + 1) + predicted
        if self.num_labels is not None:
            ids = ids + n * (n + 1) * ops.arange(self.num_labels, dtype="int32")
        ids = ops.where(batch.valid, ids, ops.full_like(ids, self.cells))
        ids = ops.reshape(ids, (-1,))
        if batch.weights is None:
            return [count_ids(ids, self.cells + 1)[:-1]]
        # An excluded element's weight may be NaN.
        weights = ops.where(batch.valid, batch.weights, 0.0)
        weights = ops.reshape(weights, (-1,))
        return [sum_by_id(ids, weights, self.cells + 1)[:-1]]

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        return explain_classes(self.num_classes)

    def read(self, state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the matrix `(classes, classes + 1)`, and the invalid, in float32.

        For labels it is `(num_labels, 2, 3)`.
        """
        cells = exact.count_to_float(state["counts"]) + exact.sum_to_float(
            state["weighted"]
        )
        shape: tuple[int, ...] = (self.classes, self.classes + 1)
        if self.num_labels is not None:
            shape = (self.num_labels, *shape)
        return ops.reshape(cells, shape), self.invalid(state)


def confusion_for_task(task: Task, *, rounded: bool = False) -> ConfusionCounts:
    """Return the statistic that counts pairs of labels and predictions for a task."""
    return ConfusionCounts(
        task.num_classes,
        task.num_labels,
        task.threshold,
        task.from_logits,
        task.ignore_index,
        rounded,
    )
