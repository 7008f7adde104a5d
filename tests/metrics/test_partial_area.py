"""The area under the ROC curve up to a false positive rate: scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics
import torch
from support.backends import once
from support.contracts import stream, unusable
from torchmetrics.classification import BinaryAUROC

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents
from multiback.errors import ArgumentError

RATES = [0.01, 0.1, 0.37, 0.9, 1.0]


def oracle(y_true, y_pred, sample_weight=None, *, max_fpr, **_):
    return sklearn.metrics.roc_auc_score(
        y_true, y_pred, sample_weight=sample_weight, max_fpr=max_fpr
    )


def scores(case, n=3000):
    rng = np.random.default_rng(0)
    y_true = (rng.random(n) < 0.3).astype(int)
    logits = rng.normal(size=n) + y_true
    if case == "many ties":
        logits = np.round(logits)
    if case == "close":
        logits = 0.001 * logits
    if case == "wrong way":
        logits = -2 * logits
    return y_true, (1 / (1 + np.exp(-logits))).astype("float32")


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("case", ["plain", "many ties", "close", "wrong way"])
@pytest.mark.parametrize("max_fpr", RATES)
def test_the_value_is_scikit_learns_and_torchmetrics(case, max_fpr):
    y_true, y_pred = scores(case)
    expected = oracle(y_true, y_pred, max_fpr=max_fpr)
    kept = mb.metrics.AUROC(max_fpr=max_fpr, capacity=len(y_true))
    np.testing.assert_allclose(stream(kept, (y_true, y_pred)), expected, atol=1e-5)
    theirs = BinaryAUROC(max_fpr=max_fpr)(torch.tensor(y_pred), torch.tensor(y_true))
    np.testing.assert_allclose(theirs, expected, atol=1e-5)
    metric = mb.metrics.AUROC(max_fpr=max_fpr)
    value = stream(metric, (y_true, y_pred))
    low, high = metric.bounds()
    assert 0 <= low <= value <= high <= 1
    assert low <= expected <= high
    if case == "plain":
        np.testing.assert_allclose(value, expected, atol=2e-3)
        assert high - low < 0.05


def test_all_of_the_curve_is_the_area_itself():
    batch = scores("plain")
    whole, partial = mb.metrics.AUROC(), mb.metrics.AUROC(max_fpr=1)
    assert stream(whole, batch) == stream(partial, batch)
    assert whole.interval() == partial.interval()


def test_weights_and_several_labels_agree(rng):
    y_true = rng.integers(0, 2, (300, 3))
    y_pred = ((rng.random((300, 3)) + y_true) / 2).astype("float32")
    weight = rng.random(300).astype("float32")
    arguments = {"task": "multilabel", "num_labels": 3, "max_fpr": 0.2}
    metric = mb.metrics.AUROC(**arguments, average=None, capacity=300)
    expected = [
        oracle(true, score, weight, max_fpr=0.2)
        for true, score in zip(y_true.T, y_pred.T, strict=True)
    ]
    actual = stream(metric, (y_true, y_pred, weight))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    of_one = mb.metrics.AUROC(**arguments, classes=1, capacity=300)
    np.testing.assert_allclose(
        stream(of_one, (y_true, y_pred, weight)), expected[1], atol=1e-5
    )
    binary = mb.metrics.AUROC(classes=[0, 1], average=None, max_fpr=0.2, capacity=300)
    turned = oracle(1 - y_true[:, 0], 1 - y_pred[:, 0].astype("float64"), max_fpr=0.2)
    actual = stream(binary, (y_true[:, 0], y_pred[:, 0]))
    np.testing.assert_allclose(actual[0], turned, atol=1e-5)


@unusable
def test_one_class_and_a_nan_give_nan():
    metric = mb.metrics.AUROC(max_fpr=0.5)
    assert np.isnan(stream(metric))
    assert np.isnan(stream(metric, ([1, 1], [0.1, 0.9])))
    assert not np.isnan(stream(metric, ([0, 0], [0.1, 0.9])))
    assert np.isnan(stream(metric, ([0], [np.nan])))


def test_an_interval_of_a_part_is_refused_with_advice():
    metric = mb.metrics.AUROC(max_fpr=0.1)
    stream(metric, scores("plain"))
    with pytest.raises(ArgumentError, match="bootstrap"):
        metric.interval()


@once
def test_the_other_libraries_receive_the_rate():
    found = equivalents(mb.metrics.AUROC("binary", max_fpr=0.1))
    assert found.torchmetrics.max_fpr == 0.1
    assert found.keras is None
    assert "partial" in found.reasons["keras"]
    back = equivalents(BinaryAUROC(max_fpr=0.1)).multiback
    assert back.get_config()["max_fpr"] == 0.1
    several = mb.metrics.AUROC("multilabel", num_labels=2, max_fpr=0.1)
    assert "two classes" in equivalents(several).reasons["torchmetrics"]
    for capacity in (None, 3000):
        metric = mb.metrics.AUROC(max_fpr=0.1, capacity=capacity)
        (row,) = crosscheck(metric, scores("plain"))
        assert row.verdict == "agrees", row
        assert row.torchmetrics == pytest.approx(row.sklearn, abs=1e-5)
