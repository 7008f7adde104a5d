"""Metrics over the confusion matrix, rows and ranks agree with both libraries."""

import math

import numpy as np
import pytest

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck

ARGUMENTS = {
    "binary": {},
    "multiclass": {"num_classes": 10},
    "multilabel": {"num_labels": 5},
}
CASES = {
    "balanced_binary": ("BalancedAccuracy", "binary", {}),
    "balanced_multiclass": ("BalancedAccuracy", "multiclass", {}),
    "balanced_multilabel": ("BalancedAccuracy", "multilabel", {}),
    "counts_binary": ("StatScores", "binary", {}),
    "counts_multiclass": ("StatScores", "multiclass", {}),
    "counts_multilabel": ("StatScores", "multilabel", {}),
    "counts_of_classes": ("StatScores", "multiclass", {"average": None}),
    "counts_of_labels": ("StatScores", "multilabel", {"average": None}),
    "mcc_binary": ("MatthewsCorrelation", "binary", {}),
    "mcc_multiclass": ("MatthewsCorrelation", "multiclass", {}),
    "mcc_multilabel": ("MatthewsCorrelation", "multilabel", {}),
    "match_multiclass": ("ExactMatch", "multiclass", {}),
    "match_multilabel": ("ExactMatch", "multilabel", {}),
    **{
        f"matrix_{task}_{normalize}": (
            "ConfusionMatrix",
            task,
            {"normalize": normalize},
        )
        for task in ("binary", "multiclass", "multilabel")
        for normalize in (None, "true", "pred", "all")
    },
    **{
        f"kappa_{task}_{weights}": ("CohenKappa", task, {"weights": weights})
        for task in ("binary", "multiclass")
        for weights in (None, "linear", "quadratic")
    },
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    name, task, arguments = request.param

    def make(**more):
        return getattr(mb.metrics, name)(task, **ARGUMENTS[task], **arguments, **more)

    return make, task


def only(metric, data, **arguments):
    (row,) = crosscheck(metric, data, batch_size=400, shuffles=0, **arguments)
    return row


def assert_agrees(row, *, torchmetrics=True):
    assert row.verdict == "agrees", row
    assert row.sklearn is not None, row
    assert (row.torchmetrics is not None) == torchmetrics, row
    size = max(1, np.max(np.abs(row.sklearn)))
    assert row.difference < 1e-6 * size, row


def test_it_agrees_for_every_task(real, case):
    make, task = case
    assert_agrees(only(make(), real[task]))


def test_weights_are_scikit_learns_alone(real, rng, case):
    make, task = case
    y_true, y_pred = real[task]
    weight = rng.random(len(y_true)).astype("float32")
    row = only(make(), (y_true, y_pred, weight))
    assert_agrees(row, torchmetrics=False)
    assert "torchmetrics has no sample weights" in row.reason


def test_an_ignored_label_that_is_not_a_class_agrees(real, case):
    make, task = case
    y_true, y_pred = real[task]
    y_true = y_true.copy()
    y_true[::7] = -1
    row = only(make(ignore_index=-1), (y_true, y_pred))
    if row.verdict != "agrees":
        assert row.verdict == "differs by convention", row
        assert row.reason.startswith("ignored elements: ")
        assert row.value == pytest.approx(row.sklearn, rel=1e-6)
    else:
        assert_agrees(row)


def test_an_ignored_class_never_departs_from_scikit_learn(real, case):
    make, task = case
    row = only(make(ignore_index=1), real[task])
    assert row.verdict in {"agrees", "differs by convention"}, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-6, atol=1e-6)


def test_thresholds_of_logits_agree(real, case):
    make, task = case
    if task == "multiclass":
        pytest.skip("classes have no threshold")
    y_true, y_pred = real[task]
    p = np.clip(y_pred.astype("float64"), 1e-6, 1 - 1e-6)
    logits = np.log(p / (1 - p)).astype("float32")
    metric = make(threshold=0.3, from_logits=True)
    row = only(metric, (y_true, logits))
    assert_agrees(row)
    assert row.value != only(make(), real[task]).value


@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("constant", ["labels", "both"])
def test_one_class_alone_never_departs_from_scikit_learn(
    real, case, constant, zero_division
):
    make, task = case
    if "zero_division" not in make().get_config():
        pytest.skip("counts divide nothing")
    y_true, y_pred = real[task]
    y_true = np.zeros_like(y_true)
    if constant == "both":
        y_pred = np.zeros_like(y_pred)
    row = only(make(zero_division=zero_division), (y_true, y_pred))
    assert row.verdict in {"agrees", "differs by convention"}, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-6, atol=1e-6)


# Each average, and each k: all pairs of them took JAX two minutes to compile.
@pytest.mark.parametrize(
    ("top_k", "average"),
    [
        (1, "micro"),
        (2, "micro"),
        (2, "macro"),
        (2, "weighted"),
        (2, None),
        (5, "macro"),
        (10, "weighted"),
    ],
)
def test_top_k_accuracy_agrees(real, rng, top_k, average):
    y_true, y_pred = real["multiclass"]
    metric = mb.metrics.TopKAccuracy(10, top_k, average=average)
    assert_agrees(only(metric, (y_true, y_pred)))
    weight = rng.random(len(y_true)).astype("float32")
    assert_agrees(only(metric, (y_true, y_pred, weight)), torchmetrics=False)
    ignoring = mb.metrics.TopKAccuracy(10, top_k, average=average, ignore_index=3)
    row = only(ignoring, (y_true, y_pred))
    assert row.verdict in {"agrees", "differs by convention"}, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-6)


@pytest.mark.parametrize("top_k", [1, 2])
def test_top_k_accuracy_of_two_classes_agrees(real, top_k):
    y_true, y_pred = real["binary"]
    scores = np.stack([1 - y_pred, y_pred], axis=1)
    assert_agrees(only(mb.metrics.TopKAccuracy(2, top_k), (y_true, scores)))


def test_equal_scores_are_a_named_convention_of_top_k_accuracy(real):
    y_true, y_pred = real["multiclass"]
    coarse = np.round(y_pred, 1)
    row = only(mb.metrics.TopKAccuracy(10, 2), (y_true, coarse))
    assert row.verdict == "differs by convention"
    assert row.reason.startswith("ties ")
    assert abs(row.value - row.sklearn) > 1e-3


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_a_sequence_match_as_a_whole(rng, weighted):
    y_true = rng.integers(0, 3, (200, 4)).astype("int32")
    y_pred = np.where(rng.random((200, 4)) < 0.8, y_true, 0).astype("int32")
    data = (y_true, y_pred)
    if weighted:
        data = (*data, rng.random(200).astype("float32"))
    metric = mb.metrics.ExactMatch("multiclass", num_classes=3)
    row = only(metric, data)
    assert row.verdict == "agrees"
    assert row.value == pytest.approx(row.sklearn, rel=1e-6)
    assert 0.2 < row.value < 0.8


def test_a_class_that_is_predicted_and_absent_is_a_named_convention(real):
    y_true, y_pred = real["multiclass"]
    keep = y_true != 3
    for metric in (
        mb.metrics.BalancedAccuracy("multiclass", num_classes=10),
        mb.metrics.TopKAccuracy(10, 1, average="macro"),
    ):
        row = only(metric, (y_true[keep], y_pred[keep]))
        assert row.verdict == "differs by convention", row
        assert "absent class" in row.reason
        assert row.value == pytest.approx(row.sklearn, rel=1e-6)
        assert row.value * 9 / 10 == pytest.approx(row.torchmetrics, rel=1e-6)


class HalvedKappa(mb.metrics.CohenKappa):
    def compute(self, state):
        return 0.5 * super().compute(state)


class HalvedBalance(mb.metrics.BalancedAccuracy):
    def compute(self, state):
        return 0.5 * super().compute(state)


@pytest.mark.parametrize("cls", [HalvedKappa, HalvedBalance])
def test_a_halved_score_is_wrong_whatever_its_conventions(real, cls):
    for arguments in ({}, {"zero_division": 1.0}, {"ignore_index": 3}):
        metric = cls("multiclass", num_classes=10, **arguments)
        assert only(metric, real["multiclass"]).verdict == "wrong"
