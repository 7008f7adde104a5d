"""One ratio a sample (an image, a sequence), and the mean over samples."""

import dataclasses
import math
from typing import Any, Literal

from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.batch import Batch, Given
from multiback.metrics.inputs.causes import count_each
from multiback.metrics.inputs.task import as_tuple
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.counts import score_threshold
from multiback.metrics.statistics.row_means import weights_of_rows
from multiback.metrics.statistics.statistic import (
    LabelStatistic,
    State,
    SumStatistic,
    Tensor,
)
from multiback.metrics.statistics.sums import sums_for_mean
from multiback.metrics.statistics.task_counts import (
    BinaryCounts,
    MulticlassCounts,
    MultilabelCounts,
)

Kind = Literal["jaccard", "dice", "dice-simple", "dice-square", "dice-linear"]

# Larger than the number of elements of any sample.
MANY = 2.0**31


@dataclasses.dataclass(frozen=True)
class SampleRatios(SumStatistic, LabelStatistic):
    """Add up one overlap a sample, and the samples' weights.

    "sums" is float32 `(2, 5, columns)`, as `sums_for_mean` returns them.

    Args:
        kind: "jaccard" (`tp / (tp + fp + fn)`), "dice" (`2 tp / (2 tp + fp + fn)`), or
            a dice whose two sums over the classes have weights: "dice-simple" (1 / the
            labels of the class), "dice-square" (the square of that) or "dice-linear"
            (1). These want the average "micro".
        counts: The task.
        average: As for `RatioMetric`, within each sample.
        zero_division: Value of a ratio without a denominator; NaN leaves it out.
        classes: Which classes or labels, if not all: for a binary task those of 0
            and 1, if not the positive one alone.
    """

    kind: Kind
    counts: BinaryCounts | MulticlassCounts | MultilabelCounts
    average: str | None
    # NaN is not equal to itself, and statistics are compared.
    zero_division: float | None
    classes: tuple[int, ...] | None = None

    @property
    def columns(self) -> int:
        """One, or for `average=None` one a class or label."""
        return len(self._chosen) if self.average is None else 1

    @property
    def _chosen(self) -> tuple[int, ...]:
        if self.classes is not None:
            return self.classes
        binary = isinstance(self.counts, BinaryCounts)
        return (1,) if binary else tuple(range(self.counts.columns))

    def init(self) -> State:
        """Return the state of no data."""
        return {
            "sums": ops.zeros((2, 5, self.columns), dtype="float32"),
            "unusable": self.no_causes(),
        }

    @property
    def probabilities(self) -> bool:
        """Whether the threshold is compared with probabilities."""
        return self.counts.probabilities

    def prepare(self, given: Given) -> Batch:
        """Flatten as the task wants it; a sample of weight 0 does not count."""
        batch = self.counts.prepare(Given(given.y_true, given.y_pred, None, given.mask))
        if given.sample_weight is None:
            return batch
        weights = weights_of_rows(given.sample_weight, batch.shape)
        held = ops.expand_dims(ops.not_equal(weights, 0.0), -1)
        valid = ops.reshape(batch.valid, (-1, elements_of_row(batch, given.y_true)))
        valid = ops.reshape(ops.logical_and(valid, held), ops.shape(batch.valid))
        return dataclasses.replace(batch, valid=valid)

    def explain_labels(self) -> str:
        """Name the labels that the task knows."""
        return self.counts.explain_labels()

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch, odd = self.prepare(given), False
        elements = elements_of_row(batch, given.y_true)
        values, weights = self._ratios(*self._overlap(batch, elements))
        each = self._weights_of_rows(given, batch, elements)
        weights = ops.where(ops.equal(each, 0.0), 0.0, weights)
        if given.sample_weight is not None:
            weights = ops.where(ops.equal(weights, 0.0), 0.0, weights * each)
            odd = ops.logical_not(ops.all(ops.isfinite(each)))
        values, weights = ops.transpose(values), ops.transpose(weights)
        words = sums_for_mean(values, weights, equal=given.sample_weight is None)
        sums = exact.merge_sums(state["sums"], words)
        return {**state, "sums": sums}, ops.logical_or(odd, self.is_odd(batch))

    def _weights_of_rows(self, given: Given, batch: Batch, elements: Any) -> Tensor:
        """Return `(samples, 1)`; 0 where all of a row is masked or ignored."""
        valid = ops.reshape(batch.valid, (-1, elements))
        held = ops.any(valid, axis=1, keepdims=True)
        each = ops.cast(held, "float32")
        if given.sample_weight is not None:
            weights = weights_of_rows(given.sample_weight, batch.shape)
            each = ops.where(held, ops.expand_dims(weights, -1), each)
        return each

    def causes(self, given: Given) -> Tensor:
        """Count the elements and weights of a batch that have each cause."""
        batch = self.prepare(given)
        elements = elements_of_row(batch, given.y_true)
        each = self._weights_of_rows(given, batch, elements)
        unusable = ops.logical_not(ops.isfinite(each))
        return super().causes(given) + count_each({"unusable_weight": unusable})

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Return the mean of each column, and the invalid."""
        sums = exact.sum_to_float(state["sums"])
        return ratio(sums[0], sums[1], float("nan")), self.invalid(state)

    def _overlap(self, batch: Batch, elements: Any) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + tp + fp + fn`, each `(samples, columns)`.

        For a generalized dice both are weighted.
        """
        columns = self.counts.columns
        labels, valid = batch.labels, batch.valid
        if isinstance(self.counts, MulticlassCounts):
            predicted = ops.where(batch.hopeless, -1, batch.predictions)
            each = [
                (ops.equal(labels, c), ops.equal(predicted, c)) for c in self._chosen
            ]
        else:
            threshold = score_threshold(
                self.counts.threshold, from_logits=self.counts.from_logits
            )
            # A NaN score is a miss of its label.
            above = ops.where(
                batch.hopeless, ops.equal(labels, 0), batch.predictions > threshold
            )
            true = ops.equal(labels, 1)
            if isinstance(self.counts, BinaryCounts):
                no = ops.logical_not
                both = (no(true), no(above)), (true, above)
                each = [both[c] for c in self._chosen]
            else:
                true, above, valid = (
                    ops.reshape(part, (-1, columns)) for part in (true, above, valid)
                )
                each = [(true[:, c], above[:, c]) for c in self._chosen]
        hits, sizes, labelled = [], [], []
        for c, (true, predicted) in zip(self._chosen, each, strict=True):
            counts = valid if len(valid.shape) == 1 else valid[:, c]
            rows = (-1, elements // (columns if len(valid.shape) > 1 else 1))
            tp, label, guess = (
                ops.sum(ops.cast(ops.reshape(part, rows), "int32"), axis=1)
                for part in (
                    ops.logical_and(counts, ops.logical_and(true, predicted)),
                    ops.logical_and(counts, true),
                    ops.logical_and(counts, predicted),
                )
            )
            hits.append(tp)
            sizes.append(label + guess)
            labelled.append(label)
        tp, both, label = (
            ops.cast(ops.stack(part, axis=1), "float32")
            for part in (hits, sizes, labelled)
        )
        if self.kind not in ("dice-simple", "dice-square"):
            return tp, both
        weights = self._weights(label)
        return tp * weights, both * weights

    def _weights(self, label: Tensor) -> Tensor:
        """Return the weight of each class of each sample, at most 1.

        A class without labels has the largest weight of the sample's others: without
        any, its false positives would cost nothing.
        """
        held = label > 0.0
        # Only their ratios matter; squares of large counts would leave float32.
        counts = ops.where(held, label, MANY)
        rarest = ops.min(counts, axis=1, keepdims=True, initial=MANY)
        share = ops.where(held, rarest / ops.where(held, label, 1.0), 1.0)
        return share if self.kind == "dice-simple" else ops.square(share)

    def _ratios(self, hits: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(samples, columns)` ratios, and 1 where one counts, else 0."""
        if self.average == "micro":
            hits, sizes = (
                ops.sum(part, axis=1, keepdims=True) for part in (hits, sizes)
            )
        top, bottom = 2.0 * hits, sizes
        if self.kind == "jaccard":
            top, bottom = hits, sizes - hits
        empty_value = 0.0 if self.zero_division is None else self.zero_division
        values = ratio(top, bottom, empty_value)
        counts = ops.ones_like(values)
        exclusive = isinstance(self.counts, MulticlassCounts)
        if isinstance(self.counts, BinaryCounts):
            exclusive = self.classes is not None
        exclusive = exclusive and self.average != "micro"
        if exclusive or self.zero_division is None:
            counts = ops.cast(bottom > 0.0, "float32")
        if exclusive and self.classes is None:
            for ignored in as_tuple(self.counts.ignore_index) or ():
                here = ops.equal(ops.arange(values.shape[1]), ignored)
                counts = ops.where(here, 0.0, counts)
        if self.average != "macro":
            return values, counts
        total = ops.sum(counts, axis=1, keepdims=True)
        mean = ratio(ops.sum(values * counts, axis=1, keepdims=True), total, 0.0)
        if self.zero_division is None:
            return mean, ops.cast(total > 0.0, "float32")
        return ops.where(total > 0.0, mean, empty_value), ops.ones_like(total)


def elements_of_row(batch: Batch, y_true: Tensor) -> Any:
    """Return the number of labels of a row; a tensor while it is unknown.

    TensorFlow traces batches whose sizes differ with unknown sizes.
    """
    sizes = batch.shape[1:]
    if 0 in sizes:
        raise ArgumentError(
            f"y_true wants rows of at least one label, not shape {batch.shape}."
        )
    if None not in sizes:
        return math.prod(size or 0 for size in sizes)
    total = ops.size(batch.labels)
    return total // ops.maximum(ops.shape(y_true)[0], 1)
