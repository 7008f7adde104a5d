"""The error where both kinds of errors are equally frequent."""

from typing import ClassVar

import keras
from keras import ops

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction
from multiback.metrics.base.thresholds import BestThreshold, above
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import Tensor, ratio
from multiback.metrics.statistics.score_histogram import Histogram


@keras.saving.register_keras_serializable("multiback")
class EqualErrorRate(BestThreshold):
    """The equal error rate (EER): where misses are as frequent as false alarms.

    Formula: the false positive rate at the point of the ROC curve where it equals the
    false negative rate; between two points the curve is a line.

    Use it to compare verification systems, such as of speakers or faces, in which both
    errors count. `threshold()` returns the threshold whose two rates are nearest to
    each other.

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

    Source: scikit-learn's `roc_curve`, and a line between its points. torchmetrics'
    `EER` takes the mean of both rates at the nearest point instead.

    Examples:
        Binary, and the threshold to deploy:

        >>> metric = EqualErrorRate()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4), round(metric.threshold(), 2)
        (0.5, 0.4)

        Classes, each one against the rest:

        >>> metric = EqualErrorRate(task="multiclass", num_classes=3)
        >>> scores = [
        ...     [0.8, 0.1, 0.1],
        ...     [0.2, 0.5, 0.3],
        ...     [0.2, 0.2, 0.6],
        ...     [0.3, 0.6, 0.1],
        ... ]
        >>> metric.update_state([0, 1, 2, 0], scores)
        >>> round(float(metric.result()), 4)
        0.1111

        Labels that may hold at once:

        >>> metric = EqualErrorRate(task="multilabel", num_labels=2)
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        0.25
    """

    direction: ClassVar[Direction | None] = "min"

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
        name: str = "equal_error_rate",
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
        """Return the rate where the curve crosses, and its bounds."""
        fpr, fnr = _errors(*above(histogram))
        # The first threshold is above all scores: it misses all, without a false alarm.
        after = ops.argmax(ops.cast(fpr >= fnr, "int32"), axis=-1)
        after = ops.expand_dims(ops.maximum(after, 1), -1)
        (fpr_0, fpr_1), (fnr_0, fnr_1) = (
            [ops.take_along_axis(rate, at, axis=-1)[:, 0] for at in (after - 1, after)]
            for rate in (fpr, fnr)
        )
        share = ratio(fnr_0 - fpr_0, fpr_1 - fpr_0 + fnr_0 - fnr_1, 0.0)
        value = fpr_0 + share * (fpr_1 - fpr_0)
        if histogram.exact:
            return value, value, value
        # Whatever the order inside of the bin, the curve stays in this box.
        return value, ops.maximum(fpr_0, fnr_1), ops.minimum(fpr_1, fnr_0)

    def choose(self, tp: Tensor, fp: Tensor) -> Tensor:
        """Return the threshold whose two rates are nearest to each other."""
        fpr, fnr = _errors(tp, fp)
        return ops.argmin(ops.abs(fpr - fnr), axis=-1)


def _errors(tp: Tensor, fp: Tensor) -> tuple[Tensor, Tensor]:
    """Return the false positive and the false negative rate of each threshold."""
    positives, negatives = tp[:, -1:], fp[:, -1:]
    fpr = ratio(fp, ops.broadcast_to(negatives, fp.shape), 0.0)
    fnr = ratio(positives - tp, ops.broadcast_to(positives, tp.shape), 0.0)
    return fpr, fnr
