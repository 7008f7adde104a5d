"""A histogram of scores for each class: all that ranking metrics need.

The bins are uniform in `asinh(logit / 4)`, so that they are fine around 1/2 and
reach far into both tails; |logit| is clipped at 1e4. No binning is right for every
range of scores, so whatever is computed from it comes with the error that the order
inside of bins could make.
"""

import dataclasses
import math
from typing import Any

from keras import ops

from multiback.metrics import exact
from multiback.metrics.bins import count_ids, sum_by_id
from multiback.metrics.counts import LabelCells
from multiback.metrics.inputs import Batch, two_class_batch
from multiback.metrics.statistic import State

Tensor = Any

BINS = 128 * 128
_LARGEST = 1e4
_SCALE = 4.0
_SPAN = math.asinh(_LARGEST / _SCALE)


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

    def count(self, batch: Batch) -> list[Tensor]:
        """Return one vector: bins of label 0, bins of label 1, NaN."""
        scores = batch.predictions
        if not self.from_logits:
            outside = ops.logical_or(scores < 0.0, scores > 1.0)
            scores = ops.where(outside, float("nan"), scores)
            inside = ops.clip(scores, 0.0, 1.0)
            scores = ops.log(inside) - ops.log1p(-inside)
        undefined = ops.isnan(scores)
        clipped = ops.clip(ops.where(undefined, 0.0, scores), -_LARGEST, _LARGEST)
        place = (ops.arcsinh(clipped / _SCALE) + _SPAN) * (BINS / (2.0 * _SPAN))
        bins = ops.clip(ops.cast(place, "int32"), 0, BINS - 1)
        ids = bins + BINS * batch.labels
        ids = ops.where(undefined, ops.full_like(ids, 2 * BINS), ids)
        ids = ops.where(batch.valid, ids, ops.full_like(ids, 2 * BINS + 1))
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
            weighted=ops.sum(ops.abs(weighted)),
        )


def before(values: Tensor) -> Tensor:
    """Sum, for each bin, the bins before it: a prefix sum in two levels.

    One level of 16,384 took a third of a small step on TensorFlow. Each sum takes
    at most 256 roundings, and none below 2**24.
    """
    table = ops.reshape(values, (128, 128))
    inside = ops.cumsum(table, axis=1)
    rows = inside[:, -1]
    earlier = ops.cumsum(rows) - rows
    return ops.reshape(inside - table + earlier[:, None], (BINS,))
