"""Sums of scoring rules over labels: what log loss, perplexity and Brier add up."""

import dataclasses
from typing import Any, Literal

from keras import ops

from multiback.metrics.inputs.batch import Batch, two_class_batch
from multiback.metrics.inputs.classes import score_batch
from multiback.metrics.inputs.task import Ids
from multiback.metrics.inputs.unknown_labels import explain_unknown
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.statistic import LabelStatistic, State

Tensor = Any


class PredictionSums(LabelStatistic):
    """Sums over elements that have a label and a score of each class.

    The state is "sums", in the words of `exact`; its last column counts invalid
    labels.
    """

    num_classes: int | None
    ignore_index: Ids

    def prepare(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Batch:
        """Flatten to `(N,)` labels and their scores."""
        if self.num_classes is None:
            return two_class_batch(
                y_true,
                y_pred,
                sample_weight,
                mask,
                ignore_index=self.ignore_index,
                num_labels=None,
            )
        return score_batch(
            y_true,
            y_pred,
            sample_weight,
            mask,
            ignore_index=self.ignore_index,
            num_classes=self.num_classes,
        )

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        return {"sums": exact.merge_sums(a["sums"], b["sums"])}

    def invalid(self, state: State) -> Tensor:
        """Return how many elements had a label that the task does not know."""
        return exact.sum_to_float(state["sums"])[-1]

    def explain_invalid(self, y_true: Tensor, y_pred: Tensor) -> str:
        """Say which labels of a batch are wrong."""
        batch = self.prepare(y_true, y_pred, None, None)
        if self.num_classes is None:
            return explain_unknown(batch, y_true, "0 and 1")
        last = self.num_classes - 1
        known = f"class ids from 0 to {last}, or one-hot rows"
        return explain_unknown(batch, y_true, known)


@dataclasses.dataclass(frozen=True)
class LossSums(PredictionSums):
    """Add up one loss an element, the weights, and invalid labels.

    The state is one float32 tensor of shape `(2, 3)`, in the words of `exact`.

    Args:
        kind: "log" (`-log p` of the label) or "brier" (the squared distance of the
            probabilities from the label).
        num_classes: Number of classes, or None for two, with one score an element.
        from_logits: The scores are logits.
        ignore_index: Elements with this label are left out.
    """

    kind: Literal["log", "brier"]
    num_classes: int | None = None
    from_logits: bool = False
    ignore_index: Ids = None

    def init(self) -> State:
        """Return the state of no data."""
        return {"sums": ops.zeros((2, 3), dtype="float32")}

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
        losses = self._losses(batch)
        weights = ops.cast(batch.valid, losses.dtype)
        if batch.weights is not None:
            weights = ops.where(batch.valid, ops.cast(batch.weights, losses.dtype), 0.0)
        # A loss that does not count may be infinite or NaN.
        losses = ops.where(ops.equal(weights, 0.0), 0.0, losses * weights)
        columns = ops.stack([losses, weights, ops.cast(batch.wrong, losses.dtype)])
        words = exact.batch_sum(columns)
        return {"sums": exact.merge_sums(state["sums"], words)}

    def _losses(self, batch: Batch) -> Tensor:
        scores, positive = batch.predictions, ops.equal(batch.labels, 1)
        if self.num_classes is None:
            if self.from_logits:
                # The logit of the label's own probability.
                own = ops.where(positive, scores, -scores)
                if self.kind == "log":
                    return ops.softplus(-own)
                return ops.square(ops.sigmoid(-own))
            own = ops.where(positive, scores, 1.0 - scores)
            outside = ops.logical_or(scores < 0.0, scores > 1.0)
            if self.kind == "log":
                loss = ops.where(positive, -ops.log(scores), -ops.log1p(-scores))
            else:
                loss = ops.square(1.0 - own)
            return ops.where(outside, float("nan"), loss)
        known = ops.expand_dims(ops.clip(batch.labels, 0, self.num_classes - 1), -1)
        if self.from_logits and self.kind == "log":
            own = ops.take_along_axis(scores, known, axis=-1)[:, 0]
            # Of differences, which are exact: large logits would round the loss away.
            return ops.logsumexp(scores - ops.expand_dims(own, -1), axis=-1)
        if self.from_logits:
            scores = ops.softmax(scores, axis=-1)
        own = ops.take_along_axis(scores, known, axis=-1)[:, 0]
        # A NaN is not inside either, whichever class it belongs to.
        inside = ops.all(ops.logical_and(scores >= 0.0, scores <= 1.0), axis=-1)
        if self.kind == "log":
            loss = -ops.log(own)
        else:
            classes = ops.arange(self.num_classes, dtype="int32")
            others = ops.where(ops.equal(classes, known), 0.0, scores)
            loss = ops.square(1.0 - own) + ops.sum(ops.square(others), axis=-1)
        return ops.where(inside, loss, float("nan"))

    def read(self, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Round the loss, the weight and the invalid to float32."""
        sums = exact.sum_to_float(state["sums"])
        return sums[0], sums[1], sums[2]
