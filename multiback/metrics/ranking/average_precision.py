"""Average precision, with certified bounds."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.score_metric import ScoreMetric
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import namespace, ratio
from multiback.metrics.statistics.score_histogram import (
    Histogram,
    ScoreHistogram,
    before,
    total,
)
from multiback.metrics.statistics.statistic import State, Tensor

Array = np.ndarray[Any, Any]


def _integral(hits: Tensor, seen: Tensor, slope: Any, width: Tensor) -> Tensor:
    """Integrate `(hits + x) / (seen + slope x)` over x from 0 to `width`."""
    xp = namespace(seen)
    grown = xp.where(xp.equal(seen, 0.0), 1.0, seen)
    # Negative weights, which leave no area, would bring it below 0.
    growth = xp.maximum(slope * width / grown, 0.0)
    curved = (hits - seen / slope) / slope * xp.log1p(growth)
    return width / slope + xp.where(xp.equal(seen, 0.0), 0.0, curved)


@keras.saving.register_keras_serializable("multiback")
class AveragePrecision(ScoreMetric):
    """Average precision: the area under the precision-recall curve.

    Formula: the mean, over all positives, of the precision down to their score.

    Use it in place of `AUROC` where positives are rare. `precision_recall_curve()`
    returns the curve. Inside of a bin true and false positives are interpolated
    linearly (Davis and Goadrich 2006); the bounds put positives first or last. Scores
    that are kept with `capacity=` tie only where they are equal. Of positives alone it
    is 1.

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

    Source: scikit-learn's `average_precision_score`.

    Examples:
        Binary, from probabilities:

        >>> metric = AveragePrecision()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4)
        0.8333

        Classes, from logits, each one against the rest:

        >>> metric = AveragePrecision(
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
        [1.0, 0.5, 1.0]

        Labels that may hold at once:

        >>> metric = AveragePrecision(task="multilabel", num_labels=2)
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        0.9167
    """

    needs_negatives = False
    curve = "precision_recall"

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        classes: Ids = None,
        capacity: int | None = None,
        num_bins: int | None = None,
        max_state_mb: float | None = None,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "average_precision",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task.of_scores(
            task, num_classes, num_labels, from_logits, ignore_index, classes
        )
        super().__init__(
            record, average, capacity, num_bins, max_state_mb, name, dtype, intervals
        )

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area and its bounds."""
        xp = namespace(histogram.positives)
        p, n = (
            xp.flip(part, axis=-1)
            for part in (histogram.positives, histogram.negatives)
        )
        hits, all_before = before(p), before(p + n)
        if histogram.exact:
            value = ratio(
                total(p * ratio(hits + p, all_before + p + n, 0.0)), total(p), 0.0
            )
            return value, value, value
        areas = self._areas(p, n, hits, all_before, histogram.weighted)
        areas = ratio(total(xp.stack(areas)), total(p), 0.0)
        return areas[0], areas[1], areas[2]

    def compute_in_step(self, state: State, kernels: Any) -> Tensor | None:
        """Return the value of a histogram without its bounds."""
        scores = self._scores
        plain = type(self).score is AveragePrecision.score
        plain = plain and self.record.classes is None
        if not isinstance(scores, ScoreHistogram) or not plain:
            return None

        def value(negatives: Tensor, positives: Tensor) -> Tensor:
            def area(p: Tensor, n: Tensor, hits: Tensor, seen: Tensor) -> Tensor:
                return self._middle(p, n, hits, seen, 0.0)

            areas, all_positives, all_negatives = kernels.areas_of_bins(
                positives, negatives, area
            )
            values = ratio(areas, all_positives, 0.0)
            none = ops.zeros_like(values)
            return self._average(values[None], all_positives, all_negatives, none)[0]

        return kernels.of_cells(state, scores.bins, value, lambda: self.compute(state))

    def score_columns(
        self, scores: ScoreHistogram, state: State, columns: Sequence[int] | None
    ) -> Array:
        """Return areas, bounds, positives, negatives and NaN of each ranking."""
        if type(self).score is not AveragePrecision.score:
            return super().score_columns(scores, state, columns)
        found, bins = [], scores.bins
        weighted = np.asarray(state["weighted"][0, -1])
        for cells in scores.columns_in_chunks(state, columns):
            n, p = cells[:, :bins], cells[:, bins:-1]
            wide = np.int64 if cells.dtype.kind == "i" else np.float64
            up_to_n, up_to_p = (np.cumsum(part, axis=1, dtype=wide) for part in (n, p))
            positives, negatives = up_to_p[:, -1], up_to_n[:, -1]
            # Bins without positives have no area.
            rows, _ = held = np.nonzero(p)
            hits = (positives[rows] - up_to_p[held]).astype("float64")
            before = hits + (negatives[rows] - up_to_n[held])
            areas = self._areas(
                p[held].astype("float64"),
                n[held].astype("float64"),
                hits,
                before,
                weighted,
            )
            values = [np.bincount(rows, area, len(cells)) for area in areas]
            values = ratio(np.stack(values), np.stack([positives] * 3), 0.0)
            found.append(np.stack([*values, positives, negatives, cells[:, -1]]))
        return np.concatenate(found, axis=1)

    def _areas(
        self, p: Tensor, n: Tensor, hits: Tensor, all_before: Tensor, weighted: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the area of each bin, times the positives, and its bounds.

        Of the bin's positives and negatives, the positives and all that score higher.
        """
        xp = namespace(p)
        first = xp.minimum(p, 1.0)
        middle = self._middle(p, n, hits, all_before, weighted)
        # All negatives of the bin before its positives, down to each positive.
        low = first * ratio(hits + first, all_before + n + first, 0.0)
        low = low + _integral(hits + first, all_before + n + first, 1.0, p - first)
        # With weights many small positives may lie in the first.
        low_weighted = _integral(hits, all_before + n, 1.0, p)
        low = xp.where(weighted > 0.0, low_weighted, low)
        # Precision grows along positives in a row, so the last one has the most.
        high = p * ratio(hits + p, all_before + p, 0.0)
        return xp.clip(middle, low, high), low, high

    def _middle(
        self, p: Tensor, n: Tensor, hits: Tensor, all_before: Tensor, weighted: Any
    ) -> Tensor:
        """Return the area of each bin, times the positives; as `_areas`."""
        xp = namespace(p)
        end = ratio(hits + p, all_before + p + n, 0.0)
        single = xp.logical_and(p <= 1.0, xp.equal(weighted, 0.0))
        first = xp.minimum(p, 1.0)
        slope = 1.0 + ratio(n, p, 0.0)
        # The k-th positive of the bin, with its share of the bin's negatives.
        start = ratio(hits + first, all_before + slope * first, 0.0)
        rest = _integral(hits + first, all_before + slope * first, slope, p - first)
        middle = first * start + rest + xp.where(p > 1.0, (end - start) / 2.0, 0.0)
        return xp.where(single, p * end, middle)
