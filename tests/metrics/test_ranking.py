from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from contracts import MetricContract, stream
from keras import ops

import multiback as mb

ORACLES = {
    "AUROC": sklearn.metrics.roc_auc_score,
    "AveragePrecision": sklearn.metrics.average_precision_score,
}


def draw(rng, n, share=0.5, *, probability):
    """Draw labels and scores that lie in bins of their own, most of them."""
    y_true = (rng.random(n) < share).astype("int32")
    y_true[:2] = 0, 1
    logits = (2 * rng.normal(size=n) + y_true).astype("float32")
    scores = 1 / (1 + np.exp(-logits.astype("float64"))) if probability else logits
    return y_true, scores.astype("float32")


class TestRanking(MetricContract):
    cases: ClassVar = {
        f"{name}-{kind}": {"name": name, "from_logits": kind == "logits"}
        for name in ORACLES
        for kind in ("logits", "probabilities")
    }

    def make(self, name, **arguments):
        return getattr(mb.metrics, name)(name=name, **arguments)

    def sample(self, rng, n, arguments):
        y_true, scores = draw(rng, n, probability=False)
        # Spread out, so that each keeps a bin of its own: what sharing one costs is
        # the business of `bounds`, below.
        spread = np.linspace(-4, 4, n, dtype="float32")[scores.argsort().argsort()]
        if arguments["from_logits"]:
            return y_true, spread
        return y_true, (1 / (1 + np.exp(-spread))).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **_):
        """Give the value and, for `close`, no more: `bounds` say how near it is."""
        wide = y_pred.astype("float64")
        return ORACLES[name](y_true, wide, sample_weight=sample_weight)

    def close(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)

    def same(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


HARD = {
    "plain": lambda z, _: 1 / (1 + np.exp(-z)),
    "p about .01 +- .001": lambda z, _: 0.01 + 0.001 * np.tanh(z),
    "p about .9 +- .0005": lambda z, _: 0.9 + 0.0005 * np.tanh(z),
    "logits 1000 +- 1": lambda z, _: 1000 + z,
    "logits of sd .001": lambda z, _: 0.001 * z,
    "one in a hundred": lambda z, _: z,
    "many ties": lambda z, _: np.round(z),
    "all tied": lambda z, _: 0 * z,
    "separated": lambda z, y: np.abs(z) * (2 * y - 1),
    "-0 and 0": lambda z, _: np.where(z > 0, -0.0, 0.0),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("name", ORACLES)
def test_the_value_of_the_data_lies_within_the_bounds(name, case, weighted):
    rng = np.random.default_rng(0)
    share = 0.01 if case == "one in a hundred" else 0.4
    y_true = (rng.random(4096) < share).astype("int32")
    scores = HARD[case](rng.normal(size=4096) + y_true, y_true).astype("float32")
    probability = case.startswith("p")
    weight = rng.random(4096).astype("float32") if weighted else None
    metric = getattr(mb.metrics, name)(from_logits=not probability)
    actual = stream(metric, (y_true, scores, weight))
    expected = ORACLES[name](y_true, scores.astype("float64"), sample_weight=weight)
    low, high = metric.bounds()
    assert 0 <= low <= actual <= high <= 1
    assert low <= expected <= high
    if case in {"plain", "one in a hundred", "separated"}:
        # Among 40 positives, one that shares its bin weighs more.
        near = 5e-3 if case == "one in a hundred" else 1e-3
        assert actual == pytest.approx(expected, abs=near)
        assert high - low < 0.02


def test_the_bounds_are_wide_where_scores_share_a_bin():
    """The bound is the promise: here no binning of this kind could rank."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, 4096)
    logits = (0.0001 * rng.normal(size=4096) + 0.0001 * y_true).astype("float32")
    metric = mb.metrics.AUROC(from_logits=True)
    stream(metric, (y_true, logits))
    low, high = metric.bounds()
    assert high - low > 0.3


def test_torchmetrics_agrees_on_every_threshold(rng):
    y_true, scores = draw(rng, 200, probability=True)
    for name in ORACLES:
        theirs = getattr(torchmetrics, name)(task="binary")
        expected = float(theirs(torch.tensor(scores), torch.tensor(y_true)))
        mine = stream(getattr(mb.metrics, name)(), (y_true, scores))
        assert mine == pytest.approx(expected, abs=2e-3)


def test_200_linear_thresholds_are_lost_on_skewed_scores():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, 4096)
    scores = np.exp(rng.normal(size=4096) + y_true - 8).astype("float32")
    true = sklearn.metrics.roc_auc_score(y_true, scores)
    theirs = torchmetrics.AUROC(task="binary", thresholds=200)
    wrong = float(theirs(torch.tensor(scores), torch.tensor(y_true)))
    assert stream(mb.metrics.AUROC(), (y_true, scores)) == pytest.approx(true, abs=1e-3)
    assert abs(wrong - true) > 0.1


@pytest.mark.parametrize("name", ORACLES)
def test_one_class_a_nan_and_no_probability_give_nan(name):
    def make():
        return getattr(mb.metrics, name)()

    assert np.isnan(stream(make()))
    assert np.isnan(stream(make(), ([1, 1], [0.1, 0.9])))
    assert np.isnan(stream(make(), ([0, 0], [0.1, 0.9])))
    assert np.isnan(stream(make(), ([0, 1, 1], [0.1, 0.9, np.nan])))
    assert np.isnan(stream(make(), ([0, 1, 1], [0.1, 0.9, 1.5])))
    assert stream(make(), ([0, 1], [0.0, 1.0])) == 1.0
    infinite = getattr(mb.metrics, name)(from_logits=True)
    assert stream(infinite, ([0, 1], [-np.inf, np.inf])) == 1.0


@pytest.mark.parametrize("name", ORACLES)
def test_billions_of_samples_keep_their_value(rng, name):
    metric = getattr(mb.metrics, name)()
    statistic = metric.statistic
    state = statistic.update(statistic.init(), *draw(rng, 200, probability=True))
    few = float(ops.convert_to_numpy(metric.compute_bounds(state))[0])
    for _ in range(28):
        state = statistic.merge(state, state)
    many = ops.convert_to_numpy(metric.compute_bounds(state))
    # Each score is now many: a bin of one can no longer be told apart from ties.
    assert many[0] - 0.02 <= few <= many[1] + 0.02


def test_a_group_shares_the_histogram_and_a_view_has_bounds(rng):
    batch = draw(rng, 200, probability=True)
    auroc, precision = mb.metrics.group(
        mb.metrics.AUROC(), mb.metrics.AveragePrecision()
    )
    alone = mb.metrics.AveragePrecision()
    for metric in (auroc, precision, alone):
        metric.update_state(*batch)
    assert precision.variables == []
    assert precision.bounds() == alone.bounds()
    assert stream(precision) == stream(alone)
