"""Sums of scoring rules over labels, for log loss, perplexity and Brier score."""

import dataclasses
from typing import ClassVar, Literal

from keras import ops

from multiback.metrics.inputs.batch import Batch, Given, two_class_batch
from multiback.metrics.inputs.causes import CAUSES
from multiback.metrics.inputs.classes import score_batch
from multiback.metrics.inputs.task import Ids
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.statistic import (
    LabelStatistic,
    State,
    SumStatistic,
    Tensor,
    explain_classes,
)
from multiback.metrics.statistics.sums import sums_for_mean

Kind = Literal["log", "brier", "hinge", "squared_hinge"]


class PredictionSums(SumStatistic, LabelStatistic):
    """Sums over elements that have a label and a score of each class.

    The state is "sums", in the words of `exact`, and "unusable".
    """

    num_classes: int | None
    from_logits: bool
    ignore_index: Ids

    @property
    def soft(self) -> bool:
        """Whether a label may be a share."""
        return False

    @property
    def probabilities(self) -> bool:
        """Whether scores must be probabilities."""
        return not self.from_logits

    def prepare(self, given: Given) -> Batch:
        """Flatten to `(N,)` labels and their scores."""
        if self.num_classes is None:
            return two_class_batch(given, self.ignore_index, None, soft=self.soft)
        return score_batch(given, self.ignore_index, self.num_classes, soft=self.soft)

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        return explain_classes(self.num_classes)


@dataclasses.dataclass(frozen=True)
class LossSums(PredictionSums):
    """Add up one loss an element, the weights, and the terms of an interval.

    "sums" is float32 of shape `(2, 5)`, as `sums_for_mean` returns them. The kinds are
    "log" (`-log p` of the label), "brier" (the squared distance of the probabilities
    from the label), "hinge" (how far the lead of the label's score is from 1) and
    "squared_hinge". Without `num_classes` there are two, with one score an element.
    """

    kind: Kind
    num_classes: int | None = None
    from_logits: bool = False
    ignore_index: Ids = None

    words_of: ClassVar[dict[str, str]] = {"soft_label": "share"}

    @property
    def soft(self) -> bool:
        """Whether a label may be a share."""
        return self.kind in ("log", "brier")

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch = self.prepare(given)
        losses = self._losses(batch)
        weights = ops.cast(batch.valid, losses.dtype)
        if batch.weights is not None:
            weights = ops.where(batch.valid, ops.cast(batch.weights, losses.dtype), 0.0)
        words = sums_for_mean(losses, weights, equal=batch.weights is None)
        # An invalid number anywhere makes the sum invalid.
        finite = ops.isfinite(words[0, 0])
        odd = ops.logical_or(ops.any(batch.wrong), ops.logical_not(finite))
        sums = exact.merge_sums(state["sums"], words)
        return {**state, "sums": sums}, odd

    def causes(self, given: Given) -> Tensor:
        """Count the elements of a batch that have each cause, infinite losses too."""
        batch = self.prepare(given)
        infinite = ops.logical_and(batch.valid, ops.isinf(self._losses(batch)))
        infinite = ops.sum(ops.cast(infinite, "int32"))
        place = [int(name == "infinite") for name in CAUSES]
        return super().causes(given) + infinite * ops.convert_to_tensor(place, "int32")

    def _losses(self, batch: Batch) -> Tensor:
        """Return the loss of each element."""
        if self.kind in ("hinge", "squared_hinge"):
            return self._of_lead(batch)
        losses = self._of_labels(batch)
        if batch.targets is None:
            return losses
        shares, whole = batch.targets, ops.equal(batch.targets, 0.0)
        whole = ops.logical_or(whole, ops.equal(shares, 1.0))
        if self.num_classes is not None:
            whole = ops.all(whole, axis=-1)
        # The formula for labels of 0 and 1 is more exact for extreme logits.
        return ops.where(whole, losses, self._of_shares(batch.predictions, shares))

    def _of_lead(self, batch: Batch) -> Tensor:
        """Return the hinge loss of each element."""
        scores = batch.predictions
        if self.num_classes is None:
            lead = ops.where(ops.equal(batch.labels, 1), scores, -scores)
        else:
            own = ops.clip(ops.expand_dims(batch.labels, -1), 0, self.num_classes - 1)
            is_own = ops.equal(ops.arange(self.num_classes, dtype="int32"), own)
            others = ops.where(is_own, -float("inf"), scores)
            # Without `initial` Keras refuses an empty batch on TensorFlow.
            best = ops.max(others, axis=-1, initial=-float("inf"))
            lead = ops.take_along_axis(scores, own, axis=-1)[:, 0] - best
            lead = ops.where(ops.any(ops.isnan(scores), axis=-1), float("nan"), lead)
        # Keep NaN, which a maximum may lose.
        loss = ops.where(lead > 1.0, 0.0, 1.0 - lead)
        return loss if self.kind == "hinge" else ops.square(loss)

    def _of_shares(self, scores: Tensor, shares: Tensor) -> Tensor:
        """Return the loss of soft labels: the cross-entropy, or squared distances."""
        shares = ops.cast(shares, scores.dtype)
        if self.num_classes is None:
            # Two classes in rows; the Brier score counts the positive one alone.
            if self.from_logits:
                scores = ops.stack([ops.zeros_like(scores), scores], axis=-1)
            else:
                scores = ops.stack([1.0 - scores, scores], axis=-1)
            shares = ops.stack([1.0 - shares, shares], axis=-1)
        inside = ops.logical_and(scores >= 0.0, scores <= 1.0)
        if self.kind == "brier":
            p = ops.softmax(scores, axis=-1) if self.from_logits else scores
            square = ops.square(p - shares)
            loss = ops.sum(square, axis=-1)
            if self.num_classes is None:
                loss = square[..., 1]
        else:
            log_p = scores
            if self.from_logits:
                log_p = ops.log_softmax(scores, axis=-1)
            else:
                log_p = ops.log(scores)
            # A class without a share costs nothing, even where its log is infinite.
            terms = ops.where(ops.equal(shares, 0.0), 0.0, -shares * log_p)
            loss = ops.sum(terms, axis=-1)
        if self.from_logits:
            return loss
        return ops.where(ops.all(inside, axis=-1), loss, float("nan"))

    def _of_labels(self, batch: Batch) -> Tensor:
        """Return the loss of labels that are whole."""
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
            # Differences are exact: large logits would round the loss away.
            return ops.logsumexp(scores - ops.expand_dims(own, -1), axis=-1)
        if self.from_logits:
            scores = ops.softmax(scores, axis=-1)
        own = ops.take_along_axis(scores, known, axis=-1)[:, 0]
        # A NaN of any class is outside too.
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
        return sums[0], sums[1], self.invalid(state)
