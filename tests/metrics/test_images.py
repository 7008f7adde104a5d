"""Scores of images and volumes against scikit-image and SciPy."""

from typing import ClassVar

import numpy as np
import pytest
import skimage.metrics
from support.contracts import FloatContract, stream, unusable
from support.image_oracles import BETAS, multi_scale, psnr, ssim

import multiback as mb
from multiback.errors import ArgumentError

SIDE = 24


CASES = {
    "psnr": ("PeakSignalNoiseRatio", {}, psnr),
    "ssim": ("StructuralSimilarity", {}, ssim),
    "multi-scale": ("MultiScaleStructuralSimilarity", {"betas": BETAS}, multi_scale),
}


def make(case):
    name, arguments, _ = CASES[case]
    return getattr(mb.metrics, name)(data_range=1.0, **arguments)


def images(rng, *shape):
    y_true = rng.random(shape)
    return y_true, np.clip(y_true + rng.normal(0, 0.2, shape), 0, 1)


class TestImages(FloatContract):
    cases: ClassVar = {case: {"case": case} for case in CASES}
    # A window adds up 121 squares in float32, and takes a difference.
    rtol = 1e-4

    def make(self, case):
        return make(case)

    def sample(self, rng, n, _arguments):
        pair = images(rng, n, SIDE, SIDE, 1)
        return tuple(part.astype("float32") for part in pair)

    def oracle(self, y_true, y_pred, sample_weight=None, *, case):
        rows = zip(y_true.astype("float64"), y_pred.astype("float64"), strict=True)
        each = [CASES[case][2](*row) for row in rows]
        return np.average(each, weights=sample_weight)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(2, 24, 31, 3), (2, 22, 24, 23, 1)])
def test_colours_and_volumes_agree(rng, case, shape):
    y_true, y_pred = images(rng, *shape)
    expected = [CASES[case][2](*row) for row in zip(y_true, y_pred, strict=True)]
    actual = stream(make(case), (y_true.astype("float32"), y_pred.astype("float32")))
    np.testing.assert_allclose(actual, np.mean(expected), rtol=1e-4)


def test_bytes_and_dim_images_keep_their_precision(rng):
    """The variance of an image of one brightness is a small difference."""
    y_true = (200 + rng.integers(0, 3, (1, SIDE, SIDE, 1))).astype("uint8")
    y_pred = (200 + rng.integers(0, 3, (1, SIDE, SIDE, 1))).astype("uint8")
    expected = skimage.metrics.structural_similarity(
        *(part[0, ..., 0].astype("float64") for part in (y_true, y_pred)),
        data_range=255,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    actual = stream(mb.metrics.StructuralSimilarity(255), (y_true, y_pred))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@unusable
@pytest.mark.parametrize("case", CASES)
def test_no_data_and_a_nan_give_nan(case):
    assert np.isnan(stream(make(case)))
    image = np.zeros((2, SIDE, SIDE, 1), "float32")
    image[0, 3, 3] = np.nan
    metric = make(case)
    assert np.isnan(stream(metric, (image, image + 0.5)))
    assert metric.unusable()["nan_label"] == 1


@unusable
def test_an_image_without_any_error_has_an_infinite_ratio_and_says_so():
    image = np.zeros((1, 4, 4, 1), "float32")
    metric = mb.metrics.PeakSignalNoiseRatio()
    other = (image + 0.5, image)
    assert stream(metric, (image, image), other) == np.inf
    assert metric.unusable() == {"infinite": 1}
    assert "equal their targets" in metric.explain_unusable()["infinite"]
    found = metric.compute_interval(metric.state)
    assert found.value == np.inf
    assert np.isnan([found.lower, found.upper]).all()
    assert np.isnan(stream(metric, (image, image), (image, image * np.nan)))


@unusable
def test_an_equal_image_without_weight_is_left_out():
    image = np.zeros((2, 4, 4, 1), "float32")
    metric = mb.metrics.PeakSignalNoiseRatio()
    given = (image, image + np.reshape([0.0, 0.1], (2, 1, 1, 1)))
    metric.update_state(*given, sample_weight=[0.0, 1.0])
    assert float(metric.result()) == pytest.approx(20.0, rel=1e-4)
    assert metric.unusable() == {}


@unusable
def test_an_infinite_pixel_is_no_equal_image():
    image = np.zeros((1, 4, 4, 1), "float32")
    metric = mb.metrics.PeakSignalNoiseRatio()
    assert np.isnan(stream(metric, (image, image + np.inf)))
    assert metric.unusable() == {"unknown_prediction": 16}


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [
        ("StructuralSimilarity", (2, 8, 24, 1), "at least 11 pixels"),
        ("MultiScaleStructuralSimilarity", (2, 64, 64, 1), "at least 176 pixels"),
        ("PeakSignalNoiseRatio", (8, 24), r"\(B, H, W, C\)"),
    ],
)
def test_shapes_that_hold_no_images_are_refused(name, shape, match):
    with pytest.raises(ArgumentError, match=match):
        getattr(mb.metrics, name)().update_state(*[np.zeros(shape)] * 2)
