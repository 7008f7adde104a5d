"""Boxes as users give them, brought to corners in pixels and to one array a side.

A packed array of truths is `(B, N, 6)`: left, top, right, bottom, class, crowd. One of
detections is `(B, M, 6)` with the confidence in place of the crowd. The class -1 is
padding.
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.numeric.arithmetic import Tensor

FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
)
COORDINATES = 4
PADDING = -1
_CLASSES = ("classes", "labels")
_SCORES = ("confidence", "scores")


def to_corners(boxes: Tensor, format: str, image_size: Any) -> Tensor:
    """Return boxes `(..., 4)` as left, top, right and bottom in pixels.

    `image_size` is height and width for a relative format, otherwise None.
    """
    a, b, c, d = ops.unstack(boxes, COORDINATES, axis=-1)
    kind = format.removeprefix("rel_")
    if kind in ("yxyx", "center_yxhw"):
        a, b, c, d = b, a, d, c
    if kind.startswith("center"):
        a, b = a - c / 2.0, b - d / 2.0
    if kind in ("xywh", "center_xywh", "center_yxhw"):
        c, d = a + c, b + d
    corners = ops.stack([a, b, c, d], axis=-1)
    if format.startswith("rel_"):
        height, width = image_size
        scale = ops.convert_to_tensor([width, height] * 2, dtype="float32")
        corners = corners * scale
    return corners


def pack(given: Any, what: str, last: tuple[str, ...]) -> Tensor:
    """Return one float32 array `(B, N, 6)` of a dictionary, or of an array as it is.

    Truths may lack the crowd. `what` is "y_true" or "y_pred", for messages; `last` the
    names of the last column.
    """
    width = COORDINATES + 2
    if not isinstance(given, Mapping):
        packed = _floats(given)
        shape = packed.shape
        if len(shape) == 3 and shape[-1] == width - 1 and what == "y_true":  # noqa: PLR2004 - axes
            return ops.pad(packed, [(0, 0), (0, 0), (0, 1)])
        if len(shape) != 3 or shape[-1] != width:  # noqa: PLR2004 - axes
            raise ArgumentError(
                f"{what}= wants a dictionary with boxes and classes, or an array "
                f"(B, N, {width}) of both, not one of shape {tuple(shape)}."
            )
        return packed
    boxes = _floats(_find(given, ("boxes",), what))
    classes = _floats(_find(given, _CLASSES, what))
    if "mask" in given:
        keep = ops.cast(given["mask"], "bool")
        classes = ops.where(keep, classes, float(PADDING))
    if "num_detections" in given:
        number = ops.expand_dims(ops.cast(given["num_detections"], "int32"), -1)
        place = ops.arange(ops.shape(classes)[1], dtype="int32")
        classes = ops.where(place < number, classes, float(PADDING))
    if what == "y_pred" or any(name in given for name in last):
        rest = _floats(_find(given, last, what))
    else:
        rest = ops.zeros_like(classes)
    columns = (classes, rest)
    if len(boxes.shape) != 3 or any(len(x.shape) != 2 for x in columns):  # noqa: PLR2004 - axes
        shapes = [tuple(x.shape) for x in (boxes, *columns)]
        raise ArgumentError(
            f"{what}= wants boxes (B, N, 4) and (B, N) of all else, not {shapes}. Pad "
            "each image to N boxes with the class -1."
        )
    known = {x.shape[1] for x in (boxes, *columns)} - {None}
    if len(known) > 1:
        raise ArgumentError(
            f"{what}= wants as many boxes as classes, not {sorted(known)} of them. Pad "
            "each array with the class -1."
        )
    return ops.concatenate([boxes, *(ops.expand_dims(x, -1) for x in columns)], -1)


def _floats(values: Any) -> Tensor:
    return ops.cast(ops.convert_to_tensor(values), "float32")


def _find(given: Mapping[str, Any], names: tuple[str, ...], what: str) -> Any:
    for name in names:
        if name in given:
            return given[name]
    wanted = " or ".join(f'"{name}"' for name in names)
    raise ArgumentError(f"{what}= wants {wanted}; it has {', '.join(given)}.")
