"""COCO's average precision of boxes, by pycocotools, which torchmetrics asks too."""

import contextlib
import io
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

import multiback.metrics as ours
from multiback.adapters.torchmetrics.arrays import Array, Samples
from multiback.adapters.torchmetrics.oracles.equivalent import Equivalent, NoEquivalent


def boxes(config: dict[str, Any], samples: Samples) -> Equivalent | NoEquivalent:
    """Translate `BoxMeanAveragePrecision` of packed arrays."""
    if samples.masked:
        return NoEquivalent("pycocotools knows no images that are masked")
    if find_spec("pycocotools") is None:
        return NoEquivalent("pycocotools, which would compute it, is not installed")

    def theirs() -> Any:
        return _by_pycocotools(config, samples)

    def bounds() -> Any:
        """The value of the same boxes, whatever the order inside of each bin."""
        metric = ours.BoxMeanAveragePrecision.from_config(config)
        metric.update_state(samples.y_true, samples.y_pred)
        low, high = keras.ops.convert_to_numpy(metric.compute_bounds(metric.state))
        return low, high

    return Equivalent(
        None,
        theirs,
        columns=1024,  # A mean over classes, overlaps and recalls.
        bounds=None if config["capacity"] is not None else bounds,
        note="scikit-learn's column is pycocotools', which torchmetrics asks too",
    )


def _by_pycocotools(config: dict[str, Any], samples: Samples) -> Any:
    """Return COCO's AP of all classes, or of each one."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects, found = (
        [
            {
                "image_id": image,
                "category_id": int(row[4]),
                "bbox": [*row[:2], *(row[2:4] - row[:2])],
                "area": np.prod(row[2:4] - row[:2]),
                last: row[5] if len(row) > 5 else 0,  # noqa: PLR2004 - behind the class
            }
            for image, rows in enumerate(given)
            for row in _with_corners(rows, config)
        ]
        for given, last in ((samples.y_true, "iscrowd"), (samples.y_pred, "score"))
    )
    for number, each in enumerate(objects):
        each |= {"id": number + 1, "iscrowd": int(each["iscrowd"])}
    with contextlib.redirect_stdout(io.StringIO()):
        data, answers = COCO(), COCO()
        data.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(samples.y_true))],
            "categories": [{"id": kind} for kind in range(config["num_classes"])],
            "annotations": objects,
        }
        data.createIndex()
        answers.dataset = {**data.dataset, "annotations": []}
        answers.createIndex()
        if found:
            answers = data.loadRes(found)
        evaluation = COCOeval(data, answers, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    table = evaluation.eval["precision"][:, :, :, 0, -1]
    with np.errstate(all="ignore"):
        values = _defined(table.mean(axis=(0, 1)))
    if config["average"] is None:
        return values
    return np.nanmean(values) if np.any(values >= 0.0) else np.nan


def _defined(values: Array) -> Array:
    """Return NaN where COCO says -1: there is no object."""
    return np.where(values < 0.0, np.nan, values)


def _with_corners(rows: Array, config: dict[str, Any]) -> Array:
    """Return the rows without padding, with left, top, right, bottom in pixels."""
    rows = np.asarray(rows, "float64")
    rows = rows[rows[:, 4] >= 0.0]
    kind = config["format"].removeprefix("rel_")
    box = rows[:, :4]
    if kind in ("yxyx", "center_yxhw"):
        box = box[:, [1, 0, 3, 2]]
    if kind.startswith("center"):
        box[:, :2] -= box[:, 2:] / 2
    if kind.endswith(("wh", "hw")):
        box[:, 2:] += box[:, :2]
    if config["format"].startswith("rel_"):
        height, width = config["image_size"]
        box *= [width, height] * 2
    return np.concatenate([box, rows[:, 4:]], axis=1)
