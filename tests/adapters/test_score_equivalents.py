"""Metrics of scores and of ranked rows agree with torchmetrics and scikit-learn."""

import numpy as np
import pytest
from support import query_oracles
from support.crosschecked import SIZES, logit, only

import multiback as mb
from multiback.adapters.torchmetrics.checking.verdict import within

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
BEST_ITEMS = {"HitRate": {"k": 2}, "PrecisionAtK": {"k": 3}, "RecallAtK": {"k": 3}}


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("capacity", [None, 1797], ids=["bins", "kept"])
@pytest.mark.parametrize("task", SIZES)
@pytest.mark.parametrize("name", RANKING)
def test_a_ranking_metric_agrees(real, name, task, capacity):
    make = getattr(mb.metrics, name)
    arguments = {"task": task, **SIZES[task], **RANKING[name]}
    row = only(make(**arguments, capacity=capacity), real[task])
    assert row.verdict == "agrees", row
    assert row.sklearn == pytest.approx(row.torchmetrics, abs=1e-6)
    # Few scores a class: one more or less at the threshold is a percent.
    assert row.difference < (2e-6 if capacity else 0.02)


@pytest.mark.parametrize("average", ["micro", "weighted", None])
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_averages_agree(real, task, average):
    row = only(mb.metrics.AUROC(task, **SIZES[task], average=average), real[task])
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
        task, **SIZES[task], **LOSSES[name], from_logits=from_logits
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
@pytest.mark.parametrize("task", SIZES)
def test_an_overlap_of_each_sample_agrees(real, name, task):
    y_true, y_pred = (
        part[:560].reshape(56, 10, *part.shape[1:]) for part in real[task]
    )
    metric = getattr(mb.metrics, name)(task, **SIZES[task])
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


@pytest.fixture(scope="module")
def queries():
    """Sixty queries of two to six items; the rest of a row is padding."""
    rng = np.random.default_rng(0)
    relevance = rng.integers(0, 2, (60, 6))
    scores = (1 + rng.permutation(360).reshape(60, 6)) / 361
    padding = np.arange(6) >= rng.integers(2, 7, 60)[:, None]
    return np.where(padding, -1, relevance), scores.astype("float32")


def only_of_rows(name, data, **arguments):
    metric = getattr(mb.metrics, name)(**BEST_ITEMS.get(name, {}), **arguments)
    return only(metric, data, batch_size=25)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", query_oracles.ORACLES)
def test_retrieval_metrics_agree_where_a_library_has_them(queries, rng, name, weighted):
    relevance, scores = queries
    of_labels = name in query_oracles.OF_LABELS
    data = (np.maximum(relevance, 0), scores) if of_labels else queries
    if weighted:
        data = (*data, rng.random(60).astype("float32"))
    row = only_of_rows(name, data)
    assert row.verdict == "agrees", row
    assert (row.torchmetrics is None) == weighted
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-5)


@pytest.mark.parametrize("empty", [0.0, 1.0, float("nan")])
def test_queries_without_relevant_items_agree(queries, empty):
    relevance, scores = queries
    relevance = np.where(np.arange(60)[:, None] % 3 == 0, 0, np.maximum(relevance, 0))
    row = only_of_rows("RecallAtK", (relevance, scores), zero_division=empty)
    assert row.verdict == "agrees", row
    assert row.torchmetrics is not None


@pytest.mark.parametrize("name", ["NDCG", "MeanReciprocalRank"])
def test_tied_items_are_a_convention_of_torchmetrics(queries, name):
    relevance, scores = queries
    row = only_of_rows(name, (relevance, scores.round(1)))
    assert row.verdict in ("agrees", "differs by convention"), row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-5)
