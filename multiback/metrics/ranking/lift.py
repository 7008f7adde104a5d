"""Lift: how many more positives the best scores hold than any."""

import math
from typing import ClassVar

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import Tensor, ratio
from multiback.metrics.ranking.top_fraction import TopFraction, checked_share
from multiback.metrics.statistics.score_histogram import Histogram, total


@keras.saving.register_keras_serializable("multiback")
class Lift(TopFraction):
    """The lift of the highest-scored fraction: its precision over that of chance.

    Formula: `precision of the fraction n best rows / prevalence`, where the prevalence
    is the share of positives of all n rows. A random order has 1, and `1 / fraction` is
    the most where positives are rarer than the fraction.

    Use it to say what a model brings where a fixed share of the cases is acted on: with
    a lift of 3 a call reaches three times as many buyers as a random one.
    `threshold()` returns the highest threshold that at least the fraction scores above.
    Where the fraction ends within a row, or within rows of equal scores, it takes a
    part of them: what a random order gives on average. Data without positives give NaN.

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

    Source: Witten, Frank and Hall, Data Mining (2011), section 5.7: the value of
    `PrecisionAtTopFraction` over the mean of `y_true`.

    Examples:
        Binary, and the threshold above which the rows lie:

        >>> metric = Lift(0.5)
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4), round(metric.threshold(), 2)
        (1.0, 0.4)

        Classes, each one against the rest:

        >>> metric = Lift(0.25, task="multiclass", num_classes=3)
        >>> scores = [
        ...     [0.8, 0.1, 0.1],
        ...     [0.2, 0.5, 0.3],
        ...     [0.2, 0.2, 0.6],
        ...     [0.3, 0.6, 0.1],
        ... ]
        >>> metric.update_state([0, 1, 2, 0], scores)
        >>> round(float(metric.result()), 4)
        2.0

        Labels that may hold at once:

        >>> metric = Lift(0.5, task="multilabel", num_labels=2)
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        1.25
    """

    value_range: ClassVar[tuple[float, float]] = (0.0, math.inf)

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
        name: str = "lift",
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
        """Return the lift of the fraction, and its bounds."""
        positives = total(histogram.positives)
        value, low, high = (
            ratio(hits, self.fraction * positives, 0.0) for hits in self.hits(histogram)
        )
        return value, low, high
