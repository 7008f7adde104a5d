"""The hinge loss of two classes and of several: scikit-learn's."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from support.backends import once
from support.contracts import FloatContract, stream
from support.oracles import LOSSES
from torchmetrics.classification import BinaryHingeLoss, MulticlassHingeLoss

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents


class TestHingeLoss(FloatContract):
    cases: ClassVar = {
        "binary": {"task": "binary"},
        "classes": {"task": "multiclass", "num_classes": 3},
    }
    rtol = 3 * FloatContract.rtol
    atol = 1e-6

    def make(self, **arguments):
        return mb.metrics.HingeLoss(**arguments)

    def sample(self, rng, n, arguments):
        classes = arguments.get("num_classes", 2)
        y_true = rng.integers(0, classes, n)
        y_true[:classes] = range(classes)
        shape = (n, classes) if classes > 2 else (n,)
        return y_true, (2 * rng.normal(size=shape)).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, task, **_):
        wide = y_pred.astype("float64")
        return LOSSES["HingeLoss"](task, y_true, wide, sample_weight)


@pytest.mark.parametrize("squared", [False, True])
def test_torchmetrics_agrees_where_it_takes_scores_as_they_are(rng, squared):
    scores = rng.random((90, 3)).astype("float32")
    labels = rng.integers(0, 3, 90)
    theirs = MulticlassHingeLoss(3, squared=squared)
    expected = theirs(torch.tensor(scores), torch.tensor(labels))
    task = {"task": "multiclass", "num_classes": 3, "squared": squared}
    actual = stream(mb.metrics.HingeLoss(**task), (labels, scores))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    theirs = BinaryHingeLoss(squared=squared)
    expected = theirs(torch.tensor(scores[:, 0]), torch.tensor(labels == 1))
    metric = mb.metrics.HingeLoss("binary", squared=squared)
    actual = stream(metric, (labels == 1, scores[:, 0]))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_scores_outside_of_0_to_1_are_taken_as_they_are():
    assert stream(mb.metrics.HingeLoss(), ([1, 0], [5.0, -5.0])) == 0.0
    assert stream(mb.metrics.HingeLoss(), ([1, 0], [-5.0, 5.0])) == 6.0
    assert mb.metrics.HingeLoss().unusable() == {}


@once
def test_the_other_libraries_say_what_differs(rng):
    found = equivalents(mb.metrics.HingeLoss("binary", squared=True))
    assert found.torchmetrics.squared
    assert "sigmoid or softmax" in found.reasons["torchmetrics"]
    assert found.keras is None
    back = equivalents(MulticlassHingeLoss(3)).multiback
    assert back.get_config()["num_classes"] == 3
    other = MulticlassHingeLoss(3, multiclass_mode="one-vs-all")
    assert equivalents(other).multiback is None
    labels, scores = rng.integers(0, 2, 90), rng.random(90).astype("float32")
    (row,) = crosscheck(mb.metrics.HingeLoss("binary"), (labels, scores))
    assert row.verdict == "agrees", row
    assert row.torchmetrics is not None
    (row,) = crosscheck(mb.metrics.HingeLoss("binary"), (labels, 4 * scores - 2))
    assert (row.verdict, row.torchmetrics) == ("agrees", None), row
