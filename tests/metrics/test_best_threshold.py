"""The largest F of any threshold, and the equal error rate."""

import numpy as np
import pytest
import sklearn.metrics
from support.contracts import stream, unusable
from support.oracles import equal_error_rate, max_f_beta

import multiback as mb

ORACLES = {"EqualErrorRate": equal_error_rate, "MaxFBeta": max_f_beta}


@pytest.fixture
def scores(rng):
    y_true = rng.integers(0, 2, 3000)
    logits = rng.normal(size=3000) + y_true
    return y_true, (1 / (1 + np.exp(-logits))).astype("float32")


def rates(y_true, y_pred, threshold):
    above = y_pred > threshold
    fpr, fnr = above[y_true == 0].mean(), 1 - above[y_true == 1].mean()
    return sklearn.metrics.f1_score(y_true, above), fpr, fnr


@pytest.mark.parametrize("name", ORACLES)
def test_bounds_hold_the_value_of_the_data_and_are_narrow(scores, name):
    metric = getattr(mb.metrics, name)()
    value = stream(metric, scores)
    low, high = metric.bounds()
    expected = ORACLES[name](*scores)
    assert low <= expected <= high
    assert high - low < 2e-3
    assert low <= value <= high


@pytest.mark.parametrize("arguments", [{}, {"capacity": 3000}], ids=["bins", "kept"])
def test_the_scores_cut_at_the_threshold_give_the_value(scores, arguments):
    metric = mb.metrics.MaxFBeta(**arguments)
    value = stream(metric, scores)
    f, *_ = rates(*scores, metric.threshold())
    np.testing.assert_allclose(f, value, rtol=1e-6)
    metric = mb.metrics.EqualErrorRate(**arguments)
    value = stream(metric, scores)
    _, fpr, fnr = rates(*scores, metric.threshold())
    np.testing.assert_allclose([fpr, fnr], value, atol=2e-3)


@pytest.mark.parametrize("name", ORACLES)
def test_each_class_has_a_value_and_a_threshold(rng, name):
    y_true, y_pred = rng.integers(0, 3, 300), rng.random((300, 3))
    y_pred[np.arange(300), y_true] += 0.5
    y_pred /= y_pred.sum(1, keepdims=True)
    metric = getattr(mb.metrics, name)(
        task="multiclass", num_classes=3, average=None, capacity=300
    )
    values = stream(metric, (y_true, y_pred.astype("float32")))
    for column, value in enumerate(values):
        expected = ORACLES[name](y_true == column, y_pred[:, column].astype("float32"))
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert metric.threshold().shape == (3,)


@unusable
def test_data_of_one_class_have_an_f_only_if_they_are_positive():
    ones, scores = np.ones(4, int), np.array([0.1, 0.4, 0.6, 0.9])
    assert stream(mb.metrics.MaxFBeta(), (ones, scores)) == 1.0
    assert np.isnan(stream(mb.metrics.MaxFBeta(), (1 - ones, scores)))
    for labels in (ones, 1 - ones):
        metric = mb.metrics.EqualErrorRate()
        assert np.isnan(stream(metric, (labels, scores)))
        assert np.isnan(metric.threshold())
    assert np.isnan(stream(mb.metrics.MaxFBeta(), ([0, 1], [0.1, np.nan])))


def test_perfect_scores_have_no_equal_error_and_an_f_of_1():
    batch = [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]
    assert stream(mb.metrics.EqualErrorRate(), batch) == 0.0
    assert stream(mb.metrics.MaxFBeta(), batch) == 1.0
