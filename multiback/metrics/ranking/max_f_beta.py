"""The largest F-beta of all thresholds, and its threshold."""

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.thresholds import BestThreshold, above
from multiback.metrics.inputs.arguments import is_real
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import Tensor, ratio
from multiback.metrics.statistics.score_histogram import Histogram


@keras.saving.register_keras_serializable("multiback")
class MaxFBeta(BestThreshold):
    """The largest F-beta score of any threshold.

    Formula: `max((1 + beta^2) tp / ((1 + beta^2) tp + beta^2 fn + fp))` over
    thresholds.

    Use it to monitor a model whose threshold is chosen after training, and to choose
    it: `threshold()` returns the threshold to deploy. Of thresholds with the same value
    the highest is taken. Chosen and scored on the same data the value is a little
    optimistic.

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
        beta: How many times recall matters as much as precision.
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

    Source: the largest F of scikit-learn's `precision_recall_curve`; Lipton, Elkan and
    Naryanaswamy, Optimal thresholding of classifiers to maximize F1 measure (2014).

    Examples:
        Binary, and the threshold to deploy:

        >>> metric = MaxFBeta()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4), round(metric.threshold(), 2)
        (0.8, 0.35)

        Classes, each one against the rest:

        >>> metric = MaxFBeta(task="multiclass", num_classes=3)
        >>> scores = [
        ...     [0.8, 0.1, 0.1],
        ...     [0.2, 0.5, 0.3],
        ...     [0.2, 0.2, 0.6],
        ...     [0.3, 0.6, 0.1],
        ... ]
        >>> metric.update_state([0, 1, 2, 0], scores)
        >>> round(float(metric.result()), 4)
        0.8889

        Labels that may hold at once:

        >>> metric = MaxFBeta(task="multilabel", num_labels=2)
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        0.9
    """

    curve = "precision_recall"
    needs_negatives = False

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        beta: float = 1.0,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Average = "macro",
        classes: Ids = None,
        capacity: int | None = None,
        num_bins: int | None = None,
        max_state_mb: float | None = None,
        from_logits: bool = False,
        ignore_index: Ids = None,
        name: str = "max_f_beta",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if not is_real(beta) or not beta > 0.0:
            raise ArgumentError(f"beta= wants a number above 0, not {beta!r}.")
        record = Task.of_scores(
            task, num_classes, num_labels, from_logits, ignore_index, classes
        )
        super().__init__(
            record, average, capacity, num_bins, max_state_mb, name, dtype, intervals
        )
        self.beta = float(beta)

    def score(self, histogram: Histogram) -> tuple[Tensor, Tensor, Tensor]:
        """Return the largest F, and its bounds."""
        tp, fp = above(histogram)
        value = ops.max(self._f(tp, fp), axis=-1)
        if histogram.exact:
            return value, value, value
        # At best all positives of a bin score higher than all of its negatives.
        positives = tp[:, -1:]
        inside = ops.max(self._f(tp[:, 1:], fp[:, :-1], positives), axis=-1)
        return value, value, ops.maximum(value, inside)

    def choose(self, tp: Tensor, fp: Tensor) -> Tensor:
        """Return the highest threshold with the largest F."""
        return ops.argmax(self._f(tp, fp), axis=-1)

    def _f(self, tp: Tensor, fp: Tensor, positives: Tensor | None = None) -> Tensor:
        """Return F of each threshold; without positives it is 0."""
        square = self.beta**2
        positives = tp[:, -1:] if positives is None else positives
        return ratio((1.0 + square) * tp, square * positives + tp + fp, 0.0)
