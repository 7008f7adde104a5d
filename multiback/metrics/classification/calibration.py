"""Whether confidence matches accuracy: expected and maximum calibration error."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics import plots
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.inputs.batch import Given
from multiback.metrics.inputs.task import ClassTask, Ids, Task
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.numeric.by_id import sum_by_id
from multiback.metrics.statistics.losses import PredictionSums
from multiback.metrics.statistics.statistic import State, Tensor


@dataclasses.dataclass(frozen=True)
class ConfidenceBins(PredictionSums):
    """Add up, for each bin of confidence, the weight, the confidence and the hits.

    "sums" is float32 of shape `(2, 3 * n_bins)`, in the words of `exact`. The bins are
    of equal width in [0, 1]; each holds its lower edge. Without `num_classes` there
    are two, with one score an element.
    """

    n_bins: int
    num_classes: int | None = None
    from_logits: bool = False
    ignore_index: Ids = None

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
        # A value that is not a probability makes its bin NaN, unless it does not count.
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
    """The calibration error: how far confidence is from the share of hits, in bins.

    Formula: "l1", the expected calibration error (ECE): `sum(n_b / n |hits_b -
    confidence_b|)` over bins b, with means of each bin; "max" the largest difference of
    a bin that is not empty; "l2" the root of the mean of squares.

    Use it to see whether 0.9 means right nine times of ten. For "binary" confidence is
    the probability of the positive class, and a hit a positive label; for "multiclass"
    it is the largest probability, and a hit that the label is its class (the first one
    of equals). No data, and a NaN score, give NaN.

    Args:
        task: "binary" (each element is 0 or 1) or "multiclass" (each element has one
            class). None, the default, takes "binary" if the first `y_pred` is a vector
            or has a last axis of 1, and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        n_bins: Number of bins of equal width in [0, 1]; each holds its lower edge.
        norm: "l1", "l2" or "max", as in the formula.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
        y_pred: Scores of any float dtype. "binary": the shape of `y_true`.
            "multiclass": `(..., num_classes)`; probabilities are not scaled to add up
            to 1.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: Guo et al., On calibration of modern neural networks (2017); torchmetrics'
    `CalibrationError`.

    Examples:
        Binary:

        >>> metric = CalibrationError(n_bins=2)
        >>> metric.update_state([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75])
        >>> float(metric.result())
        0.25

        Classes, the worst bin:

        >>> metric = CalibrationError(task="multiclass", num_classes=3, norm="max")
        >>> metric.update_state([0, 2], [[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
        >>> float(metric.result())
        0.75
    """

    direction: ClassVar[Direction | None] = "min"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        task: ClassTask | None = None,
        *,
        num_classes: int | None = None,
        n_bins: int = 15,
        norm: Literal["l1", "l2", "max"] = "l1",
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "calibration_error",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if norm not in ("l1", "l2", "max"):
            raise ArgumentError(f'norm= wants "l1", "l2" or "max", not {norm!r}.')
        n_bins = as_integer("n_bins", n_bins, 1)
        self.record: Task = Task(
            task,
            num_classes,
            from_logits=from_logits,
            ignore_index=ignore_index,
            allowed=("binary", "multiclass"),
        )
        self._bins = ConfidenceBins(
            n_bins,
            self.record.num_classes,
            self.record.from_logits,
            self.record.ignore_index,
        )
        super().__init__(self._bins, name=name, dtype=dtype, intervals=intervals)
        self.norm = norm

    def compute(self, state: State) -> Tensor:
        """Return the error of a state."""
        table, invalid = self._bins.read(state)
        weight, confidence, hits = table[0], table[1], table[2]
        total = ops.sum(weight)
        gap = ratio(ops.abs(hits - confidence), weight, 0.0)
        # An empty bin has a gap of 0. A bin that is NaN makes each norm NaN.
        norm = self.norm
        if norm == "max":
            value = ops.max(gap) + 0.0 * ops.sum(gap)
        elif norm == "l2":
            value = ops.sqrt(ratio(ops.sum(weight * ops.square(gap)), total, 0.0))
        else:
            value = ratio(ops.sum(weight * gap), total, 0.0)
        undefined = ops.logical_or(ops.equal(total, 0.0), invalid > 0.0)
        return ops.where(undefined, float("nan"), value)

    def plot_state(
        self,
        state: State,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw the reliability diagram of a state."""
        del class_names  # One diagram for all classes.
        if column is not None:
            raise ArgumentError(
                f"column= wants one value a class, but {self.name} is one number. "
                "Leave it out."
            )
        table, _ = self._bins.read(state)
        weight = table[0]
        shares = [
            ratio(table[1], weight, float("nan")),
            ratio(table[2], weight, float("nan")),
            ratio(weight, ops.broadcast_to(ops.sum(weight), weight.shape), 0.0),
        ]
        several = self.record.num_classes is not None
        return plots.calibration(
            *map(ops.convert_to_numpy, shares),
            xlabel="confidence" if several else "predicted probability",
            ylabel="accuracy" if several else "share of positives",
            title=f"{self.name} {float(self.compute(state)):.4f}",
            ax=ax,
        )
