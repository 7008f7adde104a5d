"""Generalised Dice: overlap of classes that are weighted by their size."""

from typing import Any, Literal

import keras

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.classification.samplewise import SamplewiseOverlap
from multiback.metrics.inputs.task import Ids, Task, TaskName
from multiback.metrics.statistics.sample_ratios import Kind


@keras.saving.register_keras_serializable("multiback")
class GeneralizedDice(SamplewiseOverlap):
    """The generalized Dice score of each sample, averaged over samples.

    Formula: the mean over samples of `2 sum(w tp) / sum(w (2 tp + fp + fn))`, summed
    over the classes, with a weight w of each class in the sample.

    Use it for segments of very different sizes: with the weights of "square" a small
    structure counts as much as the background. A class without labels in a sample has
    the largest weight of the sample's other classes. No data give NaN.

    Args:
        task: "binary" (each element is 0 or 1), "multiclass" (each element has one
            class) or "multilabel" (each of several labels may hold). None, the default,
            takes "binary" if the first `y_pred` is a vector or has a last axis of 1,
            and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        classes: A class id or label, or a list of them: the value is of these only,
            while every element still counts, such as those without the background. For
            "binary" 0 is the negative class. None takes all classes, for "binary" the
            positive one.
        weight_type: The weight of a class in a sample: "square" (1 over the square of
            its number of labels), "simple" (1 over that number) or "linear" (1).
        threshold: A score above this probability, not equal to it, is positive.
            "multiclass" predicts the first largest score instead.
        from_logits: Whether `y_pred` holds logits instead of probabilities. It is never
            guessed.
        ignore_index: A label, or a list of them, whose elements are left out.
        zero_division: Value of a sample in which there is nothing to overlap: 0, 1, or
            NaN, which leaves the sample out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; counts stay exact and the result is
            float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype; the first axis is that of
            samples. "binary": 0 or 1, `(N, ...)`. "multiclass": ids `(N, ...)` or
            one-hot `(N, ..., num_classes)`. "multilabel": 0 or 1, `(N, ...,
            num_labels)`.
        y_pred: Scores of any float dtype. "binary" and "multilabel": the shape of
            `y_true`. "multiclass": `(N, ..., num_classes)`, or integer class ids `(N,
            ...)`.
        sample_weight: One number a sample, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: Crum, Camara and Hill (2006), Sudre and others (2017), and MONAI's
    `GeneralizedDiceScore`. torchmetrics' has the same value where each class is in each
    sample; an absent class has the largest weight of its batch there.

    Examples:
        Two images of class ids:

        >>> metric = GeneralizedDice(task="multiclass", num_classes=3)
        >>> metric.update_state(
        ...     [[0, 1, 1, 0], [0, 2, 2, 0]], [[1, 1, 1, 0], [0, 2, 0, 0]]
        ... )
        >>> round(float(metric.result()), 4)
        0.75

        Without the background:

        >>> metric = GeneralizedDice(
        ...     task="multiclass", num_classes=3, classes=[1, 2]
        ... )
        >>> metric.update_state(
        ...     [[0, 1, 1, 0], [0, 2, 2, 0]], [[1, 1, 1, 0], [0, 2, 0, 0]]
        ... )
        >>> round(float(metric.result()), 4)
        0.7333

        Masks of two classes:

        >>> metric = GeneralizedDice(task="binary", classes=[0, 1])
        >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
        >>> round(float(metric.result()), 4)
        0.75

        Two samples with two labels each:

        >>> metric = GeneralizedDice(task="multilabel", num_labels=2)
        >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
        >>> round(float(metric.result()), 4)
        0.8333
    """

    def __init__(
        self,
        task: TaskName | None = None,
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        classes: Ids = None,
        weight_type: Literal["square", "simple", "linear"] = "square",
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: Ids = None,
        zero_division: float = 0.0,
        name: str = "generalized_dice",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        kinds: dict[Any, Kind] = {
            "square": "dice-square",
            "simple": "dice-simple",
            "linear": "dice-linear",
        }
        if not isinstance(weight_type, str) or weight_type not in kinds:
            raise ArgumentError(
                'weight_type= wants "square", "simple" or "linear", not '
                f"{weight_type!r}."
            )
        record = Task(
            task, num_classes, num_labels, threshold, from_logits, ignore_index, classes
        )
        super().__init__(
            kinds[weight_type], record, "micro", zero_division, name, dtype, intervals
        )
