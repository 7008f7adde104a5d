"""One batch of millions: a float32 sum of it has as many roundings.

Added up one by one, 3 million weights were off by 1e-5, and ones stopped at 2**24.
"""

import numpy as np
import pytest
from keras import ops
from support.contracts import stream

import multiback as mb
from multiback.metrics.numeric import by_id as bins

N = 3_000_000
RTOL = 1e-6


@pytest.fixture(scope="module")
def batch():
    """Draw labels and predictions of three classes, scores and weights."""
    rng = np.random.default_rng(0)
    labels, guesses = rng.integers(0, 3, (2, N)).astype("int32")
    return labels, guesses, *rng.random((2, N)).astype("float32")


def test_weights_of_classes_add_up(batch):
    labels, guesses, _, weights = batch
    matrix = np.zeros((3, 3))
    np.add.at(matrix, (labels, guesses), weights.astype("float64"))
    weighted = (labels, guesses, weights)
    for name, expected in {
        "ConfusionMatrix": matrix,
        "Accuracy": np.trace(matrix) / matrix.sum(),
        "Precision": np.mean(np.diag(matrix) / matrix.sum(0)),
    }.items():
        metric = getattr(mb.metrics, name)("multiclass", num_classes=3)
        actual = stream(metric, weighted)
        np.testing.assert_allclose(actual, expected, rtol=RTOL, err_msg=name)


@pytest.mark.parametrize("name", ["Precision", "Specificity"])
def test_weights_of_two_classes_add_up(batch, name):
    labels, _, scores, weights = batch
    positive, above = labels > 0, scores > 0.5
    wide, chosen = (
        weights.astype("float64"),
        above if name == "Precision" else ~positive,
    )
    right = chosen & (above == positive)
    metric = getattr(mb.metrics, name)()
    actual = stream(metric, (positive, scores, weights))
    np.testing.assert_allclose(
        actual, wide[right].sum() / wide[chosen].sum(), rtol=RTOL
    )


def test_confidences_add_up(batch):
    labels, _, scores, _ = batch
    hits = labels > 0
    within = np.minimum((scores * np.float32(15)).astype(int), 14)
    gaps = np.bincount(within, hits - scores.astype("float64"))
    actual = stream(mb.metrics.CalibrationError(), (hits, scores))
    np.testing.assert_allclose(actual, np.abs(gaps).sum() / N, rtol=RTOL)


@pytest.mark.parametrize("length", [3, 5000])
def test_more_ones_than_float32_can_count_add_up(length):
    """As many cells as each block of JAX may have, and few of them."""
    n = 2**24 + 2**20
    ids = ops.full((n,), length - 1, dtype="int32")
    sums = ops.convert_to_numpy(bins.sum_by_id(ids, ops.ones((n,)), length))
    assert sums[-1] == n
    assert not sums[:-1].any()


@pytest.mark.parametrize("n", [0, 1, 511, 512, 1000, 33_333])
def test_blocks_cover_every_element_once(n):
    rng = np.random.default_rng(n)
    ids, values = rng.integers(0, 7, n), rng.integers(0, 9, n)
    actual = bins.sum_by_id(
        ops.convert_to_tensor(ids.astype("int32")),
        ops.convert_to_tensor(values.astype("float32")),
        7,
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(actual), np.bincount(ids, values, minlength=7)
    )
