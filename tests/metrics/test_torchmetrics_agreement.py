"""torchmetrics is the second opinion; where it differs, both numbers stand here."""

import numpy as np
import pytest
import torch
import torchmetrics
from support.contracts import stream

import multiback as mb

NAMES = ["Accuracy", "F1Score", "Precision", "Recall"]
# These differ where a class has neither label nor prediction; see below.
KIN = ["FBetaScore", "HammingDistance", "NegativePredictiveValue", "Specificity"]


def both(name, y_true, y_pred, **arguments):
    """Stream the same data through multiback's and torchmetrics' metric."""
    mine = getattr(mb.metrics, name)(**arguments)
    theirs = getattr(torchmetrics, name)(**arguments)
    theirs.update(torch.tensor(y_pred), torch.tensor(y_true))
    return stream(mine, (y_true, y_pred)), theirs.compute().numpy()


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize("name", NAMES)
def test_multiclass_agrees(rng, name, average):
    y_true = rng.integers(0, 6, 200)
    y_pred = rng.random((200, 8)).astype("float32")
    arguments = {"task": "multiclass", "num_classes": 8, "average": average}
    mine, theirs = both(name, y_true, y_pred, ignore_index=-1, **arguments)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize("name", NAMES + KIN)
def test_multilabel_agrees(rng, name, average):
    y_true = rng.integers(0, 2, (200, 3))
    y_pred = rng.random((200, 3)).astype("float32")
    arguments = {"task": "multilabel", "num_labels": 3, "average": average}
    arguments |= {"beta": 2.0} if name == "FBetaScore" else {}
    mine, theirs = both(name, y_true, y_pred, threshold=0.3, **arguments)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES + KIN[1:])
def test_binary_agrees(rng, name):
    y_true = rng.integers(-1, 2, 200)
    y_pred = rng.random(200).astype("float32")
    mine, theirs = both(name, y_true, y_pred, task="binary", ignore_index=-1)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_class_leaves_our_macro_average_and_stays_in_torchmetrics(rng, name):
    """Predicted but never true, it adds a zero there: 7 classes here, 8 there."""
    y_true = rng.integers(0, 6, 200)
    y_pred = rng.random((200, 8)).astype("float32")
    arguments = {"task": "multiclass", "num_classes": 8, "average": "macro"}
    mine, theirs = both(name, y_true, y_pred, ignore_index=2, **arguments)
    np.testing.assert_allclose(mine * 7 / 8, theirs, rtol=1e-6)


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize("name", KIN)
def test_multiclass_metrics_agree_where_every_class_occurs(rng, name, average):
    y_true = rng.integers(0, 6, 200)
    y_pred = rng.random((200, 6)).astype("float32")
    arguments = {"task": "multiclass", "num_classes": 6, "average": average}
    arguments |= {"beta": 2.0} if name == "FBetaScore" else {}
    mine, theirs = both(name, y_true, y_pred, **arguments)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"task": "binary"},
        {"task": "multiclass", "num_classes": 6, "average": None},
        {"task": "multilabel", "num_labels": 6, "average": None},
        {"task": "multilabel", "num_labels": 6, "average": "micro"},
    ],
)
def test_stat_scores_agree(rng, arguments):
    shape = (200,) if arguments["task"] == "binary" else (200, 6)
    y_pred = rng.random(shape).astype("float32")
    y_true = rng.integers(0, 2, shape)
    if arguments["task"] == "multiclass":
        y_true = rng.integers(0, 6, 200)
    mine, theirs = both("StatScores", y_true, y_pred, **arguments)
    np.testing.assert_array_equal(mine, theirs)


def test_exact_match_agrees(rng):
    y_true, y_pred = rng.integers(0, 2, (200, 3)), rng.random((200, 3))
    mine, theirs = both("ExactMatch", y_true, y_pred, task="multilabel", num_labels=3)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_top_k_accuracy_agrees_on_scores_that_differ(rng):
    y_true, y_pred = rng.integers(0, 6, 200), rng.random((200, 6)).astype("float32")
    mine = stream(mb.metrics.TopKAccuracy(num_classes=6, top_k=2), (y_true, y_pred))
    theirs = torchmetrics.Accuracy(task="multiclass", num_classes=6, top_k=2)
    np.testing.assert_allclose(
        mine, theirs(torch.tensor(y_pred), torch.tensor(y_true)), rtol=1e-6
    )
