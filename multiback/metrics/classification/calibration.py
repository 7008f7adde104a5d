"""Whether confidence means what it says: expected and maximum calibration error."""

import dataclasses
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import ratio
from multiback.metrics.base.count_metric import counts_for_task
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, as_plain
from multiback.metrics.inputs.batch import Given
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.by_id import sum_by_id
from multiback.metrics.statistics.losses import PredictionSums
from multiback.metrics.statistics.statistic import State

Tensor = Any


@dataclasses.dataclass(frozen=True)
class ConfidenceBins(PredictionSums):
    """Add up, for each bin of confidence, the weight, the confidence and the hits.

    "sums" is float32 of shape `(2, 3 * n_bins)`, in the words of `exact`.

    Args:
        n_bins: Number of bins of equal width in [0, 1]; each holds its lower edge.
        num_classes: Number of classes, or None for two, with one score an element.
        from_logits: The scores are logits.
        ignore_index: Elements with this label are left out.
    """

    n_bins: int
    num_classes: int | None = None
    from_logits: bool = False
    ignore_index: int | None = None

    def init(self) -> State:
        """Return the state of no data."""
        return {
            "sums": ops.zeros((2, 3 * self.n_bins), dtype="float32"),
            "unusable": self.no_causes(),
        }

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch = self.prepare(given)
        scores, last = ops.cast(batch.predictions, "float32"), self.n_bins
        if self.num_classes is None:
            confidence = ops.sigmoid(scores) if self.from_logits else scores
            hit = ops.equal(batch.labels, 1)
        else:
            probability = ops.softmax(scores, axis=-1) if self.from_logits else scores
            best = ops.cast(ops.argmax(scores, axis=-1), "int32")
            chosen = ops.expand_dims(best, -1)
            confidence = ops.take_along_axis(probability, chosen, axis=-1)[:, 0]
            hit = ops.equal(best, batch.labels)
            gone = ops.any(ops.isnan(scores), axis=-1)
            confidence = ops.where(gone, float("nan"), confidence)
        inside = ops.logical_and(confidence >= 0.0, confidence <= 1.0)
        weights = ops.cast(batch.valid, "float32")
        if batch.weights is not None:
            weights = ops.where(batch.valid, batch.weights, 0.0)
        place = ops.where(inside, confidence, 0.0) * self.n_bins
        bins = ops.clip(ops.cast(place, "int32"), 0, last - 1)
        # What is no probability makes its bin NaN, unless it does not count.
        confidence = ops.where(inside, confidence, float("nan"))
        confidence = ops.where(ops.equal(weights, 0.0), 0.0, weights * confidence)
        hits = ops.where(hit, weights, 0.0)
        sums = [sum_by_id(bins, each, last) for each in (weights, confidence, hits)]
        cells = exact.add_to_sum(state["sums"], ops.concatenate(sums))
        return {**state, "sums": cells}, self.is_odd(batch)

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Round weight, confidence and hits, `(3, n_bins)`, and the invalid."""
        sums = exact.sum_to_float(state["sums"])
        return ops.reshape(sums, (3, self.n_bins)), self.invalid(state)


@keras.saving.register_keras_serializable("multiback")
class CalibrationError(PairMetric):
    """How far, within bins of confidence, confidence is from the share of hits.

    "l1", the expected calibration error: `sum(n_b / n |hits_b - confidence_b|)`
    over bins of means. "max", the maximum calibration error: the largest difference
    of any bin that holds something. "l2": the root of the mean of squares.

    Args:
        task: "binary" (confidence is the probability of the positive class, a hit a
            positive label) or "multiclass" (the largest probability, and whether
            its class, the first if there are several, is the label).
        num_classes: Number of classes, for "multiclass" only.
        n_bins: Number of bins of equal width in [0, 1]; each holds its lower edge.
        norm: "l1", "l2" or "max".
        from_logits: `y_pred` holds logits. It is never guessed: a probability
            outside of [0, 1] gives NaN.
        ignore_index: Elements with this label are left out.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; sums stay exact across batches.

    Shapes are those of `LogLoss`. No data, and a NaN score, give NaN.

    Source: Guo et al., On calibration of modern neural networks (2017);
    torchmetrics' `CalibrationError`.

    Example:
    >>> metric = CalibrationError(n_bins=2)
    >>> metric.update_state([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75])
    >>> float(metric.result())
    0.25
    """

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        task: Literal["binary", "multiclass"] = "binary",
        *,
        num_classes: int | None = None,
        n_bins: int = 15,
        norm: Literal["l1", "l2", "max"] = "l1",
        from_logits: bool = False,
        ignore_index: int | None = None,
        name: str = "calibration_error",
        dtype: str | None = None,
    ) -> None:
        if task not in ("binary", "multiclass"):
            raise ArgumentError(f'task= wants "binary" or "multiclass", not {task!r}.')
        if norm not in ("l1", "l2", "max"):
            raise ArgumentError(f'norm= wants "l1", "l2" or "max", not {norm!r}.')
        n_bins = as_integer("n_bins", n_bins, 1)
        arguments = as_plain(
            {
                "num_classes": num_classes,
                "from_logits": from_logits,
                "ignore_index": ignore_index,
            }
        )
        counts_for_task(task, **arguments)  # Checks them.
        self._bins = ConfidenceBins(n_bins, **arguments)
        super().__init__(self._bins, name=name, dtype=dtype)
        self.arguments = {"task": task, **arguments, "n_bins": n_bins, "norm": norm}

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        table, invalid = self._bins.read(state)
        weight, confidence, hits = table[0], table[1], table[2]
        total = ops.sum(weight)
        gap = ratio(ops.abs(hits - confidence), weight, 0.0)
        # An empty bin has no gap; one of NaN has, whatever the norm.
        norm = self.arguments["norm"]
        if norm == "max":
            value = ops.max(gap) + 0.0 * ops.sum(gap)
        elif norm == "l2":
            value = ops.sqrt(ratio(ops.sum(weight * ops.square(gap)), total, 0.0))
        else:
            value = ratio(ops.sum(weight * gap), total, 0.0)
        undefined = ops.logical_or(ops.equal(total, 0.0), invalid > 0.0)
        return ops.where(undefined, float("nan"), value)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}
