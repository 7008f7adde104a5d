"""A histogram of scores for each class: all that ranking metrics need.

The bins are uniform in `asinh(logit / 4)`, so that they are fine around 1/2 and
reach far into both tails; |logit| is clipped at 1e4. No binning is right for every
range of scores, so whatever is computed from it comes with the error that the order
inside of bins could make.
"""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from multiback.metrics import exact
from multiback.metrics.array_namespace import namespace
from multiback.metrics.bins import count_ids, sum_by_id
from multiback.metrics.counts import LabelCells
from multiback.metrics.inputs import Batch, two_class_batch
from multiback.metrics.statistic import State

Tensor = Any

BINS = 128 * 128
LARGEST = 1e4
SCALE = 4.0
SPAN = math.asinh(LARGEST / SCALE)
PER_UNIT = BINS / (2.0 * SPAN)


@dataclasses.dataclass(frozen=True)
class Histogram:
    """What a state says.

    Attributes:
        negatives: `(bins,)` float32, from the lowest scores to the highest.
        positives: The same for label 1.
        undefined: Scalar, not 0 if a score is NaN or a label unknown.
        weighted: Scalar, not 0 if batches came with weights.
    """

    negatives: Tensor
    positives: Tensor
    undefined: Tensor
    weighted: Tensor


@dataclasses.dataclass(frozen=True)
class ScoreHistogram(LabelCells):
    """Count the scores of each class in 16,384 bins.

    Args:
        from_logits: The scores are logits and not probabilities.
        ignore_index: Elements with this label are left out.
    """

    from_logits: bool = False
    ignore_index: int | None = None

    @property
    def cells(self) -> int:
        """The bins of both classes, and scores that are NaN."""
        return 2 * BINS + 1

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

    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        if sample_weight is not None or keras.backend.backend() == "torch":
            return super().update(state, y_true, y_pred, sample_weight, mask)
        # To go through all cells for each small batch takes XLA four times as long.
        batch = self.prepare(y_true, y_pred, sample_weight, mask)
        ids = ops.where(batch.wrong, 2 * BINS + 1, self.places(batch))
        counted = ops.cast(ops.logical_or(batch.valid, batch.wrong), "int32")
        ids = ops.where(counted > 0, ids, 0)
        counts = exact.add_ids_to_count(state["counts"], ids, counted)
        return {**state, "counts": counts}

    def places(self, batch: Batch) -> Tensor:
        """Return the cell of each element: bins of label 0, bins of label 1, NaN."""
        scores = batch.predictions
        if not self.from_logits:
            outside = ops.logical_or(scores < 0.0, scores > 1.0)
            scores = ops.where(outside, float("nan"), scores)
            inside = ops.clip(scores, 0.0, 1.0)
            scores = ops.log(inside) - ops.log1p(-inside)
        undefined = ops.isnan(scores)
        clipped = ops.clip(ops.where(undefined, 0.0, scores), -LARGEST, LARGEST)
        place = (ops.arcsinh(clipped / SCALE) + SPAN) * PER_UNIT
        bins = ops.clip(ops.cast(place, "int32"), 0, BINS - 1)
        return ops.where(undefined, 2 * BINS, bins + BINS * batch.labels)

    def count(self, batch: Batch) -> list[Tensor]:
        """Return one vector: bins of label 0, bins of label 1, NaN."""
        ids = ops.where(batch.valid, self.places(batch), 2 * BINS + 1)
        if batch.weights is None:
            return [count_ids(ids, 2 * BINS + 2)[:-1]]
        # A weight that does not count may be NaN.
        weights = ops.where(batch.valid, batch.weights, 0.0)
        return [sum_by_id(ids, weights, 2 * BINS + 2)[:-1]]

    def explain_labels(self) -> str:
        """Name the two labels."""
        return "0 and 1"

    def read(self, state: State) -> Histogram:
        """Round a state to float32."""
        weighted = exact.sum_to_float(state["weighted"])
        cells = exact.count_to_float(state["counts"]) + weighted
        return Histogram(
            negatives=cells[:BINS],
            positives=cells[BINS : 2 * BINS],
            undefined=cells[-2] + cells[-1],
            weighted=total(abs(weighted[: 2 * BINS])),
        )


def _table(values: Tensor) -> Tensor:
    return namespace(values).reshape(values, (-1, 128))


def total(values: Tensor) -> Tensor:
    """Sum bins in two levels, each of which XLA vectorises: at most 384 roundings."""
    xp = namespace(values)
    return xp.sum(xp.sum(_table(values), axis=0))


def before(values: Tensor) -> Tensor:
    """Sum, for each bin, the bins before it: a prefix sum in two levels.

    One level of 16,384 took a third of a small step on TensorFlow. Each sum takes
    at most 256 roundings, and none below 2**24.
    """
    if isinstance(values, np.ndarray):  # float64, and no kernels to start.
        return np.cumsum(values) - values
    table = _table(values)
    inside = ops.cumsum(table, axis=1)
    rows = inside[:, -1]
    earlier = ops.cumsum(rows) - rows
    return ops.reshape(inside - table + earlier[:, None], (BINS,))
