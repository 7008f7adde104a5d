from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from support.contracts import FloatContract, stream, unusable
from support.oracles import LOSSES

import multiback as mb

NAMES = ["BrierScore", "LogLoss", "Perplexity"]


class TestLosses(FloatContract):
    cases: ClassVar = {
        f"{name}-{task}-{'logits' if from_logits else 'probabilities'}": {
            "name": name,
            "task": task,
            "from_logits": from_logits,
        }
        for name in NAMES
        for task in ("binary", "multiclass")
        for from_logits in (True, False)
        # Perplexity adds up what LogLoss does.
        if name != "Perplexity" or task == "multiclass"
    }
    # Softmax, log and exp take a few roundings of numbers up to some 8 each; the
    # exponential of a mean turns its absolute error into a relative one.
    rtol = 3 * FloatContract.rtol

    def make(self, name, task, from_logits):
        classes = {"num_classes": 4} if task == "multiclass" else {}
        return getattr(mb.metrics, name)(
            task=task, name=name, from_logits=from_logits, **classes
        )

    def sample(self, rng, n, arguments):
        shape = (n,) if arguments["task"] == "binary" else (n, 4)
        y_true = rng.integers(0, 2 if len(shape) == 1 else 4, n)
        scores = 1.5 * rng.normal(size=shape)
        if not arguments["from_logits"]:
            scores = probabilities(scores)
        return y_true, scores.astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, task, from_logits):
        wide = y_pred.astype("float64")
        p = probabilities(wide) if from_logits else wide
        return LOSSES[name](task, y_true, p, sample_weight)


class TestCalibrationError(FloatContract):
    cases: ClassVar = {
        "binary-l1": {"task": "binary"},
        "binary-max": {"task": "binary", "norm": "max"},
        "multiclass-l2": {"task": "multiclass", "num_classes": 4, "norm": "l2"},
    }
    # A bin adds up at most 200 numbers up to 1, and the gap of its means is absolute.
    rtol, atol = 0.0, 200 * 2.0**-24

    def make(self, **arguments):
        return mb.metrics.CalibrationError(n_bins=8, **arguments)

    def sample(self, rng, n, arguments):
        if arguments["task"] == "binary":
            p = rng.random(n)
            return (rng.random(n) < p**2).astype("int32"), p.astype("float32")
        p = rng.dirichlet(np.ones(4), n)
        return rng.integers(0, 4, n), p.astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, task, norm="l1", **_):
        given = task, y_true, y_pred.astype("float64"), sample_weight
        return LOSSES["CalibrationError"](*given, norm=norm, n_bins=8)


def probabilities(logits):
    if logits.ndim == 1:
        return 1 / (1 + np.exp(-logits))
    grown = np.exp(logits - logits.max(1, keepdims=True))
    return grown / grown.sum(1, keepdims=True)


def test_perplexity_agrees_with_torchmetrics_on_sequences_with_padding(rng):
    y_true = rng.integers(0, 6, (8, 5))
    y_true[:, 3:] = -100
    logits = rng.normal(size=(8, 5, 6)).astype("float32")
    metric = mb.metrics.Perplexity(
        task="multiclass", num_classes=6, from_logits=True, ignore_index=-100
    )
    theirs = torchmetrics.text.Perplexity(ignore_index=-100)
    expected = float(theirs(torch.tensor(logits), torch.tensor(y_true)))
    assert stream(metric, (y_true, logits)) == pytest.approx(expected, rel=1e-5)


def test_a_sure_and_wrong_logit_costs_what_it_says():
    """A probability in between would have been rounded to 1: a loss of 0 or 16."""
    metric = mb.metrics.LogLoss(from_logits=True)
    assert stream(metric, ([0, 1], [100.0, 40.0])) == 50.0


@unusable
def test_a_label_of_probability_0_is_never_the_best_and_scikit_learn_clips_it():
    y_true, p = [1, 0], np.array([0.0, 0.5], "float32")
    assert np.isnan(stream(mb.metrics.LogLoss(), (y_true, p)))
    assert sklearn.metrics.log_loss(y_true, p) < 10


@pytest.mark.parametrize("name", ["LogLoss", "Perplexity"])
def test_logits_far_from_0_cost_what_their_differences_do(name):
    """Near 1e6 float32 knows sixteenths, and lost .001 of a log loss of .720."""
    logits = np.array([[1e6, 1e6 + 1], [1e6 + 2, 1e6]], "float32")
    metric = getattr(mb.metrics, name)("multiclass", num_classes=2, from_logits=True)
    expected = np.mean(np.log1p(np.exp([1.0, -2.0])))
    if name == "Perplexity":
        expected = np.exp(expected)
    np.testing.assert_allclose(stream(metric, ([0, 0], logits)), expected, rtol=1e-6)
