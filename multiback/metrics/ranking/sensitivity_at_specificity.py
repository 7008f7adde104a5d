"""The best sensitivity at a specificity, and the other way round."""

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.inputs.task import Average, Ids, Task, TaskName
from multiback.metrics.numeric.arithmetic import Tensor
from multiback.metrics.ranking.operating_point import OperatingPoint, Rates


@keras.saving.register_keras_serializable("multiback")
class SensitivityAtSpecificity(OperatingPoint):
    """The highest sensitivity (recall) where specificity is at least `specificity`.

    Formula: `max(sensitivity(t))` over thresholds t with
    `specificity(t) >= specificity`.

    Use it where one kind of error has a limit. `threshold()` returns the threshold to
    deploy. Of thresholds with the same value the one with more of the other is taken,
    then the highest. A condition is met within 2**-22, four roundings. Where no
    threshold meets it the value is 0 and the threshold infinite: nothing is predicted.

    Scores are counted in bins, even around 1/2 and growing with the odds, so that the
    metric streams. `bounds()` says what the order inside of bins could change: it is
    far below 1e-3 for most scores, and large where many scores lie close together. Then
    a warning names `capacity=`, which keeps the scores themselves. A NaN
    score gives NaN, and so do data of one class only; -0 equals 0.

    Args:
        specificity: The smallest specificity that is allowed, in [0, 1].
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

    Source: torchmetrics' `SensitivityAtSpecificity` over scikit-learn's `roc_curve`.
    Keras's metric of this name tries 200 thresholds.

    Examples:
        Binary, and the threshold to deploy:

        >>> metric = SensitivityAtSpecificity(specificity=0.5)
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4), round(metric.threshold(), 2)
        (1.0, 0.35)

        Classes, each one against the rest:

        >>> metric = SensitivityAtSpecificity(
        ...     specificity=0.5, task="multiclass", num_classes=3
        ... )
        >>> scores = [
        ...     [0.8, 0.1, 0.1],
        ...     [0.2, 0.5, 0.3],
        ...     [0.2, 0.2, 0.6],
        ...     [0.3, 0.6, 0.1],
        ... ]
        >>> metric.update_state([0, 1, 2, 0], scores)
        >>> round(float(metric.result()), 4)
        1.0

        Labels that may hold at once:

        >>> metric = SensitivityAtSpecificity(
        ...     specificity=0.5, task="multilabel", num_labels=2
        ... )
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        0.75
    """

    condition = "specificity"

    def __init__(
        self,
        specificity: float,
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
        name: str = "sensitivity_at_specificity",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task.of_scores(
            task, num_classes, num_labels, from_logits, ignore_index, classes
        )
        self._at_least = self._checked_minimum(specificity)
        super().__init__(
            record, average, capacity, num_bins, max_state_mb, name, dtype, intervals
        )

    def rate_and_limit(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return recall and specificity."""
        return rates.recall, rates.specificity


@keras.saving.register_keras_serializable("multiback")
class SpecificityAtSensitivity(OperatingPoint):
    """The highest specificity where sensitivity (recall) is at least `sensitivity`.

    Formula: `max(specificity(t))` over thresholds t with
    `sensitivity(t) >= sensitivity`.

    Use it where one kind of error has a limit. `threshold()` returns the threshold to
    deploy. Of thresholds with the same value the one with more of the other is taken,
    then the highest. A condition is met within 2**-22, four roundings. Where no
    threshold meets it the value is 0 and the threshold infinite: nothing is predicted.

    Scores are counted in bins, even around 1/2 and growing with the odds, so that the
    metric streams. `bounds()` says what the order inside of bins could change: it is
    far below 1e-3 for most scores, and large where many scores lie close together. Then
    a warning names `capacity=`, which keeps the scores themselves. A NaN
    score gives NaN, and so do data of one class only; -0 equals 0.

    Args:
        sensitivity: The smallest sensitivity that is allowed, in [0, 1].
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

    Source: torchmetrics' `SpecificityAtSensitivity` over scikit-learn's `roc_curve`.
    Keras's metric of this name tries 200 thresholds.

    Examples:
        Binary, and the threshold to deploy:

        >>> metric = SpecificityAtSensitivity(sensitivity=0.5)
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> round(float(metric.result()), 4), round(metric.threshold(), 2)
        (1.0, 0.8)

        Classes, each one against the rest:

        >>> metric = SpecificityAtSensitivity(
        ...     sensitivity=0.5, task="multiclass", num_classes=3
        ... )
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

        >>> metric = SpecificityAtSensitivity(
        ...     sensitivity=0.5, task="multilabel", num_labels=2
        ... )
        >>> metric.update_state(
        ...     [[0, 1], [1, 0], [1, 1]], [[0.2, 0.6], [0.9, 0.8], [0.7, 0.9]]
        ... )
        >>> round(float(metric.result()), 4)
        1.0
    """

    condition = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
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
        name: str = "specificity_at_sensitivity",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        record = Task.of_scores(
            task, num_classes, num_labels, from_logits, ignore_index, classes
        )
        self._at_least = self._checked_minimum(sensitivity)
        super().__init__(
            record, average, capacity, num_bins, max_state_mb, name, dtype, intervals
        )

    def rate_and_limit(self, rates: Rates) -> tuple[Tensor, Tensor]:
        """Return specificity and recall."""
        return rates.specificity, rates.recall
