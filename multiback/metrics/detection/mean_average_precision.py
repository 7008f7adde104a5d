"""COCO's mean average precision of detected boxes."""

from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError, WideBoundsWarning
from multiback.keras_private import get_keras_mask
from multiback.metrics.base.metric import Direction, Metric, on_host
from multiback.metrics.base.score_metric import ENOUGH
from multiback.metrics.detection import boxes, precision
from multiback.metrics.detection.buffer import BoxBuffer
from multiback.metrics.detection.counts import BoxHistogram, BoxStatistic
from multiback.metrics.detection.matching import IOUS, TWENTIETHS
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.score_bins import most_bits
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.warn import warn

Format = Literal[
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
]

_SIZES = ("", "_small", "_medium", "_large")
_RECALLS = ("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large")
# float32 roundings of a sum of 101 shares.
ROUNDING = 1e-5
# Warn if the bounds are further apart than this.
WIDE = 0.01


@keras.saving.register_keras_serializable("multiback")
class BoxMeanAveragePrecision(Metric):
    """COCO's mean average precision of detected boxes, AP@[.50:.05:.95].

    Formula: `mean over classes c and overlaps t of AP(c, t)`, where AP is the mean over
    the recalls 0, 0.01, ..., 1 of the best precision at that recall or a larger one. A
    detection is right if it overlaps a free object of its class by an IoU of t or more;
    in an image those of higher confidence choose first.

    Use it for a detector whose boxes are decoded and padded. `summary()` has COCO's
    twelve numbers, and `bounds()` what the bins leave open. A class without objects
    leaves the mean; the value of no objects is NaN.

    The state has a fixed size: about 250 kB a class with the default bins, and 24 bytes
    a detection with `capacity=`. It runs inside of a compiled step on every backend.

    Keras hands each output of a model to its own metrics. So a model with one output
    `(B, M, 6)` takes this in `compile(metrics=[...])`, with packed labels. A model with
    a dictionary of outputs has it as an attribute, and updates it in its
    `compute_metrics(x, y, y_pred, sample_weight)`.

    Args:
        num_classes: Number of classes; their ids are 0 to `num_classes - 1`.
        format: Format of the boxes, as in Keras: "xyxy", "yxyx", "xywh", "center_xywh",
            "center_yxhw", or "rel_xyxy", "rel_yxyx", "rel_xywh" with `image_size=`.
        image_size: Height and width in pixels, for a relative format: COCO's small
            objects are those below 32 * 32 pixels, and large ones above 96 * 96.
        average: "macro" for the mean over classes, or None for a value each.
        capacity: Number of detections that are kept; the value is exact then. None
            counts confidences in bins.
        num_bins: Largest number of bins; more make `bounds()` closer.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.

    Call arguments:
        y_true: A dictionary of "boxes" `(B, N, 4)` and "classes" or "labels" `(B, N)`,
            where -1 is padding; optional are "mask" `(B, N)`, False for padding, and
            "is_crowd" `(B, N)`. Or one array `(B, N, 5)` of box and class, or
            `(B, N, 6)` with the crowd behind.
        y_pred: A dictionary of "boxes" `(B, M, 4)`, "classes" or "labels" `(B, M)` and
            "confidence" or "scores" `(B, M)`; optional are "mask" and "num_detections"
            `(B,)`. Or one array `(B, M, 6)` of box, class and confidence.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: Lin et al., Microsoft COCO, ECCV 2014, and `pycocotools.cocoeval`.

    Examples:
        One image, of two objects and two detections, with a place for padding each:

        >>> metric = BoxMeanAveragePrecision(num_classes=2, capacity=100)
        >>> metric.update_state(
        ...     {
        ...         "boxes": [[[0, 0, 10, 10], [20, 20, 60, 60], [0, 0, 0, 0]]],
        ...         "classes": [[0, 1, -1]],
        ...     },
        ...     {
        ...         "boxes": [[[0, 0, 10, 10], [20, 20, 60, 50], [0, 0, 0, 0]]],
        ...         "classes": [[0, 1, -1]],
        ...         "confidence": [[0.9, 0.8, 0.0]],
        ...     },
        ... )
        >>> round(float(metric.result()), 4)
        0.8
        >>> round(metric.summary()["AP50"], 4), round(metric.summary()["AP_small"], 4)
        (1.0, 1.0)
    """

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        num_classes: int,
        format: Format = "xyxy",
        *,
        image_size: tuple[int, int] | None = None,
        average: Literal["macro"] | None = "macro",
        capacity: int | None = None,
        num_bins: int = 1000,
        name: str = "box_mean_average_precision",
        dtype: str | None = None,
    ) -> None:
        if format not in boxes.FORMATS:
            raise ArgumentError(
                f"format= wants one of {', '.join(boxes.FORMATS)}, not {format!r}."
            )
        if average not in ("macro", None):
            raise ArgumentError(f'average= wants "macro" or None, not {average!r}.')
        size = _checked_size(image_size, format)
        number = as_integer("num_classes", num_classes, 1)
        bits = most_bits(as_integer("num_bins", num_bins, 2), logits=False)
        self._boxes: BoxStatistic = (
            BoxHistogram(number, format, size, bits)
            if capacity is None
            else BoxBuffer(number, format, size, as_integer("capacity", capacity, 1))
        )
        super().__init__(self._boxes, name=name, dtype=dtype)
        self.average = average
        self._said = False

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Tensor | None = None
    ) -> None:
        """Add one batch.

        Args:
            y_true: Objects; the class docstring says how.
            y_pred: Detections; the class docstring says how.
            sample_weight: None, as COCO has no weights.

        Raises:
            ArgumentError: The shapes do not fit together, or there are weights. Values
                never raise: see `unusable`.
        """
        mask = get_keras_mask(y_pred) if ops.is_tensor(y_pred) else None
        self.add_batch(
            *self._boxes.packed(y_true, y_pred), sample_weight=sample_weight, mask=mask
        )

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        return self._value(state, "mean")

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the value for a state of NumPy arrays, and warn of wide bounds."""
        value = self._value(state, "mean")
        if not self._said and isinstance(self._boxes, BoxHistogram):
            gap = self._value(state, "best") - self._value(state, "worst")
            number = int(state["scores"][:, :, 0].sum()) // IOUS
            if number >= ENOUGH and np.any(gap > WIDE):
                self._said = True
                warn(
                    f"{self.name} may be off by {np.nanmax(gap):.2g}: many of the "
                    f"{number} confidences share a bin; bounds() gives what is certain,"
                    " and capacity=N keeps N detections and is exact.",
                    WideBoundsWarning,
                )
        return float(value) if value.ndim == 0 else value

    def compute_bounds(self, state: State) -> Tensor:
        """Return the smallest and the largest value that the data could have."""
        xp = namespace(state["objects"])
        low, high = self._value(state, "worst"), self._value(state, "best")
        return xp.clip(xp.stack([low - ROUNDING, high + ROUNDING]), 0.0, 1.0)

    def bounds(self) -> Any:
        """Return what the value of the data themselves certainly lies between.

        Returns:
            Two floats, or with `average=None` two arrays.
        """
        ends = self.compute_bounds(on_host(self.state))
        return tuple(map(float, ends)) if ends.ndim == 1 else tuple(ends)

    def summary(self) -> dict[str, float]:
        """Return COCO's twelve numbers, each the mean over classes that have objects.

        Returns:
            "AP" over all overlaps, "AP50" and "AP75" at one, "AP_small", "AP_medium"
            and "AP_large" by the size of the object; "AR_1", "AR_10" and "AR_100", the
            recall of so many detections a class and image, and "AR_small", "AR_medium"
            and "AR_large". NaN where there is no object.
        """
        return self.compute_summary(self.state)

    def compute_summary(self, state: State) -> dict[str, float]:
        """Return the twelve numbers of a state, such as a merged one."""
        state = on_host(state)
        found: dict[str, float] = {}
        for area, size in enumerate(_SIZES):
            values = self._boxes.average_precision(state, area, "mean")
            here = values[state["objects"][:, area] > 0]
            found[f"AP{size}"] = _mean(here)
            if not area:
                for twentieths in (10, 15):
                    column = here[:, TWENTIETHS.index(twentieths)]
                    found[f"AP{5 * twentieths}"] = _mean(column)
        recalls = self._boxes.average_recall(state)
        for name, row in zip(_RECALLS, recalls, strict=True):
            found[name] = _mean(row[~np.isnan(row)])
        order = ("AP", "AP50", "AP75", *(f"AP{size}" for size in _SIZES[1:]), *_RECALLS)
        if self._boxes.broken(state):
            return dict.fromkeys(order, float("nan"))
        return {name: found[name] for name in order}

    def _value(self, state: State, share: str) -> Tensor:
        """Return the mean of the classes with objects, or one value each."""
        xp = namespace(state["objects"])
        values = xp.mean(self._boxes.average_precision(state, 0, share), axis=-1)
        present = state["objects"][:, 0] > 0
        usable = xp.logical_not(self._boxes.broken(state))
        if self.average is not None:
            number = xp.sum(precision.cast(present, "float32"))
            total = xp.sum(xp.where(present, values, 0.0))
            values, present = total / xp.maximum(number, 1.0), number > 0.0
        return xp.where(xp.logical_and(present, usable), values, float("nan"))


def _checked_size(size: Any, format: str) -> tuple[int, int] | None:
    """Return `(height, width)`, which a relative format needs."""
    if not format.startswith("rel_"):
        if size is not None:
            raise ArgumentError(
                f"image_size= wants None, not {size!r}: format={format!r} is in pixels."
            )
        return None
    if not isinstance(size, list | tuple) or len(size) != 2:  # noqa: PLR2004 - two sides
        raise ArgumentError(
            f"image_size= wants (height, width) in pixels for format={format!r}, not "
            f"{size!r}."
        )
    height, width = (as_integer("image_size", side, 1) for side in size)
    return height, width


def _mean(values: Any) -> float:
    return float(values.mean()) if values.size else float("nan")
