"""Keras's metrics agree with both libraries on real data, or differ as is known."""

import keras
import numpy as np
import pytest
from support.crosschecked import AVERAGES, assert_agrees, logit, only
from support.wrong_metrics import halved

import multiback as mb


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.BinaryAccuracy(),
        keras.metrics.BinaryAccuracy(threshold=0.3),
        keras.metrics.Precision(),
        keras.metrics.Precision(thresholds=[0.2, 0.5, 0.8]),
        keras.metrics.Recall(thresholds=0.3),
        keras.metrics.MeanSquaredError(),
        keras.metrics.RootMeanSquaredError(),
        keras.metrics.MeanAbsoluteError(),
    ],
    ids=lambda metric: type(metric).__name__,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_keras_metrics_of_binary_scores_agree(real, rng, metric, weighted):
    y_true, y_pred = real["binary"]
    data = (y_true, y_pred[:, None])
    if weighted:
        data = (*data, rng.random(len(y_true)).astype("float32"))
    assert_agrees(only(metric, data), torchmetrics=not weighted)


@pytest.mark.parametrize("weighted", [False, True])
def test_keras_metrics_of_classes_agree(real, rng, weighted):
    y_true, y_pred = real["multiclass"]
    one_hot = np.eye(10, dtype="float32")[y_true]
    weight = (rng.random(len(y_true)).astype("float32"),) if weighted else ()
    for metric, target, prediction in (
        (keras.metrics.Accuracy(), y_true, y_pred.argmax(1)),
        (keras.metrics.SparseCategoricalAccuracy(), y_true, y_pred),
        (keras.metrics.CategoricalAccuracy(), one_hot, y_pred),
        (keras.metrics.Precision(class_id=3, thresholds=0.2), one_hot, y_pred),
    ):
        row = only(metric, (target, prediction, *weight))
        assert_agrees(row, torchmetrics=not weighted)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (keras.metrics.F1Score, {}),
        (keras.metrics.F1Score, {"threshold": 0.2}),
        (keras.metrics.FBetaScore, {"beta": 0.5}),
        (keras.metrics.FBetaScore, {"beta": 2.0}),
    ],
)
def test_keras_f_scores_agree_but_for_their_epsilon(real, average, cls, arguments):
    y_true, y_pred = real["multiclass"]
    metric = cls(average=average, **arguments)
    row = only(metric, (np.eye(10, dtype="float32")[y_true], y_pred))
    assert row.verdict in {"agrees", "differs by convention"}, row
    assert row.difference < 1e-5
    assert row.torchmetrics is not None
    assert row.sklearn is not None


def test_keras_metrics_that_mean_ours_agree(real, rng):
    y_true, y_pred = real["multiclass"]
    one_hot = np.eye(10, dtype="float32")[y_true]
    for metric, labels in (
        (keras.metrics.SparseTopKCategoricalAccuracy(k=3), y_true),
        (keras.metrics.TopKCategoricalAccuracy(k=2), one_hot),
    ):
        assert_agrees(only(metric, (labels, y_pred)))
    noise = rng.normal(size=(400, 3)).astype("float32")
    target = (noise + rng.normal(size=(400, 3))).astype("float32")
    for metric in (
        keras.metrics.R2Score(),
        keras.metrics.R2Score(class_aggregation=None),
        keras.metrics.MeanMetricWrapper(keras.metrics.mean_squared_error),
    ):
        row = only(metric, (target, noise))
        assert row.verdict == "agrees", row
        assert row.torchmetrics is not None


def test_keras_adjusts_r2_of_several_outputs_by_their_elements(rng):
    """400 samples of 3 numbers each count as 1200 in Keras's adjustment."""
    guess = rng.normal(size=(400, 3)).astype("float32")
    target = (guess + rng.normal(size=(400, 3))).astype("float32")
    metric = keras.metrics.R2Score(num_regressors=20)
    row = only(metric, (target, guess))
    assert row.verdict == "wrong"
    plain = 1 - (1 - row.sklearn) * 379 / 399
    assert row.value == pytest.approx(1 - (1 - plain) * 1199 / 1179, abs=1e-6)
    assert only(metric, (target[:, :1], guess[:, :1])).verdict == "agrees"


def test_the_reason_why_keras_f1_of_few_hits_differs_is_its_epsilon():
    y_true = np.zeros((400, 2), "float32")
    y_true[:200, 0], y_true[200:, 1] = 1, 1
    y_pred = np.full((400, 2), 0.1, "float32")
    y_pred[199:299, 0], y_pred[100:201, 1] = 0.9, 0.9  # One hit each.
    row = only(keras.metrics.F1Score(threshold=0.5), (y_true, y_pred))
    assert row.verdict == "differs by convention"
    assert row.reason.startswith("epsilon: ")


@pytest.mark.parametrize("summation", ["interpolation", "minoring", "majoring"])
@pytest.mark.parametrize("curve", ["ROC", "PR"])
@pytest.mark.parametrize("weighted", [False, True])
def test_keras_auc_differs_by_its_thresholds_and_nothing_else(
    real, rng, curve, summation, weighted
):
    y_true, y_pred = real["binary"]
    data = (y_true, y_pred)
    if weighted:
        data = (*data, rng.random(len(y_true)).astype("float32"))
    for arguments in ({}, {"num_thresholds": 7}, {"thresholds": [0.1, 0.25, 0.7]}):
        metric = keras.metrics.AUC(curve=curve, summation_method=summation, **arguments)
        row = only(metric, data)
        assert row.verdict == "differs by convention", row
        assert row.reason.startswith("fixed thresholds: ")
        assert row.difference > 1e-5


def test_keras_auc_of_logits_is_compared_by_rank(real):
    y_true, y_pred = real["binary"]
    row = only(keras.metrics.AUC(from_logits=True), (y_true, logit(y_pred)))
    assert row.verdict == "differs by convention"
    assert row.sklearn == pytest.approx(row.torchmetrics, rel=1e-6)


def test_keras_auc_of_scores_on_its_thresholds_agrees(real):
    y_true, y_pred = real["binary"]
    row = only(keras.metrics.AUC(), (y_true, (y_pred > 0.5).astype("float32")))
    assert_agrees(row)


def test_a_metric_that_neither_library_has_says_why(real):
    y_true, y_pred = real["binary"]
    for metric, data, words in (
        (keras.metrics.AUC(curve="PRGAIN"), (y_true, y_pred), "PRGAIN"),
        (keras.metrics.AUC(multi_label=True), real["multilabel"], "over labels"),
        (keras.metrics.Precision(top_k=1), real["multilabel"], "top_k"),
        (keras.metrics.Poisson(), (y_true[:, None], y_pred[:, None]), "a deviance"),
        (
            keras.metrics.BinaryCrossentropy(),
            (y_true[:, None], y_pred[:, None]),
            "no number to compare it with",
        ),
    ):
        row = only(metric, data)
        assert row.verdict == "no equivalent"
        assert words in row.reason
        assert "does not depend on the batches" in row.reason


@pytest.mark.filterwarnings("ignore::multiback.errors.UnusableValuesWarning")
def test_no_score_reaches_torchmetrics_where_it_would_apply_a_sigmoid():
    """Raw scores of 0.4 and 3.0: after a sigmoid both lie above 0.5."""
    y_true = np.array([0, 1, 0, 1, 1, 0])
    y_pred = np.array([0.4, 3.0, 0.4, 3.0, 0.4, -2.0], "float32")
    assert_agrees(only(mb.metrics.F1Score(), (y_true, y_pred), batch_size=2))
    assert_agrees(
        only(keras.metrics.Recall(thresholds=0.5), (y_true, y_pred.clip(0, 1)))
    )


def test_a_convention_excuses_its_own_difference_and_no_other(real):
    metrics = (
        halved(keras.metrics.AUC, "result")(),
        halved(mb.metrics.Recall)(
            "multiclass", average="macro", ignore_index=3, num_classes=10
        ),
    )
    assert only(metrics[0], real["binary"]).verdict == "wrong"
    assert only(metrics[1], real["multiclass"]).verdict == "wrong"
    f_beta = halved(keras.metrics.FBetaScore, "result")("macro", beta=2.0)
    assert only(f_beta, real["multilabel"]).verdict == "wrong"


def test_keras_auc_counts_scores_of_0_and_1_at_its_outer_thresholds(real):
    y_true, y_pred = real["binary"]
    low, high = np.quantile(y_pred, [0.4, 0.9])
    coarse = np.where(y_pred < low, 0, np.where(y_pred > high, 1, y_pred))
    for curve in ("ROC", "PR"):
        metric = keras.metrics.AUC(curve=curve, num_thresholds=7)
        row = only(metric, (y_true, coarse))
        assert row.verdict == "differs by convention", row
