"""The highest-scored share of the rows: its precision, and its lift over chance."""

from typing import Any

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.score_metric import ROUNDING
from multiback.metrics.base.thresholds import BestThreshold, above
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import Tensor, namespace, ratio
from multiback.metrics.statistics.score_histogram import Histogram, total

# XLA multiplies by a reciprocal instead of dividing, so that a tenth of 30 is not 3.
NEARLY = 2.0**-22


def checked_share(fraction: Any) -> float:
    """Return the share of all rows that is chosen."""
    if not is_real(fraction) or not 0.0 < fraction <= 1.0:
        raise ArgumentError(
            f"fraction= wants a share above 0 and at most 1, not {fraction!r}. "
            "For a number of items of each query use PrecisionAtK(k)."
        )
    return float(fraction)


class TopFraction(BestThreshold):
    """A number of the positives in the highest-scored rows; `score` says which."""

    curve = "precision_recall"
    needs_negatives = False
    fraction: float

    def choose(self, tp: Tensor, fp: Tensor) -> Tensor:
        """Return the highest threshold that the whole fraction scores above."""
        seen = tp + fp
        enough = seen >= self.fraction * (1.0 - NEARLY) * seen[:, -1:]
        return ops.argmax(ops.cast(enough, "int32"), axis=-1)

    def hits(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the positives among the chosen rows, at least and at most."""
        tp, fp = above(histogram)
        xp, seen = namespace(tp), tp + fp
        p, n = (
            xp.flip(part, axis=-1)
            for part in (histogram.positives, histogram.negatives)
        )

        def taken(share: float) -> Tensor:
            """Return how many rows of each bin are chosen; of one bin a part."""
            room = share * seen[:, -1:] - seen[:, :-1]
            return xp.minimum(xp.maximum(room, 0.0), p + n)

        value = total(p * ratio(taken(self.fraction), p + n, 0.0))
        if histogram.exact:
            return value, value, value
        # One bin is taken in part. Its positives may all come last in it, or all first.
        fewer = taken(self.fraction * (1.0 - ROUNDING))
        more = taken(self.fraction * (1.0 + ROUNDING))
        low = total(xp.minimum(p, xp.maximum(fewer - n, 0.0)))
        high = total(xp.minimum(p, more))
        return value, xp.minimum(low, value), xp.maximum(high, value)


@keras.saving.register_keras_serializable("multiback")
class PrecisionAtTopFraction(TopFraction):
    """The precision of the highest-scored fraction of the rows.

    Formula: `positives among the fraction n best rows / (fraction n)` with n rows.

    Use it where a fixed share of the cases is acted on, such as the tenth of the
    customers that is called. `threshold()` returns the highest threshold that at least
    the fraction scores above. Where the fraction ends within a row, or within rows of
    equal scores, it takes a part of them: what a random order gives on average. Data
    without positives give NaN.

    Scores are counted in bins, even around 1/2 and growing with the odds, so that the
    metric streams. `bounds()` says what the order inside of bins could change: it is
    far below 1e-3 for most scores, and large where many scores lie close together. Then
    a warning names `capacity=`, which keeps the scores themselves. A NaN
    score gives NaN, and so do data of one class only; -0 equals 0.

    Args:
        fraction: The share of all rows that is chosen, above 0 and at most 1.
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
            while every element still counts. A single id gives a scalar. "binary"
            refuses it: for the negative class turn labels and scores round.
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

    Source: precision at the top k of n rows, with `k = fraction n`; scikit-learn has no
    function for it.

    Examples:
        Binary, and the threshold above which the rows lie:

        >>> metric = PrecisionAtTopFraction(0.5)
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4), round(metric.threshold(), 2)
        (0.5, 0.4)

        Classes, each one against the rest:

        >>> metric = PrecisionAtTopFraction(0.25, task="multiclass", num_classes=3)
        >>> scores = [
        ...     [0.8, 0.1, 0.1],
        ...     [0.2, 0.5, 0.3],
        ...     [0.2, 0.2, 0.6],
        ...     [0.3, 0.6, 0.1],
        ... ]
        >>> metric.update_state([0, 1, 2, 0], scores)
        >>> round(float(metric.result()), 4)
        0.6667

        Labels that may hold at once:

        >>> metric = PrecisionAtTopFraction(0.5, task="multilabel", num_labels=2)
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        0.8333
    """

    def __init__(
        self,
        fraction: float,
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
        name: str = "precision_at_top_fraction",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task.of_scores(
            task, num_classes, num_labels, from_logits, ignore_index, classes
        )
        self.fraction = checked_share(fraction)
        super().__init__(
            record, average, capacity, num_bins, max_state_mb, name, dtype, intervals
        )

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the precision of the fraction, and its bounds."""
        rows = total(histogram.positives) + total(histogram.negatives)
        value, low, high = (
            ratio(hits, self.fraction * rows, 0.0) for hits in self.hits(histogram)
        )
        return value, low, high
