"""torchmetrics is the second opinion; where it differs, both numbers stand here."""

import numpy as np
import pytest
import torch
import torchmetrics
from contracts import stream

import multiback as mb

NAMES = ["Accuracy", "F1Score", "Precision", "Recall"]


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
@pytest.mark.parametrize("name", NAMES)
def test_multilabel_agrees(rng, name, average):
    y_true = rng.integers(0, 2, (200, 3))
    y_pred = rng.random((200, 3)).astype("float32")
    arguments = {"task": "multilabel", "num_labels": 3, "average": average}
    mine, theirs = both(name, y_true, y_pred, threshold=0.3, **arguments)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_binary_agrees(rng, name):
    y_true = rng.integers(-1, 2, 200)
    y_pred = rng.random(200).astype("float32")
    mine, theirs = both(name, y_true, y_pred, task="binary", ignore_index=-1)
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_ignored_class_leaves_our_macro_average_and_stays_in_theirs(rng, name):
    """Predicted but never true, it adds a zero there: 7 classes here, 8 there."""
    y_true = rng.integers(0, 6, 200)
    y_pred = rng.random((200, 8)).astype("float32")
    arguments = {"task": "multiclass", "num_classes": 8, "average": "macro"}
    mine, theirs = both(name, y_true, y_pred, ignore_index=2, **arguments)
    np.testing.assert_allclose(mine * 7 / 8, theirs, rtol=1e-6)
