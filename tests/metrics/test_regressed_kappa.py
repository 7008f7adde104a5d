"""Cohen's kappa of numbers that a model regresses, such as grades."""

import numpy as np
from support.backends import once
from support.contracts import stream, unusable

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents

GRADES = {"task": "multiclass", "num_classes": 5, "regression": True}


def test_numbers_may_have_a_last_axis_of_1_and_labels_be_one_hot(rng):
    y_true, numbers = rng.integers(0, 5, 5), 5 * rng.random(5).astype("float32")
    make = mb.metrics.CohenKappa
    expected = stream(make(**GRADES), (y_true, np.rint(numbers).clip(0, 4)))
    for labels in (y_true, y_true[:, None], np.eye(5)[y_true]):
        for given in (numbers, numbers[:, None]):
            assert stream(make(**GRADES), (labels, given)) == expected


@unusable
def test_infinite_numbers_are_clipped_and_a_nan_agrees_with_no_grade():
    y_true = [0, 4, 2, 2]
    kappa = stream(
        mb.metrics.CohenKappa(**GRADES), (y_true, [-np.inf, np.inf, 2.0, 2.0])
    )
    assert kappa == 1.0
    metric = mb.metrics.CohenKappa(**GRADES)
    assert stream(metric, (y_true, [0.0, 4.0, 2.0, np.nan])) < 1.0


@once
def test_crosscheck_rounds_too_and_torchmetrics_does_not(rng):
    y_true = rng.integers(0, 5, 200)
    numbers = (y_true + rng.normal(size=200)).astype("float32")
    metric = mb.metrics.CohenKappa(**GRADES, weights="quadratic")
    (row,) = crosscheck(metric, (y_true, numbers))
    assert row.verdict == "agrees", row
    assert row.sklearn is not None
    found = equivalents(metric)
    assert found.torchmetrics is None
    assert "round" in found.reasons["torchmetrics"]
