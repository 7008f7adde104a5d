"""Overlap of each sample, such as an image, averaged over samples."""

import math
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.averaging import check_zero_division
from multiback.metrics.base.count_metric import Task, counts_for_task
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.inputs.arguments import as_plain, refuse_unknown
from multiback.metrics.statistics.sample_ratios import SampleRatios
from multiback.metrics.statistics.statistic import State

Tensor = Any


class SamplewiseOverlap(PairMetric):
    """The mean over samples of an overlap within each.

    A sample is one entry of the first axis. Small and large objects weigh alike here,
    where `JaccardIndex` and `Dice` count the elements of all samples together.

    Args:
        kind: Which overlap.
        task: "binary", "multiclass" or "multilabel".
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        average: Within a sample: "macro" (plain mean over classes or labels),
            "micro" (count them together) or None (the mean of each over samples,
            which cannot be monitored). A class that a sample neither holds nor was
            predicted in leaves its mean. A binary task ignores it.
        threshold: A probability above it, not equal to it, is positive.
        from_logits: `y_pred` holds logits. It is never guessed.
        ignore_index: Elements with this label are left out, and as a class it
            leaves the mean.
        zero_division: Value of a sample in which there is nothing to overlap: 0, 1,
            or NaN, which leaves the sample out.
        name: Name in the logs.
        dtype: Accepted as Keras's metrics do; the arithmetic stays exact.

    Call arguments:
        y_true: Labels. "binary": 0 or 1, `(N, ...)`. "multilabel": 0 or 1,
            `(N, ..., num_labels)`. "multiclass": ids `(N, ...)` or one-hot
            `(N, ..., num_classes)`.
        y_pred: Scores. "binary" and "multilabel": the shape of `y_true`.
            "multiclass": `(N, ..., num_classes)`, or integer ids `(N, ...)`.
        sample_weight: One number a sample, or None.

    No data give NaN.
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        kind: Literal["jaccard", "dice"],
        task: Task = "binary",
        *,
        num_classes: int | None = None,
        num_labels: int | None = None,
        average: Literal["macro", "micro"] | None = "macro",
        threshold: float = 0.5,
        from_logits: bool = False,
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str,
        dtype: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self), unknown)
        check_zero_division(zero_division)
        if average not in ("macro", "micro", None):
            raise ArgumentError(
                f'average= wants "macro", "micro" or None, not {average!r}.'
            )
        arguments = as_plain(
            {
                "num_classes": num_classes,
                "num_labels": num_labels,
                "threshold": threshold,
                "from_logits": from_logits,
                "ignore_index": ignore_index,
            }
        )
        counts: Any = counts_for_task(task, **arguments)
        self._ratios = SampleRatios(
            kind,
            counts,
            "macro" if task == "binary" else average,
            None if math.isnan(zero_division) else zero_division,
        )
        super().__init__(self._ratios, name=name, dtype=dtype)
        self.arguments = {
            "task": task,
            **arguments,
            "average": average,
            "zero_division": zero_division,
        }

    def compute(self, state: State) -> Tensor:
        """Return the mean of a state."""
        means, invalid = self._ratios.read(state)
        values = ops.where(invalid > 0, float("nan"), means)
        return values if self._ratios.average is None else values[0]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable("multiback")
class SamplewiseJaccardIndex(SamplewiseOverlap):
    """The mean over samples of `tp / (tp + fp + fn)` within each.

    Arguments and shapes are those of `SamplewiseOverlap`, but for `kind`.

    Source: scikit-learn's `jaccard_score` of each sample; torchmetrics' `MeanIoU`
    averages all pairs of a sample and a class instead.

    Example:
    >>> metric = SamplewiseJaccardIndex()
    >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
    >>> float(metric.result())
    0.75
    """

    def __init__(
        self,
        task: Task = "binary",
        *,
        name: str = "samplewise_jaccard_index",
        **arguments: Any,
    ) -> None:
        super().__init__("jaccard", task, name=name, **arguments)


@keras.saving.register_keras_serializable("multiback")
class SamplewiseDice(SamplewiseOverlap):
    """The mean over samples of `2 tp / (2 tp + fp + fn)` within each.

    Arguments and shapes are those of `SamplewiseOverlap`, but for `kind`.

    Source: scikit-learn's `f1_score` of each sample.

    Example:
    >>> metric = SamplewiseDice()
    >>> metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9], [0.9, 0.2]])
    >>> round(float(metric.result()), 4)
    0.8333
    """

    def __init__(
        self, task: Task = "binary", *, name: str = "samplewise_dice", **arguments: Any
    ) -> None:
        super().__init__("dice", task, name=name, **arguments)
