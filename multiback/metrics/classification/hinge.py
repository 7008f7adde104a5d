"""The hinge loss: how far the lead of the right score is from 1."""

import math

import keras

from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.classification.probabilistic import LossMetric
from multiback.metrics.inputs.arguments import check_flag
from multiback.metrics.inputs.task import ClassTask, Ids
from multiback.metrics.statistics.losses import Kind


@keras.saving.register_keras_serializable("multiback")
class HingeLoss(LossMetric):
    """The hinge loss: the mean of `max(0, 1 - lead)` of the label's score.

    Formula: `mean(max(0, 1 - lead))`. For two classes the lead is the score of a
    positive and minus that of a negative; for several it is the score of the label less
    the largest other score (Crammer and Singer 2001).

    Use it for support vector machines and other models that are trained with a margin.
    `y_pred` holds decisions, any numbers, which are taken as they are, without sigmoid
    or softmax. No data, and a NaN score, give NaN.

    Args:
        task: "binary" (each element is 0 or 1) or "multiclass" (each element has one
            class). None, the default, takes "binary" if the first `y_pred` is a vector
            or has a last axis of 1, and raises for any other shape.
        num_classes: Number of classes, for "multiclass" only.
        squared: Whether to average the squares of the losses.
        ignore_index: A label, or a list of them, whose elements are left out.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; sums stay exact across batches and the
            result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Labels of any integer, boolean or float dtype. "binary": 0 or 1, any
            shape; give `y_true > 0` for labels of -1 and 1. "multiclass": ids `(...)`
            or one-hot `(..., num_classes)`.
        y_pred: Decisions of any float dtype. "binary": the shape of `y_true`.
            "multiclass": `(..., num_classes)`.
        sample_weight: One number a sample or an element, or None.

    Raises:
        ArgumentError: An argument is unknown or not usable, `task=` is missing where
            `y_pred` may hold several scores an element, or the shapes do not fit
            together.

    Source: scikit-learn's `hinge_loss`. torchmetrics' `HingeLoss` takes the sigmoid or
    softmax of a batch with scores outside of [0, 1] first, and Keras's
    `CategoricalHinge` lets no other score be below 0.

    Examples:
        Binary:

        >>> metric = HingeLoss()
        >>> metric.update_state([0, 1, 1], [-2.0, 0.5, -0.5])
        >>> round(float(metric.result()), 4)
        0.6667

        Classes:

        >>> metric = HingeLoss(task="multiclass", num_classes=3)
        >>> metric.update_state([0, 2], [[2.0, 0.5, 0.0], [0.0, 1.0, 0.5]])
        >>> round(float(metric.result()), 4)
        0.75
    """

    value_range = (0.0, math.inf)

    def __init__(
        self,
        task: ClassTask | None = None,
        *,
        num_classes: int | None = None,
        squared: bool = False,
        ignore_index: Ids = None,
        name: str = "hinge_loss",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        squared = check_flag("squared", squared)
        from_logits = True  # A score's margin is no probability.
        kind: Kind = "squared_hinge" if squared else "hinge"
        super().__init__(
            kind, task, num_classes, from_logits, ignore_index, name, dtype, intervals
        )
