import functools
from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from keras import ops
from support.contracts import MetricContract, stream, unusable
from support.counting import draw, hard

import multiback as mb

LABELS = {
    "multilabel": {
        "task": "multilabel",
        "num_labels": 4,
        "from_logits": True,
        "threshold": 0.3,
    },
    "multilabel-ignore": {"task": "multilabel", "num_labels": 4, "ignore_index": -1},
}
FIVE = {"task": "multiclass", "num_classes": 5}
NINE = {"task": "multiclass", "num_classes": 9}  # Some of them absent.
TWO = {"task": "binary", "ignore_index": -1}
# All count the same matrix; one of them goes through every task.
CASES = {
    "ConfusionMatrix": {
        **LABELS,
        "binary-ignore": TWO,
        "multiclass-absent": NINE,
        "multilabel-normalize": {**LABELS["multilabel-ignore"], "normalize": "pred"},
        **{how: {**FIVE, "normalize": how} for how in ("true", "pred", "all")},
    },
    "MatthewsCorrelation": {
        "labels": LABELS["multilabel"],
        "binary": TWO,
        "absent": NINE,
    },
    "CohenKappa": {
        "binary": TWO,
        "linear": {**FIVE, "weights": "linear"},
        "quadratic": {**NINE, "weights": "quadratic"},
        "regressed": {**FIVE, "regression": True, "weights": "quadratic"},
    },
}
# scikit-learn's costs count places among the labels that it is given.
SCORES = {
    "CohenKappa": sklearn.metrics.cohen_kappa_score,
    "ConfusionMatrix": sklearn.metrics.confusion_matrix,
    "MatthewsCorrelation": sklearn.metrics.matthews_corrcoef,
}


class TestConfusion(MetricContract):
    cases: ClassVar = {
        f"{name}-{case}": {"name": name, **arguments}
        for name, cases in CASES.items()
        for case, arguments in cases.items()
    }

    def make(self, name, **arguments):
        return getattr(mb.metrics, name)(**arguments)

    def sample(self, rng, n, arguments):
        if "regression" not in arguments:
            return draw(rng, n, arguments)
        y_true = rng.integers(0, 5, n)
        # Some lie outside of the grades, and some halfway between two.
        return y_true, (y_true + rng.integers(-12, 13, n) / 8).astype("float32")

    def close(self, actual, expected):
        # A weighted cell adds up at most 80 numbers.
        np.testing.assert_allclose(actual, expected, rtol=80 * 2.0**-24, atol=1e-6)

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **arguments):
        keep = y_true != arguments.get("ignore_index")
        if "regression" in arguments:
            guess = np.clip(np.rint(y_pred), 0, 4).astype(int)
        else:
            guess = hard(y_pred, arguments)
        weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
        weight = np.broadcast_to(
            np.reshape(weight, (-1, *[1] * (y_true.ndim - 1))), y_true.shape
        )
        more = {k: arguments[k] for k in ("normalize", "weights") if k in arguments}

        def score(*where):
            true, found, each = (
                part[where][keep[where]] for part in (y_true, guess, weight)
            )
            if name != "MatthewsCorrelation":
                more["labels"] = range(arguments.get("num_classes", 2))
            return SCORES[name](true, found, sample_weight=each, **more)

        if name == "ConfusionMatrix" and y_true.ndim > 1:
            return np.stack([score(slice(None), i) for i in range(y_true.shape[1])])
        return score(...)

    def test_it_declares_its_direction_and_stays_in_its_range(self, rng, arguments):
        if arguments["name"] == "ConfusionMatrix":
            assert self.make(**arguments).direction is None
        else:
            super().test_it_declares_its_direction_and_stays_in_its_range(
                rng, arguments
            )


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


@pytest.mark.parametrize("name", ["MatthewsCorrelation", "CohenKappa"])
def test_one_class_only_gives_zero_division(name):
    batch = [1, 1, 1], [0.9, 0.8, 0.7]
    for zero_division in (0.0, 1.0, float("nan")):
        metric = getattr(mb.metrics, name)(zero_division=zero_division)
        np.testing.assert_equal(stream(metric, batch), zero_division)
        assert stream(getattr(mb.metrics, name)()) == 0.0


@unusable
def test_a_nan_score_of_a_label_is_predicted_as_no_class():
    labels = mb.metrics.ConfusionMatrix("multilabel", num_labels=2, normalize="true")
    scores = np.array([[np.nan, 0.0], [0.0, np.nan], [0.9, 0.9]], "float32")
    np.testing.assert_array_equal(
        stream(labels, (np.array([[0, 1], [0, 1], [1, 1]]), scores)),
        # The first label has two zeros, one predicted, and three ones, two predicted.
        [[[0.5, 0], [0, 1]], [[0, 0], [np.float32(1 / 3), np.float32(1 / 3)]]],
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
