"""Errors, correlations and plain sums agree with torchmetrics and NumPy."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.linear_model import LinearRegression
from support.contracts import unusable

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck
from multiback.errors import ArgumentError

ERRORS = ["MeanAbsoluteError", "MeanSquaredError", "RootMeanSquaredError"]
SCORES = [
    "ConcordanceCorrelation",
    "ExplainedVariance",
    "PearsonCorrelation",
    "R2Score",
]
# Metrics of one formula each, with what torchmetrics has of them.
FORMULAS = {
    "Huber": ({"delta": 20.0}, False),
    "MeanAbsolutePercentageError": ({}, True),
    "MeanSquaredLogarithmicError": ({}, True),
    "MinkowskiDistance": ({"p": 3}, True),
    "NormalizedRootMeanSquaredError": ({"normalization": "range"}, True),
    "PinballLoss": ({"quantile": 0.9}, False),
    "RelativeSquaredError": ({"squared": False}, True),
    "RootMeanSquaredLogarithmicError": ({}, False),
    "SymmetricMeanAbsolutePercentageError": ({}, True),
    "TweedieDeviance": ({"power": 1.5}, True),
    "WeightedMeanAbsolutePercentageError": ({}, True),
}
RANKS = {
    "KendallTau": {"capacity": 442, "variant": "c"},
    "SpearmanCorrelation": {"capacity": 442},
}
NUMBERS = ["Max", "Mean", "Min", "Sum"]
MULTIOUTPUT = ["uniform_average", "variance_weighted", "raw_values"]


@pytest.fixture(scope="module")
def diabetes():
    """442 patients: progress of the disease, and a linear model's prediction."""
    x, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(x[:100, :4], y[:100])  # So that it is biased.
    predictions = model.predict(x[:, :4])
    return y.astype("float32"), predictions.astype("float32")


@pytest.fixture(scope="module")
def linnerud():
    """Twenty men's weight, waist and pulse, of three exercises."""
    x, y = load_linnerud(return_X_y=True)
    predictions = LinearRegression().fit(x, y).predict(x)
    return y.astype("float32"), predictions.astype("float32")


def only(metric, data, batch_size=100):
    (row,) = crosscheck(metric, data, batch_size=batch_size, shuffles=0)
    return row


def assert_close(row, *, torchmetrics=True):
    """Concordance alone differs, by the variance that it takes."""
    assert row.verdict == "agrees" or row.reason.startswith("variance over n: "), row
    assert (row.torchmetrics is not None) == torchmetrics, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=2e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ERRORS + SCORES)
def test_one_output_agrees(diabetes, rng, name, weighted):
    data = diabetes
    if weighted:
        data = (*data, rng.random(len(data[0])).astype("float32"))
    row = only(getattr(mb.metrics, name)(), data)
    assert_close(row, torchmetrics=not weighted)
    by_convention = name == "ConcordanceCorrelation" and not weighted
    assert (row.verdict == "differs by convention") == by_convention


@pytest.mark.parametrize("how", ["flat", "outputs", "weighted"])
@pytest.mark.parametrize("name", FORMULAS)
def test_each_error_agrees_where_a_library_has_it(diabetes, linnerud, rng, name, how):
    arguments, has_torchmetrics = FORMULAS[name]
    data = linnerud if how == "outputs" else diabetes
    if how == "outputs":
        arguments = {**arguments, "num_outputs": 3, "multioutput": "raw_values"}
    if how == "weighted":
        data = (*data, rng.random(len(data[0])).astype("float32"))
        has_torchmetrics = False
    row = only(getattr(mb.metrics, name)(**arguments), data, 7)
    assert row.verdict == "agrees", row
    assert (row.torchmetrics is not None) == has_torchmetrics, row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-5)


@unusable
@pytest.mark.parametrize("name", RANKS)
def test_a_correlation_of_ranks_agrees_unless_it_lacks_room(diabetes, name):
    row = only(getattr(mb.metrics, name)(**RANKS[name]), diabetes)
    assert row.verdict == "agrees", row
    assert row.torchmetrics is not None
    few = getattr(mb.metrics, name)(**{**RANKS[name], "capacity": 441})
    row = only(few, diabetes)
    assert row.verdict == "differs by convention", row


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("how", MULTIOUTPUT)
@pytest.mark.parametrize("name", SCORES)
def test_several_outputs_agree(linnerud, rng, name, how, weighted):
    data = linnerud
    if weighted:
        data = (*data, rng.random(len(data[0])).astype("float32"))
    metric = getattr(mb.metrics, name)(num_outputs=3, multioutput=how)
    assert_close(only(metric, data, 7), torchmetrics=not weighted)


@pytest.mark.parametrize("how", MULTIOUTPUT)
@pytest.mark.parametrize("adjusted", [1, 4, 18, 19])
def test_adjusted_r2_agrees_where_there_are_rows_enough(linnerud, adjusted, how):
    metric = mb.metrics.R2Score(num_outputs=3, adjusted=adjusted, multioutput=how)
    row = only(metric, linnerud, 7)
    if adjusted < 19:
        assert row.verdict == "agrees", row
        assert row.sklearn is not None
    else:  # 20 rows.
        assert row.verdict == "differs by convention", row
        assert row.reason.startswith("too few rows: ")
        assert np.isnan(row.value).all()


@pytest.mark.parametrize("name", SCORES)
def test_constant_targets_never_depart_from_scikit_learn(name):
    constant = np.full(50, 3.0, "float32")
    for y_pred in (constant, np.linspace(1, 4, 50, dtype="float32")):
        row = only(getattr(mb.metrics, name)(), (constant, y_pred))
        assert row.verdict in {"agrees", "differs by convention"}, row
        np.testing.assert_allclose(row.value, row.sklearn, atol=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_a_single_row_is_no_reason_for_alarm(name):
    one = np.array([2.0], "float32")
    row = only(getattr(mb.metrics, name)(), (one, one + 1))
    assert row.verdict != "wrong", row
    assert np.isnan(row.value)


@pytest.mark.parametrize("shift", [1e3, 1e5, 1e6])
@pytest.mark.parametrize("name", ERRORS + SCORES)
def test_targets_far_from_zero_agree(diabetes, name, shift):
    y_true, y_pred = (array + np.float32(shift) for array in diabetes)
    assert_close(only(getattr(mb.metrics, name)(), (y_true, y_pred)))


def test_a_score_near_0_is_judged_by_the_size_of_its_terms(rng):
    y_true = rng.normal(size=500).astype("float32")
    y_pred = np.full(500, y_true.mean(dtype="float64"), "float32")
    row = only(mb.metrics.R2Score(), (y_true, y_pred))
    assert abs(row.value) < 1e-6
    assert row.verdict == "agrees", row


class BatchR2(mb.metrics.R2Score):
    def compute(self, state):
        return super().compute(state) - 1e-4


def test_a_score_that_is_a_little_off_is_wrong(diabetes):
    row = only(BatchR2(), diabetes)
    assert row.verdict == "wrong"
    assert "compared as multiback.R2Score" in row.reason


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_agree(diabetes, rng, name, weighted):
    values = diabetes[0] - 150
    data = (values,)
    if weighted:
        data = (values, rng.random(len(values)).astype("float32"))
    row = only(getattr(mb.metrics, name)(), data)
    assert row.verdict == "agrees", row
    assert row.sklearn is not None
    assert (row.torchmetrics is None) == (weighted and name != "Mean")


def test_numbers_that_cancel_are_judged_by_their_size(rng):
    values = rng.normal(size=1000).astype("float32")
    values -= values.mean(dtype="float64")
    for name in ("Mean", "Sum"):
        assert only(getattr(mb.metrics, name)(), (values,)).verdict == "agrees"


def test_numbers_and_pairs_are_not_mistaken_for_each_other(diabetes):
    y_true, y_pred = diabetes
    with pytest.raises(ArgumentError, match=r"data= wants \(y_true, y_pred\).* of 1"):
        crosscheck(mb.metrics.R2Score(), (y_true,))
    with pytest.raises(ArgumentError, match=r"data= wants \(values,\).* of 3"):
        crosscheck(mb.metrics.Mean(), (y_true, y_pred, y_pred))
