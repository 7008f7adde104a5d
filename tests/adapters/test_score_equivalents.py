"""Metrics of scores agree with torchmetrics and scikit-learn on real data."""

import numpy as np
import pytest

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck
from multiback.adapters.torchmetrics.checking.verdict import within

ARGUMENTS = {
    "binary": {},
    "multiclass": {"num_classes": 10},
    "multilabel": {"num_labels": 5},
}
RANKING = {
    "AUROC": {},
    "AveragePrecision": {},
    "PrecisionAtRecall": {"recall": 0.8},
    "RecallAtPrecision": {"precision": 0.6},
    "SensitivityAtSpecificity": {"specificity": 0.9},
    "SpecificityAtSensitivity": {"sensitivity": 0.9},
}
LOSSES = {
    "LogLoss": {},
    "Perplexity": {},
    "BrierScore": {},
    "CalibrationError": {"norm": "l1"},
}


def only(metric, data):
    (row,) = crosscheck(metric, data, batch_size=600)
    return row


def logit(p):
    p = np.clip(p.astype("float64"), 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p)).astype("float32")


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("capacity", [None, 1797], ids=["bins", "kept"])
@pytest.mark.parametrize("task", ARGUMENTS)
@pytest.mark.parametrize("name", RANKING)
def test_a_ranking_metric_agrees(real, name, task, capacity):
    make = getattr(mb.metrics, name)
    arguments = {"task": task, **ARGUMENTS[task], **RANKING[name]}
    row = only(make(**arguments, capacity=capacity), real[task])
    assert row.verdict == "agrees", row
    assert row.sklearn == pytest.approx(row.torchmetrics, abs=1e-6)
    # Few scores a class: one more or less at the threshold is a percent.
    assert row.difference < (2e-6 if capacity else 0.02)


@pytest.mark.parametrize("average", ["micro", "weighted", None])
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_averages_agree(real, task, average):
    row = only(mb.metrics.AUROC(task, **ARGUMENTS[task], average=average), real[task])
    assert row.verdict == "agrees", row
    assert row.torchmetrics is not None


def test_weights_logits_and_ignored_labels_agree(real, rng):
    y_true, y_pred = real["binary"]
    weight = rng.random(len(y_true)).astype("float32")
    row = only(mb.metrics.AveragePrecision(), (y_true, y_pred, weight))
    assert (row.verdict, row.torchmetrics) == ("agrees", None)
    row = only(mb.metrics.AUROC(from_logits=True), (y_true, logit(y_pred)))
    assert row.verdict == "agrees"
    holes = np.where(rng.random(len(y_true)) < 0.2, -1, y_true)
    row = only(mb.metrics.AUROC(ignore_index=-1), (holes, y_pred))
    assert row.verdict == "agrees", row


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["probabilities", "logits"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_metric_of_probabilities_agrees(real, name, task, kind, weighted):
    rng, from_logits = np.random.default_rng(0), kind == "logits"
    y_true, scores = real[task]
    if from_logits:
        scores = logit(scores)
    data = (y_true, scores)
    if weighted:
        data = (*data, rng.random(len(y_true)).astype("float32"))
    metric = getattr(mb.metrics, name)(
        task, **ARGUMENTS[task], **LOSSES[name], from_logits=from_logits
    )
    row = only(metric, data)
    assert row.verdict == "agrees", row
    assert row.difference < 2e-5
    if from_logits or task == "binary":
        assert (row.torchmetrics is None) == (weighted or name == "BrierScore")


@pytest.mark.parametrize("norm", ["l2", "max"])
def test_other_norms_of_calibration_agree(real, norm):
    row = only(mb.metrics.CalibrationError(norm=norm, n_bins=7), real["binary"])
    assert row.verdict == "agrees", row


@pytest.mark.parametrize("name", ["SamplewiseDice", "SamplewiseJaccardIndex"])
@pytest.mark.parametrize("task", ARGUMENTS)
def test_an_overlap_of_each_sample_agrees(real, name, task):
    y_true, y_pred = (
        part[:560].reshape(56, 10, *part.shape[1:]) for part in real[task]
    )
    metric = getattr(mb.metrics, name)(task, **ARGUMENTS[task])
    row = only(metric, (y_true, y_pred))
    assert row.verdict == "agrees", row
    assert 0.0 < row.sklearn < 1.0


class HalvedAUROC(mb.metrics.AUROC):
    def score(self, histogram):
        return tuple(0.95 * part for part in super().score(histogram))


def test_the_bounds_excuse_nothing_that_bins_do_not_explain(real):
    assert only(HalvedAUROC(), real["binary"]).verdict == "wrong"
    assert within(0.5, [0.51], (0.49, 0.52), rtol=0.0)
    assert not within(0.53, [0.51], (0.49, 0.52), rtol=0.0)
    assert not within(0.5, [0.53], (0.49, 0.52), rtol=0.0)
