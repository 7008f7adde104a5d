from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
from support.contracts import FloatContract, stream
from support.counting import hard
from support.oracles import generalized_dice

import multiback as mb
from multiback.errors import ArgumentError

PIXELS = 12
ORACLES = {
    "SamplewiseJaccardIndex": sklearn.metrics.jaccard_score,
    "SamplewiseDice": sklearn.metrics.f1_score,
}


DICE, JACCARD, OTHER = "SamplewiseDice", "SamplewiseJaccardIndex", "GeneralizedDice"
POWERS = {"simple": 1, "square": 2}
FIVE = {"task": "multiclass", "num_classes": 5}
LABELS = {"task": "multilabel", "num_labels": 3}


class TestSamplewise(FloatContract):
    cases: ClassVar = {
        "binary": {"name": JACCARD, "task": "binary"},
        "dice": {
            "name": DICE,
            "task": "binary",
            "threshold": 0.9,
            "zero_division": 1.0,
        },
        "multiclass": {"name": JACCARD, **FIVE},
        "multiclass-micro": {"name": DICE, **FIVE, "average": "micro"},
        "multilabel": {"name": DICE, **LABELS, "average": None},
        "some": {"name": JACCARD, **LABELS, "average": None, "classes": [2, 0]},
        "generalized": {"name": OTHER, **FIVE, "weight_type": "square"},
        "chosen": {
            "name": OTHER,
            **FIVE,
            "weight_type": "simple",
            "classes": [1, 2, 3],
        },
    }

    def make(self, name, **arguments):
        return getattr(mb.metrics, name)(name=name, **arguments)

    def sample(self, rng, n, arguments):
        if arguments["task"] == "multiclass":
            y_true = rng.integers(0, 4, (n, PIXELS))
            return y_true, rng.random((n, PIXELS, 5)).astype("float32")
        shape = (n, PIXELS, 3)[: 3 if arguments["task"] == "multilabel" else 2]
        return rng.integers(0, 2, shape), rng.random(shape).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **arguments):
        y_pred = hard(y_pred, arguments)
        if name == OTHER:
            ids = arguments.get("classes", range(5))
            masks = (np.equal.outer(x, ids) for x in (y_true, y_pred))
            power = POWERS[arguments["weight_type"]]
            rows = [
                generalized_dice(*row, power=power) for row in zip(*masks, strict=True)
            ]
            return np.average(rows, weights=sample_weight)
        score, empty = ORACLES[name], arguments.get("zero_division", 0.0)
        how = arguments.get("average", "macro")
        rows = []
        for true, guess in zip(y_true, y_pred, strict=True):
            if arguments["task"] == "binary":
                rows.append(score(true, guess, zero_division=empty))
            elif arguments["task"] == "multiclass":
                # scikit-learn scores the classes that occur.
                rows.append(score(true, guess, average=how, zero_division=empty))
            else:
                chosen = arguments.get("classes", slice(None))
                columns = zip(true[:, chosen].T, guess[:, chosen].T, strict=True)
                rows.append([score(t, g, zero_division=empty) for t, g in columns])
        return np.average(rows, axis=0, weights=sample_weight)


def test_an_image_without_an_object_is_what_zero_division_says():
    y_true, y_pred = np.array([[0, 0], [1, 1]]), np.array([[0.1, 0.1], [0.9, 0.1]])
    for zero_division, expected in ((0.0, 0.25), (1.0, 0.75), (float("nan"), 0.5)):
        metric = mb.metrics.SamplewiseJaccardIndex(
            "binary", zero_division=zero_division
        )
        assert stream(metric, (y_true, y_pred)) == expected


def test_an_ignored_class_and_ignored_pixels_leave_the_mean():
    y_true = np.array([[0, 1, 2, 2], [1, 1, 2, 2]])
    y_pred = np.array([[0, 1, 1, 0], [1, 1, 1, 1]])
    metric = mb.metrics.SamplewiseJaccardIndex(
        "multiclass", num_classes=3, ignore_index=2
    )
    assert stream(metric, (y_true, y_pred)) == 1.0


def test_a_weight_a_pixel_is_an_error():
    metric = mb.metrics.SamplewiseDice("binary")
    with pytest.raises(mb.errors.ArgumentError, match="one number a sample"):
        metric.update_state([[0, 1]], [[0.1, 0.9]], [[1.0, 1.0]])


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 2)])
def test_weights_that_are_not_one_a_sample_name_both_shapes(shape):
    metric = mb.metrics.SamplewiseDice("binary")
    with pytest.raises(ArgumentError) as caught:
        metric.update_state([[0, 1], [1, 1]], [[0.1, 0.9]] * 2, np.ones(shape))
    assert f"sample_weight has shape {shape}" in str(caught.value)
    assert "y_true (2, 2)" in str(caught.value)
    assert "one number a sample" in str(caught.value)
