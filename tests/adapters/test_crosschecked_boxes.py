"""Boxes are checked against pycocotools, which torchmetrics asks too."""

import keras
import numpy as np
import pytest
from support import coco

import multiback as mb
from multiback.adapters.torchmetrics import audit, crosscheck, equivalents


@pytest.fixture(scope="module")
def drawn():
    return coco.draw(np.random.default_rng(0), 12, 3)


def made(**more):
    return mb.metrics.BoxMeanAveragePrecision(num_classes=3, **more)


class Shifted(mb.metrics.BoxMeanAveragePrecision):
    """It is a tenth too low."""

    def result(self):
        return super().result() * 0.9


@pytest.mark.parametrize(
    "arguments", [{}, {"capacity": 400}, {"capacity": 400, "average": None}]
)
def test_boxes_agree_with_pycocotools(drawn, arguments):
    report = crosscheck(made(**arguments), drawn, batch_size=5)
    assert [row.verdict for row in report.rows] == ["agrees"] * len(report.rows), report
    assert report.rows[0].sklearn is not None


def test_another_value_is_wrong(drawn):
    metric = Shifted(num_classes=3, capacity=400)
    report = crosscheck(metric, drawn)
    assert report.rows[0].verdict == "wrong"


@pytest.mark.parametrize("format", ["xywh", "yxyx", "center_xywh", "rel_xyxy"])
def test_boxes_in_other_formats_agree_with_pycocotools(drawn, format):
    true, found = (part.copy() for part in drawn)
    for part in (true, found):
        left, top, right, bottom = np.moveaxis(part[..., :4].copy(), -1, 0)
        part[..., :4] = np.stack(
            {
                "xywh": [left, top, right - left, bottom - top],
                "yxyx": [top, left, bottom, right],
                "center_xywh": [
                    (left + right) / 2,
                    (top + bottom) / 2,
                    right - left,
                    bottom - top,
                ],
                "rel_xyxy": [left / 200, top / 100, right / 200, bottom / 100],
            }[format],
            axis=-1,
        )
    size = {"image_size": (100, 200)} if format == "rel_xyxy" else {}
    metric = made(format=format, capacity=400, **size)
    report = crosscheck(metric, (true, found), shuffles=0)
    report.raise_if_wrong()
    assert report.rows[0].verdict == "agrees"


def test_equivalents_says_what_torchmetrics_takes():
    assert "list of dictionaries" in str(equivalents(made()))


def test_an_audit_of_a_detector_finds_its_boxes_right(drawn):
    true, found = drawn
    model = keras.Sequential([keras.Input(found.shape[1:]), keras.layers.Identity()])
    model.compile(loss=lambda _, y: 0.0 * y[:, 0, 0], metrics=[made(capacity=400)])
    assert "wrong" not in str(audit(model, (found, true))).lower()
