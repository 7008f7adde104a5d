"""A torchmetrics metric as one of Keras, without a model: its inputs and state."""

import sys

import keras
import numpy as np
import pytest
import torch
import torchmetrics
from sklearn.metrics import f1_score
from torchmetrics.classification import BinaryAccuracy, BinaryF1Score

from multiback.adapters.torchmetrics import as_keras
from multiback.errors import ArgumentError, MissingPackageError


def f1(scores, labels):
    return f1_score(labels, scores[:, 0] > 0.5)


def test_by_itself_it_answers_when_it_is_asked(scored):
    x, y = scored
    metric = as_keras(BinaryF1Score())
    assert metric.name == "binary_f1_score"
    assert np.isnan(float(metric.result()))
    for end in (25, 50):
        metric.update_state(y[end - 25 : end], x[end - 25 : end])
        assert float(metric.result()) == pytest.approx(f1(x[:end], y[:end]))
    metric.reset_state()
    assert np.isnan(float(metric.result()))
    metric.update_state(y[:25], x[:25])
    assert float(metric.result()) == pytest.approx(f1(x[:25], y[:25]))


def test_variables_from_a_checkpoint_show_their_value_and_take_no_more_batches(scored):
    x, y = scored
    metric, other = as_keras(BinaryF1Score()), as_keras(BinaryF1Score())
    metric.update_state(y, x)
    value = float(metric.result())
    other.update_state(y[:3], x[:3])
    other.update_state(y[:3], x[:3])
    other.reset_state()
    for to, of in zip(other.variables, metric.variables, strict=True):
        to.assign(of)
    assert float(other.result()) == value
    with pytest.raises(Exception, match="reset_state"):
        # JAX and TensorFlow raise their own exception around ours.
        other(y, x)


def test_pure_functions_keep_their_batches_apart(scored):
    x, y = scored
    metric = as_keras(BinaryF1Score())
    metric.update_state(y[:25], x[:25])  # The variables exist from here on.
    for rows in (50, 75):
        state = metric.stateless_reset_state()
        for end in range(25, rows + 1, 25):
            state = metric.stateless_update_state(
                state, y[end - 25 : end], x[end - 25 : end]
            )
        assert int(state[0]) == rows // 25
        right = f1(x[:rows], y[:rows])
        assert float(metric.stateless_result(state)) == pytest.approx(right)


def test_half_precision_predictions_are_taken(scored):
    x, y = scored
    metric = as_keras(BinaryF1Score())
    metric.update_state(y, keras.ops.cast(x, "bfloat16"))
    halved = np.asarray(torch.tensor(x).bfloat16().float())
    assert float(metric.result()) == pytest.approx(f1(halved, y))


def test_what_a_mask_leaves_out_does_not_count():
    x = np.array([[[0.9], [0.2], [0.0]], [[0.8], [0.0], [0.0]]], "float32")
    masked = keras.layers.Masking()(x)
    metric = as_keras(BinaryAccuracy())
    metric.update_state(np.array([[1, 0, 1], [1, 1, 1]]), masked)
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: as_keras("auroc"), "MetricCollection, not 'auroc'"),
        (lambda: as_keras(torchmetrics.MeanMetric()), "update takes value"),
        (lambda: as_keras(BinaryF1Score(), compute_every=0), "compute_every="),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(wrong, says):
    with pytest.raises(ArgumentError, match=says):
        wrong()


def test_without_torchmetrics_the_error_holds_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingPackageError) as caught:
        as_keras(None)
    assert 'pip install "multiback[torchmetrics]"' in str(caught.value).splitlines()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("shape", [(60,), (12, 5)])
@pytest.mark.parametrize("kinds", ["int64 int64", "bool int32", "float32 int32"])
def test_one_hot_integers_on_both_sides_are_classes(kinds, shape, classes):
    rng = np.random.default_rng(0)
    first, second = kinds.split()
    y, p = rng.integers(0, classes, (2, *shape))
    metric = as_keras(
        torchmetrics.classification.MulticlassAccuracy(classes, average="micro"),
        "accuracy",
    )
    for rows in (slice(0, 7), slice(7, None)):
        metric.update_state(
            np.eye(classes)[y[rows]].astype(first),
            np.eye(classes)[p[rows]].astype(second),
        )
    assert float(metric.result()) == pytest.approx(np.mean(y == p))


def test_rows_of_ids_as_long_as_the_classes_say_what_to_do():
    metric = as_keras(torchmetrics.classification.MulticlassAccuracy(3), "accuracy")
    ids = np.array([[0, 1, 2], [2, 2, 1]])
    with pytest.raises(Exception, match="Give class ids a last axis of 1"):
        metric.update_state(ids, ids)
    metric.update_state(ids[..., None], ids[..., None])
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "given"),
    [
        (
            torchmetrics.classification.MulticlassAccuracy(3),
            [0, 7],
            np.eye(3, dtype="float32")[:2],
            r"y_true \(2,\) of int.*y_pred \(2, 3\) of float32",
        ),
        (
            torchmetrics.classification.BinaryAccuracy(),
            [0, 2],
            [0.1, 0.9],
            r"y_true \(2,\)",
        ),
        (
            torchmetrics.MeanSquaredError(),
            np.zeros(3, "float32"),
            np.zeros((2, 2), "float32"),
            r"y_pred \(2, 2\)",
        ),
    ],
)
def test_what_torchmetrics_refuses_is_said_with_the_metric_and_what_came(
    metric, y_true, y_pred, given
):
    hosted = as_keras(metric)
    with pytest.raises(Exception, match=given) as caught:
        hosted.update_state(np.asarray(y_true), np.asarray(y_pred))
    if keras.backend.backend() == "torch":  # Others raise from inside of a step.
        assert isinstance(caught.value, ArgumentError)
    assert type(metric).__name__ in str(caught.value)
