"""Cohen's kappa of numbers that a model regresses, such as grades."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
from support.contracts import MetricContract, stream, unusable

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents
from multiback.errors import ArgumentError

GRADES = {"task": "multiclass", "num_classes": 5, "regression": True}


class TestRegressedKappa(MetricContract):
    cases: ClassVar = {"quadratic": {**GRADES, "weights": "quadratic"}}

    def make(self, **arguments):
        return mb.metrics.CohenKappa(**arguments)

    def sample(self, rng, n, _arguments):
        y_true = rng.integers(0, 5, n)
        # Some lie outside of the grades, and some halfway between two.
        return y_true, (y_true + rng.integers(-12, 13, n) / 8).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, weights, **_):
        grades = np.clip(np.rint(y_pred), 0, 4).astype(int)
        return sklearn.metrics.cohen_kappa_score(
            y_true,
            grades,
            labels=range(5),
            weights=weights,
            sample_weight=sample_weight,
        )


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


@pytest.mark.parametrize("task", ["binary", None])
def test_regression_wants_classes(task):
    with pytest.raises(ArgumentError, match="regression=True wants task="):
        mb.metrics.CohenKappa(task, regression=True)


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
