"""Boxes: COCO's mean average precision, against pycocotools."""

from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import ops
from support import coco
from support.backends import BACKEND, compiled, to_numpy, traced
from support.contracts import MetricContract, stream, unusable

import multiback as mb
from multiback.metrics import BoxMeanAveragePrecision
from multiback.metrics.detection.boxes import to_corners

CLASSES = 3
# float32 sums of 101 shares, for each class and overlap.
EXACT = 2e-6


def numbers(metric):
    return list(metric.summary().values())


def expected(truths, found, num_classes=CLASSES):
    return list(coco.summary(truths, found, num_classes).values())


class TestBoxMeanAveragePrecision(MetricContract):
    cases: ClassVar = {
        "bins": {"num_bins": 25000},
        # Elsewhere it takes seconds to compile, and is what scores are kept by.
        **({"capacity": {"capacity": 3000}} if BACKEND == "torch" else {}),
    }

    def make(self, **arguments):
        return BoxMeanAveragePrecision(CLASSES, **arguments)

    def sample(self, rng, n, _arguments):
        return coco.draw(rng, n, CLASSES, objects=5, detections=8)

    def oracle(self, y_true, y_pred, **_arguments):
        return coco.summary(y_true, y_pred, CLASSES)["AP"]

    def close(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-3)

    def same(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=EXACT)

    def same_state(self, arguments, actual, expected):
        metric = self.make(**arguments)
        self.same(*(metric.compute(to_numpy(s)) for s in (actual, expected)))

    def test_weight_0_removes_a_row_and_an_integer_weight_repeats_it(
        self, rng, arguments
    ):
        batch = self.sample(rng, 2, arguments)
        with pytest.raises(mb.errors.ArgumentError, match="has no weights"):
            self.make(**arguments).update_state(*batch, sample_weight=np.ones(2))

    def test_fractional_weights_agree_with_the_oracle(self):
        """There are none; the test above says so."""

    def test_compiled_equals_eager(self, rng, arguments):
        if BACKEND == "torch":
            pytest.skip("fit on torch is eager: there is nothing to compare")
        metric = self.make(**arguments)
        batch = [ops.convert_to_tensor(x) for x in self.sample(rng, 9, arguments)]

        def step(state, y_true, y_pred):
            state = metric.statistic.update(state, y_true, y_pred)
            return metric.compute(state)

        fast = compiled(step)(metric.statistic.init(), *batch)
        self.same(ops.convert_to_numpy(fast), stream(metric, batch))


@pytest.fixture(scope="module")
def images():
    """Draw 500 images and what pycocotools says of them."""
    truths, found = coco.draw(np.random.default_rng(18), 500, CLASSES)
    return truths, found, expected(truths, found)


def feed(metric, truths, found, size=100):
    for start in range(0, len(truths), size):
        rows = slice(start, start + size)
        metric.update_state(truths[rows], found[rows])
    return metric


def test_the_twelve_numbers_of_500_images_are_those_of_pycocotools(images):
    truths, found, right = images
    metric = feed(BoxMeanAveragePrecision(CLASSES, capacity=10000), truths, found)
    assert tuple(metric.summary()) == coco.NAMES
    np.testing.assert_allclose(numbers(metric), right, rtol=0, atol=EXACT)
    assert float(metric.result()) == pytest.approx(right[0], abs=EXACT)
    each = BoxMeanAveragePrecision(CLASSES, capacity=10000, average=None)
    values = each.compute(to_numpy(metric.state))
    of_each = coco.per_class(truths, found, CLASSES)
    np.testing.assert_allclose(values, of_each, rtol=0, atol=EXACT)


def test_bins_are_near_and_their_bounds_hold(images):
    truths, found, right = images
    metric = feed(BoxMeanAveragePrecision(CLASSES), truths, found)
    assert float(metric.result()) == pytest.approx(right[0], abs=1e-3)
    low, high = metric.bounds()
    assert low <= right[0] <= high
    assert high - low < 0.01
    # The area ranges have fewer detections; recall has no bins.
    np.testing.assert_allclose(numbers(metric)[:6], right[:6], rtol=0, atol=3e-3)
    np.testing.assert_allclose(numbers(metric)[6:], right[6:], rtol=0, atol=EXACT)


def test_fifty_images_that_are_easy_to_get_wrong_agree_one_by_one_and_together():
    scenes = coco.adversarial(7)
    assert len(scenes) == 50
    metrics = BoxMeanAveragePrecision(2, capacity=5000), BoxMeanAveragePrecision(2)
    # In a graph: a loop takes TensorFlow ten times as long outside of one.
    steps = [traced(metric.statistic.update) for metric in metrics]
    whole = metrics[0].statistic.init()
    for name, batch in scenes.items():
        right = expected(*batch, 2)
        tensors = [ops.convert_to_tensor(side) for side in batch]
        kept, bins = (
            step(metric.statistic.init(), *tensors)
            for step, metric in zip(steps, metrics, strict=True)
        )
        actual = list(metrics[0].compute_summary(kept).values())
        np.testing.assert_allclose(actual, right, rtol=0, atol=EXACT, err_msg=name)
        low, high = metrics[1].compute_bounds(to_numpy(bins))
        assert np.isnan(right[0]) or low <= right[0] <= high, name
        whole = steps[0](whole, *tensors)
    together = expected(*coco.stacked(scenes.values()), 2)
    actual = list(metrics[0].compute_summary(whole).values())
    np.testing.assert_allclose(actual, together, rtol=0, atol=EXACT)


def test_bounds_hold_where_all_confidences_share_a_bin(rng):
    truths, found = coco.draw(rng, 40, 1)
    found[..., 5] = np.where(found[..., 4] < 0, -1, 0.5 + found[..., 5] / 1e4)
    metric = BoxMeanAveragePrecision(1)
    metric.update_state(truths, found)
    low, high = metric.bounds()
    assert low <= coco.summary(truths, found, 1)["AP"] <= high
    assert high - low > 0.02
    with pytest.raises(mb.errors.WideBoundsWarning, match="capacity=N"):
        metric.result()


FORMATS = {
    "yxyx": lambda x, y, r, b: (y, x, b, r),
    "xywh": lambda x, y, r, b: (x, y, r - x, b - y),
    "center_xywh": lambda x, y, r, b: ((x + r) / 2, (y + b) / 2, r - x, b - y),
    "center_yxhw": lambda x, y, r, b: ((y + b) / 2, (x + r) / 2, b - y, r - x),
    "rel_xyxy": lambda x, y, r, b: (x / 512, y / 256, r / 512, b / 256),
    "rel_yxyx": lambda x, y, r, b: (y / 256, x / 512, b / 256, r / 512),
    "rel_xywh": lambda x, y, r, b: (x / 512, y / 256, (r - x) / 512, (b - y) / 256),
}


def test_every_format_and_a_dictionary_give_the_same_value(rng):
    truths, found = coco.draw(rng, 8, CLASSES)
    right = coco.summary(truths, found, CLASSES)["AP"]
    for name, convert in FORMATS.items():
        size = (256, 512) if name.startswith("rel") else None
        given = np.stack(convert(*np.moveaxis(truths[..., :4], -1, 0)), -1)
        tensor = ops.convert_to_tensor(given)
        corners = ops.convert_to_numpy(to_corners(tensor, name, size))
        np.testing.assert_allclose(corners, truths[..., :4], rtol=0, atol=1e-3)
    metric = BoxMeanAveragePrecision(
        CLASSES, "rel_yxyx", image_size=(256, 512), capacity=300
    )
    y_true, y_pred = (
        {
            "boxes": np.stack(
                FORMATS["rel_yxyx"](*np.moveaxis(side[..., :4], -1, 0)), -1
            ),
            key: side[..., 4].astype("int32"),
        }
        for side, key in ((truths, "labels"), (found, "classes"))
    )
    metric.update_state(y_true, {**y_pred, "confidence": found[..., 5]})
    assert float(metric.result()) == pytest.approx(right, abs=1e-4)
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()


def test_a_mask_and_a_number_of_detections_are_padding_too(rng):
    truths, found = coco.draw(rng, 8, CLASSES)
    right = expected(truths, found)
    real, seen = truths[..., 4] >= 0, found[..., 4] >= 0
    y_true = {
        "boxes": np.where(real[..., None], truths[..., :4], np.nan),
        "classes": np.where(real, truths[..., 4], 1),
        "mask": real,
    }
    y_pred = {
        "boxes": found[..., :4],
        "classes": np.where(seen, found[..., 4], 1),
        "confidence": found[..., 5],
    }
    for more in ({"mask": seen}, {"num_detections": seen.sum(1)}):
        metric = BoxMeanAveragePrecision(CLASSES, capacity=300)
        metric.update_state(y_true, {**y_pred, **more})
        np.testing.assert_allclose(numbers(metric), right, rtol=0, atol=EXACT)
        assert metric.unusable() == {}


@unusable
def test_what_cannot_be_used_is_counted_by_cause_and_leaves_no_value(rng):
    truths, found = coco.draw(rng, 4, CLASSES)
    truths[0, 0] = found[0, 0] = [0, 0, 9, 9, 1, 0]
    cases = {
        "nan_label": (0, slice(0, 1), np.nan),
        "unknown_label": (0, slice(4, 5), CLASSES),
        "nan_score": (1, slice(5, 6), np.nan),
        "outside_score": (1, slice(5, 6), 1.5),
    }
    for cause, (side, columns, value) in cases.items():
        batch = truths.copy(), found.copy()
        batch[side][0, 0, columns] = value
        metric = BoxMeanAveragePrecision(CLASSES)
        assert np.isnan(stream(metric, batch)), cause
        assert metric.unusable() == {cause: 1}
        assert all(np.isnan(numbers(metric)))
    found[0, 0, 4] = CLASSES  # A wrong detection of no class.
    metric = BoxMeanAveragePrecision(CLASSES)
    assert not np.isnan(stream(metric, (truths, found)))
    assert metric.unusable() == {"unknown_prediction": 1}
    small = BoxMeanAveragePrecision(CLASSES, capacity=2)
    assert np.isnan(stream(small, (truths, found)))
    assert small.unusable()["beyond_capacity"] > 0


def test_wrong_shapes_are_refused():
    metric = BoxMeanAveragePrecision(2)
    rows = np.zeros((1, 3, 6), "float32")
    boxes = {"boxes": rows[..., :4], "classes": rows[..., 4]}
    for y_true, y_pred, words in (
        (rows[..., :4], rows, "y_true= wants a dictionary"),
        (boxes, boxes, 'y_pred= wants "confidence" or "scores"'),
        (
            {**boxes, "classes": rows[:, :2, 4]},
            rows,
            "y_true= wants as many boxes as classes",
        ),
    ):
        with pytest.raises(mb.errors.ArgumentError, match=words):
            metric.update_state(y_true, y_pred)


def test_fit_and_evaluate_log_the_value_of_all_batches(rng):
    truths, found = coco.draw(rng, 10, CLASSES, objects=5, detections=8)
    right = coco.summary(truths, found, CLASSES)["AP"]
    inputs = keras.Input((8, 6))
    same = keras.layers.Dense(6, use_bias=False, kernel_initializer="identity")
    model = keras.Model(inputs, same(inputs))

    def no_loss(_, y_pred):
        return 0.0 * ops.sum(y_pred, axis=(1, 2))

    metric = BoxMeanAveragePrecision(CLASSES, name="box_map")
    model.compile("sgd", no_loss, metrics=[metric])
    history = model.fit(
        found, truths, batch_size=4, validation_data=(found, truths), verbose=0
    ).history
    for name in ("box_map", "val_box_map"):
        assert history[name] == [pytest.approx(right, abs=1e-3)]
    logs = model.evaluate(found, truths, batch_size=4, verbose=0, return_dict=True)
    assert logs["box_map"] == pytest.approx(right, abs=1e-3)


class Detector(keras.Model):
    """A detector with a dictionary of outputs, which knows the answer."""

    def __init__(self):
        super().__init__()
        self.same = keras.layers.Dense(6, use_bias=False, kernel_initializer="identity")
        self.box_map = BoxMeanAveragePrecision(CLASSES, name="box_map")

    def call(self, inputs):
        found = self.same(inputs)
        return {
            "boxes": found[..., :4],
            "classes": found[..., 4],
            "confidence": found[..., 5],
        }

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        del x, y, sample_weight, training
        return 0.0 * ops.sum(y_pred["boxes"])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        del x, sample_weight
        self.box_map.update_state(y, y_pred)
        return self.get_metrics_result()


def test_a_model_with_a_dictionary_of_outputs_updates_it_in_compute_metrics(rng):
    truths, found = coco.draw(rng, 8, CLASSES, objects=5, detections=8)
    right = coco.summary(truths, found, CLASSES)["AP"]
    y_true = {"boxes": truths[..., :4], "labels": truths[..., 4].astype("int32")}
    model = Detector()
    model.compile("sgd")
    history = model.fit(found, y_true, batch_size=4, verbose=0).history
    assert history["box_map"] == [pytest.approx(right, abs=1e-3)]
    logs = model.evaluate(found, y_true, batch_size=4, verbose=0, return_dict=True)
    assert logs["box_map"] == pytest.approx(right, abs=1e-3)
