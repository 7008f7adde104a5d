"""The area under the ROC curve, with certified bounds."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.score_metric import ScoreMetric
from multiback.metrics.fast.numpy import roc_area, roc_areas
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.intervals.delong import area_interval
from multiback.metrics.intervals.interval import (
    Interval,
    mean_of_dependent,
    undefined,
)
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.ranking.partial_area import (
    column_total,
    partial_area,
    partial_areas,
)
from multiback.metrics.statistics.score_histogram import (
    Histogram,
    ScoreHistogram,
    before,
    total,
)
from multiback.metrics.statistics.statistic import State

Tensor = Any
Array = np.ndarray[Any, Any]


@keras.saving.register_keras_serializable("multiback")
class AUROC(ScoreMetric):
    """The area under the ROC curve: the chance that a positive scores above a negative.

    Formula: `(pairs won + pairs tied / 2) / pairs` over all pairs of a positive and a
    negative.

    Use it to compare rankings whatever the threshold. `roc_curve()` returns the curve.
    Inside of a bin positives and negatives are taken to tie; the bounds rank them
    either way. With `max_fpr=` it is the partial area, of the part of the curve that a
    deployed model can use.

    Scores are counted in bins, even around 1/2 and growing with the odds, so that the
    metric streams. `bounds()` says what the order inside of bins could change: it is
    far below 1e-3 for most scores, and large where many scores lie close together. Then
    a warning names `capacity=`, which keeps the scores themselves. A NaN
    score gives NaN, and so do data of one class only; -0 equals 0.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: How the values of the classes or labels become one: "macro" (plain
            mean), "weighted" (mean by the number of positives), "micro" (rank all
            scores together) or None (an array of all values). A class without positives
            or without negatives leaves the mean. "binary" has one value and ignores it,
            unless `classes=` asks for both.
        classes: A class id or label, or a list of them: the value is of these only,
            while every element still counts, as with scikit-learn's `labels=`. A list
            with `average=None` gives an array in its order, and a single id a scalar.
            For "binary" 0 is the negative class. None takes all classes, for "binary"
            the positive one.
        max_fpr: Take the area up to this false positive rate only, above 0 and at most
            1, scaled so that chance has 1/2 and a perfect ranking 1 (McClish 1989): `(1
            + (area - low) / (max_fpr - low)) / 2` with `low = max_fpr^2 / 2`. None
            takes all of the curve.
        capacity: Keep up to this many scores (of each class or label) and be exact,
            instead of counting scores in bins. More scores than that are an error. Each
            result sorts them, so it suits `evaluate` rather than `fit`.
        num_bins: Largest number of bins of each class; the state has 32 bytes a bin and
            class. None takes 6,210 (7,298 for logits) for up to 8 classes, fewer for
            more, 778 (914) from 33 classes on, and a state of at most 32 MB.
        max_state_mb: Largest state in MB (a million bytes), in place of `num_bins=`:
            more memory makes the bins of many classes finer, up to 6,210 each.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed. Logits of classes are ranked by their softmax.
        ignore_index: A label, or a list of them, whose elements are left out. A class
            that is ignored leaves the mean as well.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape. "multiclass": ids `(...)` or one-hot `(..., num_classes)`.
            "multilabel": 0 or 1, `(..., num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(..., num_classes)`.
        sample_weight: One number of at least 0 a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `roc_auc_score`, each class against the rest. torchmetrics
    gives 0.0 for one class.

    Examples:
        Binary, from probabilities:

        >>> metric = AUROC()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4)
        0.75

        Classes, from logits, each one against the rest:

        >>> metric = AUROC(
        ...     task="multiclass", num_classes=3, from_logits=True, average=None
        ... )
        >>> logits = [
        ...     [2.0, 0.0, 0.0],
        ...     [0.0, 1.0, 0.5],
        ...     [0.0, 0.0, 1.0],
        ...     [1.0, 2.0, 0.0],
        ... ]
        >>> metric.update_state([0, 1, 2, 0], logits)
        >>> [round(float(value), 4) for value in metric.result()]
        [1.0, 0.6667, 1.0]

        Labels that may hold at once:

        >>> metric = AUROC(task="multilabel", num_labels=2)
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        0.75
    """

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        classes: Ids = None,
        max_fpr: float | None = None,
        capacity: int | None = None,
        num_bins: int | None = None,
        max_state_mb: float | None = None,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "auroc",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if max_fpr is not None and (not is_real(max_fpr) or not 0.0 < max_fpr <= 1.0):
            raise ArgumentError(
                f"max_fpr= wants None or a rate above 0 and at most 1, not {max_fpr!r}."
            )
        record = Task.of_scores(
            task, num_classes, num_labels, from_logits, ignore_index, classes
        )
        super().__init__(
            record, average, capacity, num_bins, max_state_mb, name, dtype, intervals
        )
        # All of the curve is the area itself.
        self.max_fpr = None if max_fpr in (None, 1.0) else float(max_fpr)

    @property
    def _whole(self) -> bool:
        """Whether the kernels' formula is that of this metric."""
        return type(self).score is AUROC.score and self.max_fpr is None

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the area of one histogram."""
        one, found = self._one_histogram(), None
        if one is not None and not one.unusable(state):
            found = roc_area(state["counts"], state["weighted"], one.bins)
        if found is None:
            return super().compute_on_arrays(state)
        area, gap, scores = found
        if self._looks_at_bounds():
            self._warn_if_wide(gap, scores)
        return area

    def compute_in_step(self, state: State, kernels: Any) -> Tensor | None:
        """Return the area of a histogram, or the average of several."""
        scores = self._scores
        plain = self._whole and self.record.classes is None
        if not isinstance(scores, ScoreHistogram) or not plain:
            return None

        def average(areas: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
            if scores.task.columns == 1 and not self._each:
                return ops.squeeze(areas, axis=0)
            nothing = ops.zeros_like(areas)
            return self._average(areas[None], positives, negatives, nothing)[0]

        return kernels.roc_area(
            state, scores.bins, average, lambda: self.compute(state)
        )

    def _one_histogram(self) -> ScoreHistogram | None:
        scores = self._scores
        if not isinstance(scores, ScoreHistogram) or scores.task.columns != 1:
            return None
        one = self._whole and self.record.classes is None
        return scores if one and not self._each else None

    def score_columns(
        self, scores: ScoreHistogram, state: State, columns: Sequence[int] | None
    ) -> Array:
        """Return areas, bounds, positives, negatives and NaN of each ranking."""
        chunks = scores.columns_in_chunks(state, columns)
        if type(self).score is AUROC.score and self.max_fpr is not None:
            return partial_areas(chunks, scores.bins, self.max_fpr)
        if not self._whole:
            return super().score_columns(scores, state, columns)
        count = scores.task.columns if columns is None else len(columns)
        return roc_areas(chunks, count, scores.bins)

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area and its bounds."""
        positives, negatives = histogram.positives, histogram.negatives
        if self.max_fpr is not None:
            return partial_area(histogram, self.max_fpr)
        share = ratio(positives, column_total(positives), 0.0)
        share = ratio(share, column_total(negatives), 0.0)
        low, tied = total(share * before(negatives)), total(share * negatives)
        value = low + tied / 2.0
        if histogram.exact:
            return value, value, value
        return value, low, low + tied

    def interval_on_arrays(self, state: State, level: float) -> Interval:
        """Return DeLong's interval; of a mean over classes the longest possible."""
        if self.max_fpr is not None:
            return super().interval_on_arrays(state, level)
        whole = self.host_histogram(state)
        histogram, squares = self.chosen(whole), self.squared_weights(state, whole)
        negatives, positives = self.bin_counts(histogram)
        broken = ops.convert_to_numpy(histogram.undefined) > 0.0
        each = area_interval(positives, negatives, squares, level)
        weights = np.ones_like(squares[0])
        if self.average == "weighted":
            weights = np.sum(positives, axis=-1)
        weights = np.where(np.isnan(each.value), 0.0, weights)
        if self._each:
            return each.where(~broken)
        if np.any(broken):
            return undefined(level)
        return mean_of_dependent(each, weights)
