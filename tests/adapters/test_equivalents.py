"""Ratios, counts and confusion matrices agree with both libraries on real data."""

import math

import numpy as np
import pytest
from support.crosschecked import AVERAGES, SIZES, TASKS, assert_agrees, logit, only
from support.wrong_metrics import halved

import multiback as mb
from multiback.adapters.torchmetrics.oracles.table import TABLE

RATIOS = [
    "Accuracy",
    "Dice",
    "F1Score",
    "FBetaScore",
    "HammingDistance",
    "JaccardIndex",
    "NegativePredictiveValue",
    "Precision",
    "Recall",
    "Specificity",
]
ERROR_RATES = ["FalseNegativeRate", "FalsePositiveRate"]
MATRICES = {
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


def ratios(names, averages):
    return {
        f"{name}-{task}-{average}": (name, task, {"average": average})
        for name in names
        for task in TASKS
        for average in averages
    }


MACRO = {**MATRICES, **ratios(RATIOS, ["macro"])}


def make(case, **more):
    name, task, arguments = case
    return getattr(mb.metrics, name)(task, **SIZES[task], **arguments, **more)


def each_of(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases)


def test_the_real_data_hold_mistakes(real):
    for labels, scores in real.values():
        decided = scores.argmax(1) if scores.shape != labels.shape else scores > 0.5
        assert np.all((decided != labels).mean(0) > 0.001)


@each_of({**MATRICES, **ratios(RATIOS + ERROR_RATES, AVERAGES)})
def test_it_agrees_for_every_task_and_average(real, case):
    name, task, _ = case
    row = only(make(case), real[task])
    assert_agrees(row, torchmetrics=name not in ERROR_RATES)
    if name in ERROR_RATES:
        assert row.reason.startswith(f"torchmetrics has no {name}")


@each_of(MACRO)
def test_weights_are_scikit_learns_alone(real, rng, case):
    y_true, y_pred = real[case[1]]
    weight = rng.random(len(y_true)).astype("float32")
    row = only(make(case), (y_true, y_pred, weight))
    assert_agrees(row, torchmetrics=False)
    assert "torchmetrics has no sample weights" in row.reason


@each_of(MACRO)
def test_an_ignored_label_that_is_not_a_class_agrees(real, case):
    y_true, y_pred = real[case[1]]
    y_true = y_true.copy()
    y_true[::7] = -1
    row = only(make(case, ignore_index=-1), (y_true, y_pred))
    if case[0] in RATIOS or row.verdict == "agrees":
        assert_agrees(row)
    else:
        assert row.verdict == "differs by convention", row
        assert row.reason.startswith("ignored elements: ")
        assert row.value == pytest.approx(row.sklearn, rel=1e-6)


@each_of(MATRICES)
def test_an_ignored_class_never_departs_from_scikit_learn(real, case):
    row = only(make(case, ignore_index=1), real[case[1]])
    assert row.verdict in {"agrees", "differs by convention"}, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-6, atol=1e-6)


@each_of({k: case for k, case in MATRICES.items() if case[1] != "multiclass"})
def test_thresholds_of_logits_agree(real, case):
    y_true, y_pred = real[case[1]]
    row = only(make(case, threshold=0.3, from_logits=True), (y_true, logit(y_pred)))
    assert_agrees(row)
    assert row.value != only(make(case), real[case[1]]).value


@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("constant", ["labels", "both"])
@each_of(
    {k: one for k, one in MATRICES.items() if "zero_division" in make(one).get_config()}
)
def test_one_class_alone_never_departs_from_scikit_learn(
    real, case, constant, zero_division
):
    y_true, y_pred = real[case[1]]
    y_true = np.zeros_like(y_true)
    if constant == "both":
        y_pred = np.zeros_like(y_pred)
    row = only(make(case, zero_division=zero_division), (y_true, y_pred))
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


@pytest.mark.parametrize("cls", [mb.metrics.CohenKappa, mb.metrics.BalancedAccuracy])
def test_a_halved_score_is_wrong_whatever_its_conventions(real, cls):
    for arguments in ({}, {"zero_division": 1.0}, {"ignore_index": 3}):
        metric = halved(cls)("multiclass", num_classes=10, **arguments)
        assert only(metric, real["multiclass"]).verdict == "wrong"


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_logits_and_thresholds_agree(real, task):
    y_true, y_pred = real[task]
    for arguments in ({"threshold": 0.3}, {"threshold": 0.3, "from_logits": True}):
        scores = logit(y_pred) if "from_logits" in arguments else y_pred
        metric = mb.metrics.F1Score(task, **arguments, **SIZES[task])
        assert_agrees(only(metric, (y_true, scores)))


def test_one_hot_labels_and_class_ids_agree(real):
    y_true, y_pred = real["multiclass"]
    metric = mb.metrics.F1Score("multiclass", num_classes=10)
    assert_agrees(only(metric, (np.eye(10)[y_true], y_pred)))
    assert_agrees(only(metric, (y_true[:, None], y_pred)))
    assert_agrees(only(metric, (y_true, y_pred.argmax(1))))


@pytest.mark.parametrize("name", RATIOS)
def test_an_ignored_class_that_is_predicted_is_a_named_convention(real, name):
    metric = getattr(mb.metrics, name)(
        "multiclass", average="macro", ignore_index=3, num_classes=10
    )
    row = only(metric, real["multiclass"])
    assert row.value == pytest.approx(row.sklearn, rel=1e-6)
    if name == "JaccardIndex":  # torchmetrics leaves it out too.
        assert row.verdict == "agrees"
        return
    assert row.verdict == "differs by convention"
    assert row.reason.startswith("ignored class: ")
    if name not in {"HammingDistance", "NegativePredictiveValue", "Specificity"}:
        assert row.value * 9 / 10 == pytest.approx(row.torchmetrics, rel=1e-6)


@pytest.mark.parametrize("zero_division", [1.0, math.nan])
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("name", RATIOS + ERROR_RATES)
def test_zero_division_never_departs_from_scikit_learn(
    real, name, task, average, zero_division
):
    y_true, y_pred = (array[:40] for array in real[task])
    if task == "multiclass":  # Classes 8 and 9: predicted only, and absent.
        keep = y_true < 8
        y_true, y_pred = y_true[keep], y_pred[keep] * ([1] * 8 + [2, 0])
    else:  # The last label neither holds nor is predicted.
        y_true, y_pred = y_true * [1, 1, 1, 1, 0], y_pred * [1, 1, 1, 1, 0]
    metric = getattr(mb.metrics, name)(
        task, average=average, zero_division=zero_division, **SIZES[task]
    )
    row = only(metric, (y_true, y_pred.astype("float32")))
    assert row.verdict in {"agrees", "differs by convention"}, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-6)
    if row.verdict == "differs by convention":
        assert row.reason.startswith("zero division: ")


def test_the_table_covers_every_metric_of_multiback():
    public = {
        name: getattr(mb.metrics, name)
        for name in mb.metrics.__all__
        if isinstance(getattr(mb.metrics, name), type)
    }
    metrics = {
        cls
        for cls in public.values()
        if issubclass(cls, mb.metrics.Metric) and cls is not mb.metrics.Metric
    }
    assert len(metrics) > 20
    assert metrics <= set(TABLE)
