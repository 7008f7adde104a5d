"""The generalized Dice score of each sample, averaged over samples."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from support.contracts import FloatContract, stream
from support.oracles import generalized_dice
from torchmetrics.segmentation import GeneralizedDiceScore

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents
from multiback.errors import ArgumentError

PIXELS = 12
POWERS = {"linear": 0, "simple": 1, "square": 2}
CLASSES = {"task": "multiclass", "num_classes": 4}


class TestGeneralizedDice(FloatContract):
    cases: ClassVar = {
        "classes": {"classes": None, "weight_type": "square"},
        "no background": {"classes": [1, 2, 3], "weight_type": "simple"},
    }

    def make(self, **arguments):
        return mb.metrics.GeneralizedDice(**CLASSES, **arguments)

    def sample(self, rng, n, _arguments):
        # Class 3 is in few of the samples.
        y_true = rng.choice(4, (n, PIXELS), p=[0.5, 0.25, 0.22, 0.03])
        return y_true, rng.random((n, PIXELS, 4)).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, classes, weight_type):
        ids = range(4) if classes is None else classes
        true, guess = (np.equal.outer(x, ids) for x in (y_true, y_pred.argmax(-1)))
        values = [
            generalized_dice(*row, power=POWERS[weight_type])
            for row in zip(true, guess, strict=True)
        ]
        return np.average(values, weights=sample_weight)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("weight_type", POWERS)
def test_it_is_torchmetrics_where_each_sample_has_each_class(
    rng, weight_type, background
):
    true, guess = rng.integers(0, 4, (8, 30)), rng.integers(0, 4, (8, 30))
    true[:, :4] = range(4)
    theirs = GeneralizedDiceScore(
        4,
        include_background=background,
        weight_type=weight_type,
        input_format="index",
    )
    theirs.update(torch.tensor(guess), torch.tensor(true))
    metric = equivalents(theirs).multiback
    actual = stream(metric, (true[:5], guess[:5]), (true[5:], guess[5:]))
    np.testing.assert_allclose(actual, theirs.compute(), rtol=1e-5)


def test_an_absent_class_weighs_the_same_in_any_batch(rng):
    true, guess = rng.integers(0, 3, (6, 30)), rng.integers(0, 4, (6, 30))
    make = mb.metrics.GeneralizedDice
    whole = stream(make(**CLASSES), (true, guess))
    single = stream(make(**CLASSES), *((true[[i]], guess[[i]]) for i in range(6)))
    np.testing.assert_allclose(single, whole, rtol=1e-6)
    worse = np.where(guess == 3, 3, true)
    assert stream(make(**CLASSES), (true, worse)) < 0.95


def test_nothing_to_overlap_is_zero_division_and_large_samples_stay_finite():
    nothing = np.zeros((2, 9), int)
    more = {"classes": [1, 2]}
    make = mb.metrics.GeneralizedDice
    assert stream(make(**CLASSES, **more), (nothing, nothing)) == 0.0
    assert stream(make(**CLASSES, **more, zero_division=1.0), (nothing, nothing)) == 1.0
    assert stream(make(**CLASSES, **more), (nothing, nothing + 1)) == 0.0
    large = np.zeros((1, 2**21), int)
    large[0, 0] = 1
    assert stream(make(**CLASSES), (large, large)) == 1.0


def test_crosscheck_compares_it_with_numpy(rng):
    true, guess = rng.integers(0, 3, (40, 30)), rng.integers(0, 4, (40, 30))
    for more in ({}, {"classes": [1, 3]}, {"ignore_index": 0, "classes": [1, 2]}):
        metric = mb.metrics.GeneralizedDice(**CLASSES, **more)
        (row,) = crosscheck(metric, (true, guess))
        assert row.verdict == "agrees", row
    labels, scores = rng.integers(0, 2, (40, 5, 3)), rng.random((40, 5, 3))
    metric = mb.metrics.GeneralizedDice("multilabel", num_labels=3)
    (row,) = crosscheck(metric, (labels, scores.astype("float32")))
    assert row.verdict == "agrees", row


def test_an_unknown_weight_is_refused():
    with pytest.raises(ArgumentError, match="weight_type= wants"):
        mb.metrics.GeneralizedDice(**CLASSES, weight_type="cubic")
