"""A histogram of scores for each class: all that ranking metrics need.

The bins are uniform in `asinh(logit / 4)`, so that they are fine around 1/2 and
reach far into both tails; |logit| is clipped at 1e4. No binning is right for every
range of scores, so whatever is computed from it comes with the error that the order
inside of bins could make.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from keras import ops

from multiback.metrics import exact
from multiback.metrics.bins import count_ids, sum_by_id
from multiback.metrics.counts import LabelCells
from multiback.metrics.inputs import Batch
from multiback.metrics.score_inputs import BINARY, ScoreTask
from multiback.metrics.statistic import State

Tensor = Any
Array = np.ndarray[Any, Any]

BINS = 128 * 128
_LARGEST = 1e4
_SCALE = 4.0
_SPAN = math.asinh(_LARGEST / _SCALE)


@dataclasses.dataclass(frozen=True)
class Histogram:
    """What a state says, one row a ranking.

    Attributes:
        negatives: `(columns, bins)` float32, from the lowest scores to the highest.
        positives: The same for label 1.
        undefined: `(columns,)`, not 0 if a score is NaN or a label unknown.
        weighted: Scalar, not 0 if batches came with weights.
        exact: Each bin holds one score, so that what shares a bin ties.
    """

    negatives: Tensor
    positives: Tensor
    undefined: Tensor
    weighted: Tensor
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class ScoreHistogram(LabelCells):
    """Count the scores of each class in bins.

    Args:
        task: Which scores.
        bins: Number of bins.
    """

    task: ScoreTask = BINARY
    bins: int = BINS

    @property
    def cells(self) -> int:
        """For each ranking the bins of both classes, and scores that are NaN."""
        return self.task.columns * (2 * self.bins + 1)

    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Flatten to one row an element."""
        return self.task.prepare(y_true, y_pred, sample_weight, mask)

    def count(self, batch: Batch) -> list[Tensor]:
        """Return one vector; a ranking is bins of label 0, bins of label 1, NaN."""
        logits = self.task.logits(batch.predictions)
        batch = self.task.ranked(dataclasses.replace(batch, predictions=logits))
        logits, bins = batch.predictions, self.bins
        undefined = ops.isnan(logits)
        clipped = ops.clip(ops.where(undefined, 0.0, logits), -_LARGEST, _LARGEST)
        # A logit of 0 lies inside of a bin: on an edge a rounding would part ties.
        place = ops.arcsinh(clipped / _SCALE) * (bins / (2.0 * _SPAN)) + 0.5
        ids = ops.cast(ops.floor(place), "int32") + bins // 2
        ids = ops.clip(ids, 0, bins - 1) + bins * batch.labels
        ids = ops.where(undefined, ops.full_like(ids, 2 * bins), ids)
        if self.task.columns > 1:
            columns = ops.arange(self.task.columns, dtype="int32")
            ids = ids + columns * (2 * bins + 1)
        ids = ops.where(batch.valid, ids, ops.full_like(ids, self.cells))
        ids = ops.reshape(ids, (-1,))
        if batch.weights is None:
            return [count_ids(ids, self.cells + 1)[:-1]]
        # A weight that does not count may be NaN.
        weights = ops.where(batch.valid, batch.weights, 0.0)
        weights = ops.reshape(weights, (-1,))
        return [sum_by_id(ids, weights, self.cells + 1)[:-1]]

    def explain_labels(self) -> str:
        """Name the labels."""
        return self.task.explain_labels()

    def read(self, state: State) -> Histogram:
        """Round a state to float32."""
        weighted = exact.sum_to_float(state["weighted"])
        cells = exact.count_to_float(state["counts"]) + weighted
        table = ops.reshape(cells[:-1], (self.task.columns, 2 * self.bins + 1))
        return Histogram(
            negatives=table[:, : self.bins],
            positives=table[:, self.bins : -1],
            undefined=table[:, -1] + cells[-1],
            weighted=ops.sum(ops.abs(weighted)),
        )

    def edges(self, _state: State) -> Array:
        """Return the lower edge of each bin in float64, as scores, `(1, bins)`."""
        places = np.arange(self.bins) - self.bins // 2 - 0.5
        with np.errstate(over="ignore"):
            logits = _SCALE * np.sinh(places * (2.0 * _SPAN / self.bins))
            logits[0] = -math.inf  # What is clipped lies in the outer bins.
            by_logit = self.task.from_logits and self.task.num_classes is None
            edges = logits if by_logit else 1.0 / (1.0 + np.exp(-logits))
        edges[0] = -math.inf
        return np.asarray(edges)[None]


def before(values: Tensor) -> Tensor:
    """Sum, for each bin, the bins before it: a prefix sum in two levels.

    One level of 16,384 took a third of a small step on TensorFlow. Each sum takes
    at most twice the root of the number of bins in roundings, and none below 2**24.

    Args:
        values: Float tensor of shape `(columns, bins)`.
    """
    columns, bins = values.shape
    width = math.isqrt(bins - 1) + 1
    values = ops.pad(values, [(0, 0), (0, -bins % width)])
    table = ops.reshape(values, (columns, -1, width))
    inside = ops.cumsum(table, axis=2)
    rows = inside[:, :, -1]
    earlier = ops.cumsum(rows, axis=1) - rows
    sums = inside - table + ops.expand_dims(earlier, -1)
    return ops.reshape(sums, (columns, -1))[:, :bins]


def total(values: Tensor) -> Tensor:
    """Sum the bins of each column, `(columns, bins)` to `(columns,)`."""
    return exact.sum_to_float(exact.batch_sum(values))
