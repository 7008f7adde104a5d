"""The shell of all metrics over ranked scores: what they share but the formula."""

import abc
import warnings
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from keras import ops

from multiback.metrics.base.averaging import check_average, ratio
from multiback.metrics.base.count_metric import Average, counts_for_task
from multiback.metrics.base.curves import (
    PrecisionRecallCurve,
    ROCCurve,
    pick_column,
    precision_recall_points,
    roc_points,
)
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_integer, as_plain, refuse_unknown
from multiback.metrics.inputs.scores import ScoreTask
from multiback.metrics.statistics.score_buffer import ScoreBuffer
from multiback.metrics.statistics.score_histogram import (
    BINS,
    Histogram,
    ScoreHistogram,
    total,
)
from multiback.metrics.statistics.statistic import State

Tensor = Any
Array = np.ndarray[Any, Any]
Task = Literal["binary", "multiclass", "multilabel"]

# 256 roundings of a prefix sum, 256 of a sum over bins and a few of each term.
ROUNDING = 520 * 2.0**-24

# Fewer scores leave a wide gap in any bins, and Keras asks after each batch.
ENOUGH = 256


class WideBoundsWarning(UserWarning):
    """Many scores share a bin, so that a metric of their ranks is uncertain."""


@runtime_checkable
class Ranked(Protocol):
    """A metric over ranked scores, from whose state curves can be drawn."""

    def compute_roc_curve(self, state: State, column: int | None = None) -> ROCCurve:
        """Return the receiver operating characteristic."""

    def compute_precision_recall_curve(
        self, state: State, column: int | None = None
    ) -> PrecisionRecallCurve:
        """Return precision against recall."""


@runtime_checkable
class Thresholded(Protocol):
    """A metric that is reached with a threshold of its own choice."""

    def compute_threshold(self, state: State) -> Any:
        """Return the threshold of a state."""


class ScoreMetric(PairMetric):
    """A number that depends on how scores rank; subclasses write `score`.

    Scores are counted in 16,384 bins, uniform in `asinh(logit / 4)`. What the order
    inside of bins could change, `bounds()` tells: the value of the data themselves
    lies between. It is far below 1e-3 for most scores, and large where scores lie
    so close together that they fall into few bins; then a warning names
    `capacity=`, which keeps the scores themselves.

    Args:
        task: "binary", "multiclass" (each class against the rest) or "multilabel"
            (each label by itself).
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: Over classes or labels: "macro" (plain mean), "weighted" (by the
            number of positives), "micro" (rank all scores together) or None (one
            value each, which cannot be monitored). A class or label that lacks
            positives or negatives leaves the mean. A binary task ignores it.
        capacity: Keep up to this many scores (of each class or label) and be exact,
            instead of counting in bins. More than that is an error, or NaN in a
            compiled step. Each result sorts them, so give no more than are needed,
            rather in `evaluate` than in `fit`.
        num_bins: Number of bins. The state has some 32 bytes a bin and class.
        from_logits: `y_pred` holds logits. It is never guessed: a probability
            outside of [0, 1] makes the result NaN. Logits of classes rank by
            their softmax.
        ignore_index: Elements with this label are left out, and as a class it
            leaves the mean.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; counts stay exact.

    Call arguments:
        y_true: Labels. "binary": 0 or 1 of any shape. "multilabel": 0 or 1,
            `(..., num_labels)`. "multiclass": ids `(...)` or one-hot
            `(..., num_classes)`.
        y_pred: Scores. "binary" and "multilabel": the shape of `y_true`; for
            "binary" either one may have a last axis of length 1 that the other
            lacks. "multiclass": `(..., num_classes)`.
        sample_weight: One number a sample or an element, at least 0, or None.

    A NaN score gives NaN, and so do data of one class only. -0 equals 0.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    # Positives alone have no value.
    needs_negatives: ClassVar[bool] = True
    # Bounds further apart than this are worth a warning.
    wide: ClassVar[float] = 0.01

    def __init__(
        self,
        task: Task = "binary",
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        capacity: int | None = None,
        num_bins: int = BINS,
        from_logits: bool = False,
        ignore_index: int | None = None,
        name: str,
        dtype: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        check_average(average)
        which = as_plain(
            {
                "num_classes": num_classes,
                "num_labels": num_labels,
                "from_logits": from_logits,
                "ignore_index": ignore_index,
            }
        )
        counts_for_task(task, **which)  # Checks them.
        num_bins = as_integer("num_bins", num_bins, 2)
        if capacity is not None:
            capacity = as_integer("capacity", capacity, 1)
        micro = task != "binary" and average == "micro"
        scores = ScoreTask(micro=micro, **which)
        self._scores: ScoreBuffer | ScoreHistogram = (
            ScoreHistogram(scores, num_bins)
            if capacity is None
            else ScoreBuffer(capacity, scores)
        )
        super().__init__(self._scores, name=name, dtype=dtype)
        self._each = average is None and task != "binary"
        self._calls = 0
        self.arguments: dict[str, Any] = {
            "task": task,
            **which,
            "average": average,
            "capacity": capacity,
            "num_bins": num_bins,
        }

    @abc.abstractmethod
    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the value of each column, the smallest it may be and the largest."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        histogram = self._scores.read(state)
        value, low, high = ops.unstack(self._averaged(histogram), 3)
        if not histogram.exact:
            self._look_at_bounds(histogram, low, high)
        return value

    def compute_bounds(self, state: State) -> Tensor:
        """Return the smallest and the largest value that the data could have."""
        averaged = self._averaged(self._scores.read(state))
        _, low, high = ops.unstack(averaged, 3)
        return ops.clip(ops.stack([low - ROUNDING, high + ROUNDING]), 0.0, 1.0)

    def bounds(self) -> Any:
        """Return what the value of the data themselves certainly lies between.

        Returns:
            Two floats, or with `average=None` two arrays.
        """
        return as_floats(self.compute_bounds(self.state))

    def compute_roc_curve(self, state: State, column: int | None = None) -> ROCCurve:
        """Return the curve of a state; see `roc_curve`."""
        return roc_points(*self._column(state, column))

    def compute_precision_recall_curve(
        self, state: State, column: int | None = None
    ) -> PrecisionRecallCurve:
        """Return the curve of a state; see `precision_recall_curve`."""
        return precision_recall_points(*self._column(state, column))

    def roc_curve(self, column: int | None = None) -> ROCCurve:
        """Return the receiver operating characteristic, to be drawn.

        Args:
            column: Which class or label, if there are several rankings.

        Returns:
            `(fpr, tpr, thresholds)` in scikit-learn's order. Each point is one of
            the data's own, those inside of bins left out; `score > threshold`
            makes it.

        Raises:
            ArgumentError: The column is missing or unknown.

        Example:
        >>> from multiback.metrics import AUROC
        >>> metric = AUROC()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> fpr, tpr, thresholds = metric.roc_curve()
        >>> fpr.tolist(), tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
        """
        return self.compute_roc_curve(self.state, column)

    def precision_recall_curve(self, column: int | None = None) -> PrecisionRecallCurve:
        """Return precision against recall, to be drawn; as `roc_curve` otherwise.

        Args:
            column: Which class or label, if there are several rankings.

        Returns:
            `(precision, recall, thresholds)` in scikit-learn's order, which ends
            with a precision of 1 at a recall of 0 that has no threshold.

        Raises:
            ArgumentError: The column is missing or unknown.
        """
        return self.compute_precision_recall_curve(self.state, column)

    def _column(self, state: State, column: int | None) -> tuple[Array, Array, Array]:
        histogram = self._scores.read(state)
        positives, negatives = (
            ops.convert_to_numpy(part).astype("float64")
            for part in (histogram.positives, histogram.negatives)
        )
        edges = self._scores.edges(state)
        index = pick_column(column, len(positives))
        return positives[index], negatives[index], edges[min(index, len(edges) - 1)]

    def _averaged(self, histogram: Histogram) -> Tensor:
        """Return value and bounds, `(3,)` or `(3, columns)`."""
        values = ops.clip(ops.stack(list(self.score(histogram))), 0.0, 1.0)
        positives, negatives = total(histogram.positives), total(histogram.negatives)
        one_class = ops.equal(positives, 0.0)
        if self.needs_negatives:
            one_class = ops.logical_or(one_class, ops.equal(negatives, 0.0))
        broken = histogram.undefined > 0.0
        if self._each:
            undefined = ops.logical_or(one_class, broken)
            return ops.where(undefined, float("nan"), values)
        weights = ops.ones_like(positives)
        if self.arguments["average"] == "weighted":
            weights = positives
        weights = ops.where(one_class, 0.0, weights)
        values = ops.where(one_class, 0.0, values)
        averages = ratio(
            ops.sum(values * weights, axis=-1), ops.sum(weights), float("nan")
        )
        return ops.where(ops.any(broken), float("nan"), averages)

    def _look_at_bounds(self, histogram: Histogram, low: Tensor, high: Tensor) -> None:
        """Warn once where the values are known: outside of a compiled step."""
        if not self._looks_at_bounds():
            return
        try:
            gap = float(np.max(ops.convert_to_numpy(high - low)))
            scores = float(ops.convert_to_numpy(ops.sum(histogram.positives)))
            scores += float(ops.convert_to_numpy(ops.sum(histogram.negatives)))
        except (AttributeError, NotImplementedError, TypeError):
            # A tracer of JAX, a symbolic tensor of TensorFlow, a meta one of torch.
            return
        self._warn_if_wide(gap, scores)

    def _looks_at_bounds(self) -> bool:
        """Tell whether the value that is being computed may bring a warning.

        Values are known once an epoch on JAX and TensorFlow, when Keras asks for the
        logs. On torch it is each batch, of which few are looked at: that takes time.
        """
        self._calls += 1
        call = self._calls
        return call > 0 and (call & (call - 1) == 0 or call % 256 == 0)

    def _warn_if_wide(self, gap: float, scores: float) -> None:
        if gap > self.wide and scores >= ENOUGH:
            self._calls = -(1 << 62)  # Said once.
            warnings.warn(
                f"{self.name} may be off by {gap:.2g}: many of the {scores:.0f} scores "
                "lie too close together to be told apart by bins. bounds() gives "
                "what is certain; capacity=N keeps N scores and is exact.",
                WideBoundsWarning,
                stacklevel=3,
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


def as_floats(values: Tensor) -> Any:
    """Copy a tensor of shape `(n,)` to n floats, one of `(n, columns)` to arrays."""
    array = ops.convert_to_numpy(values)
    if array.ndim == 1:
        return tuple(float(value) for value in array)
    return tuple(array)
