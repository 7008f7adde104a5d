from typing import ClassVar

import numpy as np
import pytest
import torch
import torchmetrics
from support.contracts import FloatContract, stream, unusable

import multiback as mb
from multiback.errors import ArgumentError


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
        p = y_pred.astype("float64")
        w = np.ones(len(p)) if sample_weight is None else sample_weight
        hit = y_true == (p.argmax(1) if task == "multiclass" else 1)
        p = p.max(1) if task == "multiclass" else p
        bins = np.minimum((p * 8).astype(int), 7)
        weight = np.bincount(bins, w, 8)
        off = np.abs(np.bincount(bins, w * hit, 8) - np.bincount(bins, w * p, 8))
        gap = off[weight > 0] / weight[weight > 0]
        share = weight[weight > 0] / weight.sum()
        if norm == "max":
            return gap.max()
        return np.sum(share * gap) if norm == "l1" else np.sqrt(np.sum(share * gap**2))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_torchmetrics_agrees(rng, task, norm):
    arguments = {"task": task, "norm": norm, "n_bins": 10}
    if task == "binary":
        y_true, p = rng.integers(0, 2, 200), rng.random(200).astype("float32")
    else:
        arguments["num_classes"] = 4
        y_true = rng.integers(0, 4, 200)
        p = rng.dirichlet(np.ones(4), 200).astype("float32")
    theirs = torchmetrics.CalibrationError(**arguments)
    expected = float(theirs(torch.tensor(p), torch.tensor(y_true)))
    actual = stream(mb.metrics.CalibrationError(**arguments), (y_true, p))
    assert actual == pytest.approx(expected, abs=1e-5)


@unusable
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@unusable
def test_no_data_a_nan_and_no_probability_give_nan(norm):
    def make():
        return mb.metrics.CalibrationError(norm=norm)

    assert np.isnan(stream(make()))
    assert np.isnan(stream(make(), ([0, 1], [np.nan, 0.5])))
    assert np.isnan(stream(make(), ([0, 1], [1.5, 0.5])))
    assert stream(make(), ([0, 1], [np.nan, 1.0], [0.0, 1.0])) == 0.0
    assert stream(make(), ([0, 1], [0.0, 1.0])) == 0.0


def test_bad_arguments_are_refused():
    for arguments, words in [
        ({"task": "multilabel"}, "task= wants"),
        ({"norm": "l3"}, "norm= wants"),
        ({"n_bins": 0}, "n_bins= wants"),
    ]:
        with pytest.raises(ArgumentError, match=words):
            mb.metrics.CalibrationError(**arguments)
