import functools
from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from keras import ops
from support.backends import to_numpy
from support.contracts import MetricContract, stream, unusable
from support.counting import ExactCounts, draw, hard

import multiback as mb
from multiback.errors import ArgumentError


class ConfusionContract(ExactCounts, MetricContract):
    """The oracle takes class ids of labels and predictions."""

    def sample(self, rng, n, arguments):
        return draw(rng, n, arguments)

    def score(self, y_true, y_pred, sample_weight, arguments):
        raise NotImplementedError

    def oracle(self, y_true, y_pred, sample_weight=None, **arguments):
        keep = y_true != arguments.get("ignore_index")
        weight = None
        if sample_weight is not None:
            weight = np.expand_dims(sample_weight, tuple(range(1, y_true.ndim)))
            weight = np.broadcast_to(weight, y_true.shape)
        if arguments["task"] == "multilabel":
            return self.score_labels(y_true, y_pred, weight, keep, arguments)
        weight = None if weight is None else weight[keep]
        labels, predictions = y_true[keep], hard(y_pred, arguments)[keep]
        return self.score(labels, predictions, weight, arguments)

    def score_labels(self, y_true, y_pred, weight, keep, arguments):
        """Take every label of every row for an element."""
        y_pred = hard(y_pred, arguments)
        weight = None if weight is None else weight[keep]
        return self.score(y_true[keep], y_pred[keep], weight, arguments)


CASES = {
    "binary-ignore": {"task": "binary", "ignore_index": -1},
    "multiclass": {"task": "multiclass", "num_classes": 5},
    "multiclass-absent": {"task": "multiclass", "num_classes": 9},
}
LABELS = {
    "multilabel": {
        "task": "multilabel",
        "num_labels": 4,
        "from_logits": True,
        "threshold": 0.3,
    },
    "multilabel-ignore": {"task": "multilabel", "num_labels": 4, "ignore_index": -1},
}


class TestMatthewsCorrelation(ConfusionContract):
    cases: ClassVar = {**CASES, **LABELS}

    def make(self, **arguments):
        return mb.metrics.MatthewsCorrelation(**arguments)

    def score(self, y_true, y_pred, sample_weight, _arguments):
        return sklearn.metrics.matthews_corrcoef(
            y_true, y_pred, sample_weight=sample_weight
        )


class TestCohenKappa(ConfusionContract):
    cases: ClassVar = {
        **CASES,
        "linear": {**CASES["multiclass"], "weights": "linear"},
        "quadratic": {**CASES["multiclass-absent"], "weights": "quadratic"},
    }

    def make(self, **arguments):
        return mb.metrics.CohenKappa(**arguments)

    def score(self, y_true, y_pred, sample_weight, arguments):
        return sklearn.metrics.cohen_kappa_score(
            y_true,
            y_pred,
            sample_weight=sample_weight,
            weights=arguments.get("weights"),
            # scikit-learn's costs count places among the labels that it is given.
            labels=range(arguments.get("num_classes", 2)),
        )


class TestConfusionMatrix(ConfusionContract):
    cases: ClassVar = {
        **CASES,
        **LABELS,
        "multilabel-normalize": {**LABELS["multilabel-ignore"], "normalize": "pred"},
        **{
            f"normalize-{how}": {**CASES["multiclass"], "normalize": how}
            for how in ("true", "pred", "all")
        },
    }

    def make(self, **arguments):
        return mb.metrics.ConfusionMatrix(**arguments)

    def close(self, actual, expected):
        # A weighted cell adds up at most 80 numbers.
        np.testing.assert_allclose(actual, expected, rtol=80 * 2.0**-24, atol=1e-7)

    def score(self, y_true, y_pred, sample_weight, arguments):
        return sklearn.metrics.confusion_matrix(
            y_true,
            y_pred,
            sample_weight=sample_weight,
            labels=range(arguments.get("num_classes", 2)),
            normalize=arguments.get("normalize"),
        )

    def score_labels(self, y_true, y_pred, weight, keep, arguments):
        y_pred = hard(y_pred, arguments)
        return np.stack(
            [
                self.score(
                    y_true[rows, i],
                    y_pred[rows, i],
                    None if weight is None else weight[rows, i],
                    arguments,
                )
                for i, rows in enumerate(keep.T)
            ]
        )

    def test_it_declares_its_direction_and_stays_in_its_range(self, arguments):
        assert self.make(**arguments).direction is None


def huge(metric, *batch, doublings):
    """Merge a batch with itself until it counts 2**doublings times."""
    statistic = metric.statistic
    state = statistic.update(statistic.init(), *batch)
    for _ in range(doublings):
        state = statistic.merge(state, state)
    return float(ops.convert_to_numpy(metric.compute(state)))


@pytest.mark.parametrize("name", ["MatthewsCorrelation", "CohenKappa"])
def test_billions_of_samples_do_not_overflow(rng, name):
    y_true = rng.integers(0, 3, 64)
    y_pred = np.where(rng.random(64) < 0.6, y_true, rng.integers(0, 3, 64))
    metric = getattr(mb.metrics, name)(task="multiclass", num_classes=3)
    few, many = (huge(metric, y_true, y_pred, doublings=n) for n in (0, 28))
    assert few == pytest.approx(many, rel=1e-6)
    theirs = torchmetrics.MatthewsCorrCoef(task="multiclass", num_classes=3)
    theirs.update(torch.tensor(y_pred), torch.tensor(y_true))
    if name == "MatthewsCorrelation":
        assert float(theirs.compute()) == pytest.approx(few, abs=1e-6)
        # Their product of four counts leaves float32 at 1.7e10 samples.
        theirs.confmat *= 2**28
        theirs._computed = None
        assert float(theirs.compute()) == 0.0


@pytest.mark.parametrize(
    ("name", "of_torchmetrics"),
    [
        ("MatthewsCorrelation", "MatthewsCorrCoef"),
        ("CohenKappa", "CohenKappa"),
        ("ConfusionMatrix", "ConfusionMatrix"),
        ("JaccardIndex", "JaccardIndex"),
    ],
)
def test_torchmetrics_agrees(rng, name, of_torchmetrics):
    y_true, y_pred = draw(rng, 200, CASES["multiclass"])
    mine = getattr(mb.metrics, name)(**CASES["multiclass"])
    theirs = getattr(torchmetrics, of_torchmetrics)(**CASES["multiclass"])
    expected = theirs(torch.tensor(y_pred), torch.tensor(y_true))
    np.testing.assert_allclose(stream(mine, (y_true, y_pred)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["MatthewsCorrelation", "CohenKappa"])
def test_one_class_only_gives_zero_division(name):
    batch = [1, 1, 1], [0.9, 0.8, 0.7]
    for zero_division in (0.0, 1.0, float("nan")):
        metric = getattr(mb.metrics, name)(zero_division=zero_division)
        np.testing.assert_equal(stream(metric, batch), zero_division)
        assert stream(getattr(mb.metrics, name)()) == 0.0


@unusable
def test_a_nan_score_is_predicted_as_no_class():
    metric = mb.metrics.ConfusionMatrix(task="multiclass", num_classes=2)
    scores = np.array([[np.nan, 0.0], [0.0, 1.0]], "float32")
    np.testing.assert_array_equal(stream(metric, ([0, 1], scores)), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(
        to_numpy(metric.state)["counts"][1], [0, 0, 1, 0, 1, 0]
    )
    kappa = mb.metrics.CohenKappa(task="multiclass", num_classes=2)
    assert stream(kappa, ([0, 1], scores)) < 1.0
    labels = mb.metrics.ConfusionMatrix("multilabel", num_labels=2, normalize="true")
    scores = np.array([[np.nan, 0.0], [0.0, np.nan], [0.9, 0.9]], "float32")
    np.testing.assert_array_equal(
        stream(labels, (np.array([[0, 1], [0, 1], [1, 1]]), scores)),
        # The first label has two zeros, one predicted, and three ones, two predicted.
        [[[0.5, 0], [0, 1]], [[0, 0], [np.float32(1 / 3), np.float32(1 / 3)]]],
    )


def test_the_matrices_of_labels_are_scikit_learns_and_torchmetrics(rng):
    y_true, y_pred = draw(rng, 64, LABELS["multilabel-ignore"] | {"ignore_index": 0})
    weight = rng.integers(0, 4, 64)
    arguments = {"task": "multilabel", "num_labels": 4}
    mine = mb.metrics.ConfusionMatrix(**arguments)
    expected = sklearn.metrics.multilabel_confusion_matrix(
        y_true, y_pred > 0.5, sample_weight=weight
    )
    np.testing.assert_array_equal(
        stream(mine, (y_true, y_pred, weight.astype("float32"))), expected
    )
    tensors = torch.tensor(y_pred), torch.tensor(y_true)
    for how in (None, "true", "pred", "all"):
        theirs = torchmetrics.ConfusionMatrix(normalize=how, **arguments)(*tensors)
        mine = mb.metrics.ConfusionMatrix(normalize=how, **arguments)
        np.testing.assert_allclose(stream(mine, (y_true, y_pred)), theirs, rtol=1e-6)
    theirs = torchmetrics.MatthewsCorrCoef(**arguments)(*tensors)
    mine = stream(mb.metrics.MatthewsCorrelation(**arguments), (y_true, y_pred))
    assert mine == pytest.approx(float(theirs), abs=1e-6)
    assert mine == pytest.approx(
        sklearn.metrics.matthews_corrcoef(y_true.ravel(), y_pred.ravel() > 0.5),
        abs=1e-6,
    )


def test_a_weight_and_a_mask_an_element_act_on_labels(rng):
    y_true, y_pred = draw(rng, 64, LABELS["multilabel"])
    mask = rng.random((64, 4)) < 0.7
    weight = np.where(mask, 2.0, np.nan).astype("float32")
    labels = np.where(mask, y_true, -1)
    for name in ("ConfusionMatrix", "MatthewsCorrelation"):
        make = functools.partial(getattr(mb.metrics, name), **LABELS["multilabel"])
        ignored = make(ignore_index=-1)
        once = stream(ignored, (labels, y_pred))
        masked = make()
        state = masked.statistic.update(
            masked.statistic.init(), y_true, y_pred, weight, mask
        )
        twice = ops.convert_to_numpy(masked.compute(state))
        np.testing.assert_array_equal(twice, once * (1 + (name == "ConfusionMatrix")))


def test_bad_arguments_are_refused():
    for make, words in [
        (lambda: mb.metrics.CohenKappa(weights="cubic"), "weights= wants"),
        (lambda: mb.metrics.ConfusionMatrix(normalize="rows"), "normalize= wants"),
        (lambda: mb.metrics.CohenKappa(task="multilabel"), "side by side have such"),
        (lambda: mb.metrics.CohenKappa("multilabel", num_labels=3), "Give each label"),
        (lambda: mb.metrics.CohenKappa(task="other"), "task= wants .* not 'other'.$"),
        (lambda: mb.metrics.MatthewsCorrelation(task="multilabel"), "num_labels="),
        (lambda: mb.metrics.ConfusionMatrix(task="multilabel"), "num_labels="),
        (lambda: mb.metrics.ConfusionMatrix(task="multiclass"), "num_classes="),
    ]:
        with pytest.raises(ArgumentError, match=words):
            make()
