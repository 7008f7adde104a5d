"""Spearman's and Kendall's correlations of ranks."""

from typing import ClassVar

import numpy as np
import pytest
import scipy.stats
from support.contracts import FloatContract, stream, unusable

import multiback as mb

CAPACITY = 130  # Twice the rows of the contract, which a compiled step adds.


def midranks(x, weight):
    """Return the mean rank of each value among values that occur `weight` times."""
    below = np.array([weight[x < value].sum() for value in x])
    tied = np.array([weight[x == value].sum() for value in x])
    return below + tied / 2


def spearman(t, p, weight):
    both = midranks(t, weight), midranks(p, weight)
    covariance = np.cov(*both, aweights=weight, ddof=0)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def kendall(variant):
    def value(t, p, weight):
        sign_t, sign_p = (np.sign(x[:, None] - x) for x in (t, p))
        pairs = np.outer(weight, weight)
        surplus = np.sum(pairs * sign_t * sign_p)
        if variant == "b":
            untied = (np.sum(pairs * (sign != 0)) for sign in (sign_t, sign_p))
            return surplus / np.sqrt(np.prod(list(untied)))
        m = min(len(np.unique(x[weight > 0])) for x in (t, p))
        return surplus / (weight.sum() ** 2 * (m - 1) / m)

    return value


CASES = {
    "spearman": ("SpearmanCorrelation", {}, spearman, scipy.stats.spearmanr),
    "kendall": ("KendallTau", {}, kendall("b"), scipy.stats.kendalltau),
    "kendall-c": (
        "KendallTau",
        {"variant": "c"},
        kendall("c"),
        lambda t, p: scipy.stats.kendalltau(t, p, variant="c"),
    ),
}


def make(case, **more):
    name, arguments, *_ = CASES[case]
    return getattr(mb.metrics, name)(capacity=CAPACITY, **arguments, **more)


class TestRankCorrelation(FloatContract):
    cases: ClassVar = {case: {"case": case} for case in CASES}
    rtol, atol = 0.0, 2e-6

    def make(self, case):
        return make(case)

    def sample(self, rng, n, _arguments):
        y_true = rng.normal(size=n)
        y_pred = y_true + rng.normal(size=n)
        # Some are tied, in one of them or in both.
        return y_true.round(1).astype("float32"), y_pred.round(1).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, case):
        wide = y_true.astype("float64"), y_pred.astype("float64")
        if sample_weight is None:
            return CASES[case][3](*wide).statistic
        return CASES[case][2](*wide, sample_weight.astype("float64"))


@pytest.mark.parametrize("case", CASES)
def test_several_outputs_have_a_value_each_and_nan_targets_are_left_out(case, rng):
    y_true, y_pred = rng.integers(0, 9, (2, 80, 3)).astype("float32")
    y_true[5, 1] = np.nan
    metric = make(case, num_outputs=3, multioutput="raw_values", ignore_nan=True)
    each = stream(metric, (y_true[:50], y_pred[:50]), (y_true[50:], y_pred[50:]))
    for index, value in enumerate(each):
        kept = ~np.isnan(y_true[:, index])
        columns = y_true[kept, index], y_pred[kept, index]
        expected = CASES[case][3](*columns).statistic
        np.testing.assert_allclose(value, expected, atol=2e-6)


@unusable
@pytest.mark.parametrize("case", CASES)
def test_what_has_no_order_or_no_room_is_nan(case):
    metric = make(case)
    assert np.isnan(stream(metric))
    assert np.isnan(stream(metric, ([1.0], [2.0])))
    assert np.isnan(stream(make(case), ([1.0, 1.0, 1.0], [2.0, 3.0, 4.0])))
    assert np.isnan(stream(make(case), ([1.0, np.nan, 2.0], [2.0, 3.0, 4.0])))
    full = np.arange(100.0)
    assert stream(make(case), (full, full)) == pytest.approx(1.0, abs=1e-6)
    metric = make(case)
    assert np.isnan(stream(metric, (full, full), (full, full)))
    assert metric.unusable() == {"beyond_capacity": 200 - CAPACITY}


@pytest.mark.parametrize("case", CASES)
def test_many_elements_are_in_order_as_in_scipy(case, rng):
    t, p = rng.normal(size=(2, 2000)).astype("float32")
    p = (p + t / 4).round(2)
    name, arguments, _, oracle = CASES[case]
    metric = getattr(mb.metrics, name)(capacity=2048, **arguments)
    np.testing.assert_allclose(
        stream(metric, (t, p)), oracle(t, p).statistic, atol=2e-6
    )


@unusable
@pytest.mark.parametrize("case", CASES)
def test_a_negative_weight_leaves_no_ranks(case):
    metric = make(case)
    metric.update_state([1.0, 2, 3, 4], [1.0, 3, 2, 4], sample_weight=[1, 1, -1, 1])
    assert np.isnan(float(metric.result()))
    assert metric.unusable() == {"unusable_weight": 1}
