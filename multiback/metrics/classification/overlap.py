"""Overlap of labels and predictions: Jaccard and Dice."""

from typing import Any

import keras

from multiback.metrics.base.count_metric import RatioMetric, Task
from multiback.metrics.statistics.counts import CountTable

Tensor = Any


@keras.saving.register_keras_serializable("multiback")
class JaccardIndex(RatioMetric):
    """Intersection over union: `tp / (tp + fp + fn)`.

    With `task="multiclass"` and `average="macro"` it is the mIoU of the whole
    data: pixels of all images count together.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `jaccard_score`; torchmetrics' `JaccardIndex`. Keras's
    `MeanIoU` leaves out classes without a union, as this does.

    Example:
    >>> jaccard_index = JaccardIndex()
    >>> jaccard_index.update_state([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.8])
    >>> round(float(jaccard_index.result()), 4)
    0.3333
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "jaccard_index", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `tp` and `tp + fp + fn`."""
        return table.tp, table.tp + table.fp + table.fn


@keras.saving.register_keras_serializable("multiback")
class Dice(RatioMetric):
    """Twice the intersection over both sizes: `2 tp / (2 tp + fp + fn)`.

    Over the whole data this is the F1 score under segmentation's name.

    Arguments and shapes are those of `RatioMetric`.

    Source: scikit-learn's `f1_score`, with the rule `score > threshold`.

    Example:
    >>> dice = Dice()
    >>> dice.update_state([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.8])
    >>> float(dice.result())
    0.5
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "dice", **arguments: Any
    ) -> None:
        super().__init__(task, name=name, **arguments)

    def fraction(self, table: CountTable) -> tuple[Tensor, Tensor]:
        """Return `2 tp` and `2 tp + fp + fn`."""
        twice = 2.0 * table.tp
        return twice, twice + table.fp + table.fn
