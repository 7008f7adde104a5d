from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from support.contracts import FloatContract, stream, unusable

import multiback as mb
from multiback.errors import ArgumentError

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

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, from_logits, **_):
        wide = y_pred.astype("float64")
        p = probabilities(wide) if from_logits else wide
        own = (
            np.where(y_true == 1, p, 1 - p) if p.ndim == 1 else p[range(len(p)), y_true]
        )
        if name == "BrierScore":
            loss = (1 - own) ** 2
            if p.ndim == 2:
                loss = ((p - np.eye(4)[y_true]) ** 2).sum(1)
            return np.average(loss, weights=sample_weight)
        mean = np.average(-np.log(own), weights=sample_weight)
        return np.exp(mean) if name == "Perplexity" else mean


def probabilities(logits):
    if logits.ndim == 1:
        return 1 / (1 + np.exp(-logits))
    grown = np.exp(logits - logits.max(1, keepdims=True))
    return grown / grown.sum(1, keepdims=True)


def test_scikit_learn_agrees(rng):
    y_true, p = rng.integers(0, 2, 200), rng.random(200).astype("float32")
    wide = p.astype("float64")
    for name, oracle in [
        ("LogLoss", sklearn.metrics.log_loss),
        ("BrierScore", sklearn.metrics.brier_score_loss),
    ]:
        actual = stream(getattr(mb.metrics, name)(), (y_true, p))
        assert actual == pytest.approx(oracle(y_true, wide), rel=1e-5)


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


@unusable
@pytest.mark.parametrize("name", NAMES)
@unusable
def test_no_data_a_nan_and_no_probability_give_nan(name):
    def make():
        return getattr(mb.metrics, name)()

    assert np.isnan(stream(make()))
    assert np.isnan(stream(make(), ([0, 1], [np.nan, 0.5])))
    assert np.isnan(stream(make(), ([0, 1], [1.5, 0.5])))
    assert not np.isnan(stream(make(), ([0, 1], [np.nan, 0.5], [0.0, 1.0])))


def test_a_task_of_several_labels_is_refused():
    with pytest.raises(ArgumentError, match="task= wants"):
        mb.metrics.LogLoss(task="multilabel")


@pytest.mark.parametrize("name", ["LogLoss", "Perplexity"])
def test_logits_far_from_0_cost_what_their_differences_do(name):
    """Near 1e6 float32 knows sixteenths, and lost .001 of a log loss of .720."""
    logits = np.array([[1e6, 1e6 + 1], [1e6 + 2, 1e6]], "float32")
    metric = getattr(mb.metrics, name)("multiclass", num_classes=2, from_logits=True)
    expected = np.mean(np.log1p(np.exp([1.0, -2.0])))
    if name == "Perplexity":
        expected = np.exp(expected)
    np.testing.assert_allclose(stream(metric, ([0, 0], logits)), expected, rtol=1e-6)
