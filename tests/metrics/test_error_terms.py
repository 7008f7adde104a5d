"""Errors that are averaged by a formula of their own, and scaled ones."""

from typing import ClassVar

import numpy as np
import pytest
from support.contracts import FloatContract, stream, unusable
from support.oracles import REGRESSION

import multiback as mb

ARGUMENTS = {
    "Huber": {"delta": 0.25},
    "MinkowskiDistance": {"p": 3},
    "PinballLoss": {"quantile": 0.9},
    "TweedieDeviance": {"power": 1.5},
}
ERRORS = ("MeanAbsoluteError", "MeanSquaredError", "RootMeanSquaredError")
OTHERS = {"ConcordanceCorrelation", "ExplainedVariance", "PearsonCorrelation"}
OTHERS |= {"KendallTau", "R2Score", "SpearmanCorrelation"}
NAMES = sorted(REGRESSION.keys() - OTHERS - {*ERRORS})


def make(name, **more):
    return getattr(mb.metrics, name)(**ARGUMENTS.get(name, {}), **more)


def oracle(name, t, p, **more):
    wide = t.astype("float64"), p.astype("float64")
    return REGRESSION[name](*wide, **ARGUMENTS.get(name, {}), **more)


class TestErrorTerms(FloatContract):
    cases: ClassVar = {name: {"name": name} for name in (*NAMES, *ERRORS)}
    # The deviance is a small difference of terms of float32.
    rtol = 2e-5

    def make(self, name):
        return make(name)

    def sample(self, rng, n, _arguments):
        y_true = rng.gamma(3.0, size=n) + 0.2
        y_pred = y_true * rng.uniform(0.4, 1.9, n)
        return y_true.astype("float32"), y_pred.astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name):
        return oracle(name, y_true, y_pred, sample_weight=sample_weight)


@pytest.fixture
def pair(rng):
    y_true = rng.gamma(3.0, size=(40, 3)) + 0.2
    y_pred = y_true * rng.uniform(0.4, 1.9, (40, 3))
    return y_true.astype("float32"), y_pred.astype("float32")


@pytest.mark.parametrize("name", NAMES)
def test_several_outputs_have_a_value_each_and_a_nan_target_leaves_only_its_own(
    name, pair
):
    y_true, y_pred = pair
    y_true[3, 1] = np.nan
    more = {"num_outputs": 3, "ignore_nan": True}
    each = stream(make(name, multioutput="raw_values", **more), pair)
    expected = [
        oracle(name, t[~np.isnan(t)], p[~np.isnan(t)])
        for t, p in zip(y_true.T, y_pred.T, strict=True)
    ]
    np.testing.assert_allclose(each, expected, rtol=2e-5)
    np.testing.assert_allclose(stream(make(name, **more), pair), np.mean(each), 1e-6)


@pytest.mark.parametrize(
    "power",
    [
        *(-1, 0, 1, 1 + 1e-10, 1.01, 1.4999, 1.5),
        *(1.99, 2 - 1e-10, 2, 2 + 1e-10, 2.01, 3),
    ],
)
def test_each_distribution_has_its_deviance_and_zeros_where_it_allows_them(pair, power):
    y_true, y_pred = (part.ravel() for part in pair)
    if power < 1.9:
        y_true[:7] = 0.0
    # scikit-learn's formula loses all digits as near as that to a limit.
    near = round(power) if abs(power - round(power)) < 1e-6 else power
    wide = y_true.astype("float64"), y_pred.astype("float64")
    expected = REGRESSION["TweedieDeviance"](*wide, power=near)
    actual = stream(mb.metrics.TweedieDeviance(power), (y_true, y_pred))
    np.testing.assert_allclose(actual, expected, rtol=2e-5)


@pytest.mark.parametrize("how", ["mean", "range", "std", "l2"])
def test_an_error_is_divided_by_each_size_also_far_from_0_and_over_batches(pair, how):
    y_true, y_pred = (part.ravel() - 300 for part in pair)
    metric = mb.metrics.NormalizedRootMeanSquaredError(how)
    batches = [(y_true[rows], y_pred[rows]) for rows in (slice(0, 50), slice(50, 120))]
    expected = oracle(metric.__class__.__name__, y_true, y_pred, normalization=how)
    np.testing.assert_allclose(stream(metric, *batches), expected, rtol=1e-5)


def test_targets_of_one_sign_keep_their_range_without_the_zeros_of_an_empty_state():
    metric = mb.metrics.NormalizedRootMeanSquaredError("range")
    statistic = metric.statistic
    state = statistic.update(statistic.init(), [5.0, 7.0], [6.0, 8.0])
    for merged in (
        statistic.merge(statistic.init(), state),
        statistic.merge(state, statistic.init()),
        statistic.update(state, np.zeros(0), np.zeros(0)),
    ):
        assert float(metric.compute(merged)) == 0.5


@unusable
@pytest.mark.parametrize(
    ("metric", "batch"),
    [
        (mb.metrics.MeanSquaredLogarithmicError(), ([-2.0, 1.0], [1.0, 1.0])),
        (mb.metrics.MeanSquaredLogarithmicError(), ([1.0, 1.0], [-1.0, 1.0])),
        (mb.metrics.TweedieDeviance(1), ([-1.0, 1.0], [1.0, 1.0])),
        (mb.metrics.TweedieDeviance(2), ([0.0, 1.0], [1.0, 1.0])),
        (mb.metrics.TweedieDeviance(-1), ([1.0, 1.0], [0.0, 1.0])),
    ],
)
def test_a_number_outside_of_the_formula_is_counted_and_makes_nan(metric, batch):
    assert np.isnan(stream(metric, batch))
    assert metric.unusable() == {"outside_score": 1}
    metric.reset_state()
    assert np.isfinite(stream(metric, (*batch, [0.0, 1.0])))
    assert metric.unusable() == {}


def test_a_target_of_0_is_divided_by_as_little_as_in_scikit_learn():
    batch = [0.0, 1.0], [1e-8, 1.0]
    actual = stream(mb.metrics.MeanAbsolutePercentageError(), batch)
    expected = REGRESSION["MeanAbsolutePercentageError"](*batch)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    both = [0.0, 2.0], [0.0, 1.0]
    assert stream(
        mb.metrics.SymmetricMeanAbsolutePercentageError(), both
    ) == pytest.approx(1 / 3)
    assert stream(mb.metrics.WeightedMeanAbsolutePercentageError(), both) == 0.5
