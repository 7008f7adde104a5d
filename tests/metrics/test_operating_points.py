"""The best value under a condition, its threshold, and the curves that it lies on."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
from keras import ops
from support.backends import compiled
from support.contracts import ROWS as FEW
from support.contracts import FloatContract, stream, unusable, value
from support.oracles import CONDITIONS as NAMES
from support.oracles import RANKINGS

import multiback as mb

KEPT = {"capacity": 128}  # Twice the rows of the contract, which a compiled step adds.
TARGETS = [0.0, 0.3, 0.9, 1.0]
ROWS = 4096


def draw(n=ROWS, share=0.3, scale=1.5):
    rng = np.random.default_rng(0)
    y_true = (rng.random(n) < share).astype("int32")
    logits = scale * (rng.normal(size=n) + y_true)
    return y_true, (1 / (1 + np.exp(-logits))).astype("float32")


def make(name, target, **arguments):
    return getattr(mb.metrics, name)(target, **arguments)


def oracle(name, target, y_true, scores, weight=None):
    return RANKINGS[name](y_true, scores, weight, target=target)


class TestScoresOfTwoClasses(FloatContract):
    """What reads a ranking at a condition, a threshold or a rate, of bins and kept."""

    cases: ClassVar = {
        "precision": {"name": "PrecisionAtRecall", "recall": 0.55},
        "recall-kept": {"name": "RecallAtPrecision", "precision": 0.55, **KEPT},
        "sensitivity": {"name": "SensitivityAtSpecificity", "specificity": 0.55},
        "specificity": {
            "name": "SpecificityAtSensitivity",
            "sensitivity": 0.55,
            **KEPT,
        },
        "f": {"name": "MaxFBeta"},
        "f2-kept": {"name": "MaxFBeta", "beta": 2.0, **KEPT},
        "eer": {"name": "EqualErrorRate"},
        "eer-kept": {"name": "EqualErrorRate", **KEPT},
        "top": {"name": "PrecisionAtTopFraction", "fraction": 0.3},
        "lift-kept": {"name": "Lift", "fraction": 0.1, **KEPT},
        "part": {"name": "AUROC", "max_fpr": 0.3},
        "part-kept": {"name": "AUROC", "max_fpr": 0.1, **KEPT},
    }
    rtol, atol = 4e-6, 2e-6

    def make(self, name, **arguments):
        return getattr(mb.metrics, name)(task="binary", **arguments)

    def sample(self, rng, n, _arguments):
        y_true = rng.integers(0, 2, n)
        y_true[:2] = [0, 1]
        # Far enough apart for bins, and with ties.
        return y_true, ((rng.integers(4, 28, n) + 4 * y_true) / 32).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **arguments):
        arguments.pop("capacity", None)
        return RANKINGS[name](y_true, y_pred, sample_weight=sample_weight, **arguments)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_the_data_lies_within_the_bounds(name, target, weighted):
    y_true, scores = draw()
    weight = np.random.default_rng(1).random(ROWS) if weighted else None
    expected = oracle(name, target, y_true, scores, weight)
    weight = None if weight is None else weight.astype("float32")
    metric, kept = make(name, target), make(name, target, capacity=ROWS)
    actual, exact = (stream(m, (y_true, scores, weight)) for m in (metric, kept))
    low, high = metric.bounds()
    assert low <= actual <= high
    assert low <= expected <= high
    assert actual <= expected + 1e-5
    assert actual == pytest.approx(expected, abs=0.02)
    if not weighted:  # Weights may miss a condition by a rounding.
        assert exact == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("scale", [1.5, 0.01])
@pytest.mark.parametrize("arguments", [{}, {"capacity": ROWS}], ids=["bins", "kept"])
@pytest.mark.parametrize("name", NAMES)
def test_the_scores_cut_at_the_threshold_give_the_value(name, arguments, scale):
    y_true, scores = draw(scale=scale)
    for target in TARGETS:
        metric = make(name, target, **arguments)
        actual = stream(metric, (y_true, scores))
        above = scores > np.float32(metric.threshold())
        rates = {
            "precision": y_true[above].mean() if above.any() else 0.0,
            "recall": above[y_true == 1].mean(),
            "specificity": 1 - above[y_true == 0].mean(),
        }
        rates["sensitivity"] = rates["recall"]
        wanted = name.split("At")[0].lower()
        assert actual == pytest.approx(rates[wanted], abs=1e-6)
        if not (np.isinf(metric.threshold()) and actual == 0.0):
            assert rates[NAMES[name]] >= target - 2**-22


@pytest.mark.parametrize("name", NAMES)
def test_a_condition_that_is_met_exactly_is_met(name):
    """9/10 is at least 0.9, also in a compiled step."""
    y_true = np.repeat([0, 1], 10)
    scores = np.linspace(0.05, 0.95, 20, dtype="float32")
    scores[[0, 19]] = scores[[19, 0]]  # One positive lowest, one negative highest.
    metric = make(name, 0.9)
    state = metric.statistic.update(metric.statistic.init(), y_true, scores)
    for compute in (metric.compute, compiled(metric.compute)):
        actual = float(ops.convert_to_numpy(compute(state)))
        assert actual == pytest.approx(0.9, abs=1e-6)


def test_an_unreachable_condition_gives_0_and_an_infinite_threshold():
    metric = mb.metrics.RecallAtPrecision(precision=0.9)
    scores = np.resize(np.float32([0.9, 0.8, 0.7, 0.1]), ROWS)
    assert stream(metric, (np.resize([0, 1], ROWS), scores)) == 0.0
    assert metric.threshold() == np.inf


@unusable
@pytest.mark.parametrize("name", NAMES)
@unusable
def test_one_class_and_a_nan_give_nan(name):
    for labels, scores in (([1, 1], [0.1, 0.9]), ([0, 1], [np.nan, 0.9])):
        metric = make(name, 0.5)
        batch = np.resize(labels, ROWS), np.resize(np.float32(scores), ROWS)
        assert np.isnan(stream(metric, batch))
        assert np.isnan(metric.threshold())


def test_several_labels_have_a_threshold_each():
    y_true, scores = (part.reshape(FEW, 3) for part in draw(3 * FEW))
    labels = {"task": "multilabel", "num_labels": 3}
    metric = mb.metrics.PrecisionAtRecall(0.5, **labels, average=None)
    actual = stream(metric, (y_true, scores))
    each, thresholds = [], []
    for column in range(3):
        alone = mb.metrics.PrecisionAtRecall(0.5)
        each.append(stream(alone, (y_true[:, column], scores[:, column])))
        thresholds.append(alone.threshold())
    np.testing.assert_array_equal(metric.threshold(), thresholds)
    np.testing.assert_allclose(actual, each, rtol=1e-6)
    assert actual[0] != actual[1]
    mean = mb.metrics.PrecisionAtRecall(0.5, **labels)
    averaged = ops.convert_to_numpy(mean.compute(metric.state))
    np.testing.assert_allclose(averaged, np.mean(each), rtol=1e-6)


def test_a_view_has_thresholds_and_curves():
    batch = draw()
    owner, view = mb.metrics.group(
        mb.metrics.AUROC(), mb.metrics.PrecisionAtRecall(0.9)
    )
    alone = mb.metrics.PrecisionAtRecall(0.9)
    for metric in (owner, view, alone):
        metric.update_state(*batch)
    assert view.variables == []
    assert value(view) == value(alone)
    assert view.threshold() == alone.threshold()
    assert view.bounds() == alone.bounds()
    for mine, theirs in zip(view.roc_curve(), alone.roc_curve(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert len(view.precision_recall_curve()) == 3
    view = mb.metrics.group(mb.metrics.Precision(), mb.metrics.Recall())[1]
    for ask in (view.threshold, view.roc_curve, view.precision_recall_curve):
        with pytest.raises(mb.errors.ArgumentError, match="recall"):
            ask()


@pytest.mark.parametrize("arguments", [{}, {"capacity": ROWS}], ids=["bins", "kept"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_each_point_of_the_curves_is_one_of_scikit_learns(arguments, weighted):
    y_true, scores = draw()
    weight = np.random.default_rng(1).integers(1, 4, ROWS) if weighted else None
    metric = mb.metrics.AUROC(**arguments)
    auroc = stream(metric, (y_true, scores, weight))
    fpr, tpr, thresholds = metric.roc_curve()
    x, y, exact = sklearn.metrics.roc_curve(
        y_true, scores, sample_weight=weight, drop_intermediate=False
    )
    theirs = set(zip(x.round(12), y.round(12), strict=True))
    assert set(zip(fpr.round(12), tpr.round(12), strict=True)) <= theirs
    assert sklearn.metrics.auc(fpr, tpr) == pytest.approx(auroc, abs=1e-6)
    weights = np.ones(ROWS) if weight is None else weight
    positive = y_true == 1
    for k in range(0, len(thresholds), 97):
        above = weights * (scores > np.float32(thresholds[k]))
        assert above[positive].sum() / weights[positive].sum() == pytest.approx(tpr[k])
    precision, recall, cuts = metric.precision_recall_curve()
    p, r, _ = sklearn.metrics.precision_recall_curve(
        y_true, scores, sample_weight=weight
    )
    theirs = set(zip(p.round(12), r.round(12), strict=True))
    assert set(zip(precision.round(12), recall.round(12), strict=True)) <= theirs
    assert (precision[-1], recall[-1], recall[0]) == (1, 0, 1)
    assert len(cuts) == len(precision) - 1
    assert (np.diff(cuts) > 0).all()
    if arguments:
        assert (len(fpr), len(precision)) == (len(x), len(p))
        assert thresholds[1:] == pytest.approx(exact[1:], abs=1e-6)


def test_a_curve_of_several_classes_wants_to_know_which():
    metric = mb.metrics.AUROC("multilabel", num_labels=3)
    y_true, scores = (part.reshape(FEW, 3) for part in draw(3 * FEW))
    metric.update_state(y_true, scores)
    with pytest.raises(mb.errors.ArgumentError, match="column= wants which of 3"):
        metric.roc_curve()
    alone = mb.metrics.AUROC()
    alone.update_state(y_true[:, 1], scores[:, 1])
    for mine, theirs in zip(metric.roc_curve(1), alone.roc_curve(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
