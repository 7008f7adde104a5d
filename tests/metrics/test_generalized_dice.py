"""The generalized Dice score of each sample, averaged over samples."""

import numpy as np
import pytest
import torch
from support.backends import once
from support.contracts import stream
from torchmetrics.segmentation import GeneralizedDiceScore

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents

CLASSES = {"task": "multiclass", "num_classes": 4}


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("weight_type", ["linear", "simple", "square"])
def test_it_is_torchmetrics_where_each_sample_has_each_class(
    rng, weight_type, background
):
    true, guess = rng.integers(0, 4, (8, 30)), rng.integers(0, 4, (8, 30))
    true[:, :4] = range(4)
    theirs = GeneralizedDiceScore(
        4, include_background=background, weight_type=weight_type, input_format="index"
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


@once
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
