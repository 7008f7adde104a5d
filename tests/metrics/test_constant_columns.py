"""Targets or predictions that are all equal have a variance of exactly 0.

A mean that is a rounded sum is not the value itself, and what rounding leaves of a
variance makes an R2 of 1e24 out of 0.
"""

import itertools

import keras
import numpy as np
import pytest
import sklearn.metrics
from support.backends import to_numpy
from support.contracts import updated, value

import multiback as mb
from multiback.metrics.statistics.moments import Moments

m = mb.metrics
NRMSE = m.NormalizedRootMeanSquaredError
NAN = float("nan")
# Rows of the state: the second moments of a column with itself.
OWN = [6, 7, 9]
# What constant targets give: of predictions that vary, and of right ones.
METRICS = {
    "R2": (m.R2Score, 0.0, 1.0),
    "explained variance": (m.ExplainedVariance, 0.0, 1.0),
    "RSE": (m.RelativeSquaredError, NAN, NAN),
    "root RSE": (lambda **k: m.RelativeSquaredError(squared=False, **k), NAN, NAN),
    "NRMSE by std": (
        lambda **k: m.NormalizedRootMeanSquaredError("std", **k),
        *[NAN] * 2,
    ),
    "NRMSE by range": (
        lambda **k: m.NormalizedRootMeanSquaredError("range", **k),
        *[NAN] * 2,
    ),
    "Pearson": (m.PearsonCorrelation, NAN, NAN),
    "concordance": (m.ConcordanceCorrelation, 0.0, NAN),
}
each = pytest.mark.parametrize("case", METRICS.values(), ids=METRICS)
CONSTANTS = [0.1, 1 / 3, 1e-3, 123.4567, -7.3, 16777216.0]
constants = pytest.mark.parametrize("constant", CONSTANTS)
EDGES = [0, 13, 14, 51, 51, 56]
PARTS = [slice(a, b) for a, b in itertools.pairwise(EDGES)]
ROWS = EDGES[-1]


def weights_of(rng, *, weighted):
    return rng.random(ROWS).astype("float32") if weighted else None


def added(metric, y_true, y_pred, weights=None):
    """Return the value of uneven batches."""
    for rows in PARTS:
        own = None if weights is None else weights[rows]
        metric.update_state(y_true[rows], y_pred[rows], own)
    return value(metric)


@each
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("constant", "dtype"),
    [*((constant, "float32") for constant in CONSTANTS), (0.1, "float64")],
)
def test_constant_targets_have_the_value_that_is_documented(
    rng, case, constant, weighted, dtype
):
    make, varied, right = case
    y_true = np.full(ROWS, constant, dtype)
    y_pred = (y_true * rng.normal(1.0, 0.5, ROWS)).astype("float32")
    weights = weights_of(rng, weighted=weighted)
    np.testing.assert_array_equal(added(make(), y_true, y_pred, weights), varied)
    np.testing.assert_array_equal(added(make(), y_true, y_true, weights), right)


@constants
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_predictions_correlate_with_nothing(rng, constant, weighted):
    y_true = rng.normal(constant, abs(constant), ROWS).astype("float32")
    y_pred = np.full(ROWS, constant, "float32")
    weights = weights_of(rng, weighted=weighted)
    for other in (y_true, np.full(ROWS, 5.0, "float32")):
        assert np.isnan(added(m.PearsonCorrelation(), other, y_pred, weights))
        assert added(m.ConcordanceCorrelation(), other, y_pred, weights) == 0.0


@constants
@pytest.mark.parametrize("weighted", [False, True, None])
def test_one_constant_error_of_constant_targets_is_explained(rng, constant, weighted):
    """With weights in every second batch alone, too."""
    y_true = np.full(ROWS, constant, "float32")
    y_pred = np.full(ROWS, 7e-3, "float32")
    metric = m.ExplainedVariance()
    for place, rows in enumerate(PARTS):
        given = weighted if weighted is not None else place % 2 == 0
        weights = rng.random(ROWS).astype("float32")[rows] if given else None
        metric.update_state(y_true[rows], y_pred[rows], weights)
    assert value(metric) == 1.0


@each
@pytest.mark.parametrize("weighted", [False, True])
def test_one_constant_column_of_two_leaves_the_other_alone(rng, case, weighted):
    make, varied, _ = case
    y_true = rng.normal(size=(ROWS, 2))
    y_true[:, 1] = 0.1
    y_pred = y_true + 0.3 * rng.normal(size=(ROWS, 2))
    weights = weights_of(rng, weighted=weighted)
    both = make(num_outputs=2, multioutput="raw_values")
    alone = added(make(), y_true[:, 0], y_pred[:, 0], weights)
    found = added(both, y_true, y_pred, weights)
    np.testing.assert_allclose(found, [alone, varied], rtol=1e-5)


@constants
def test_merged_states_of_one_constant_have_no_spread(rng, constant):
    statistic = Moments()
    y_true = np.full(ROWS, constant, "float32")
    y_pred = rng.normal(size=ROWS).astype("float32")
    weights = rng.random(ROWS).astype("float32")
    a, b, c, none, d = (
        updated(statistic, y_true[s], y_pred[s], sample_weight=weights[s])
        for s in PARTS
    )
    merge = statistic.merge
    for whole in (
        merge(merge(a, b), merge(c, d)),
        merge(d, merge(merge(none, c), merge(a, b))),
        merge(merge(b, statistic.init()), merge(merge(a, d), merge(none, c))),
    ):
        found = to_numpy(whole)["moments"]
        assert not found[:, [6, 8]].any()
        assert found[0, 7] > 0.0


@constants
def test_rows_of_weight_0_do_not_make_a_column_vary(rng, constant):
    y_true = np.full(ROWS, constant, "float32")
    weights = rng.integers(0, 3, ROWS).astype("float32")
    y_true[weights == 0.0] = rng.normal(size=(weights == 0.0).sum())
    y_pred = rng.normal(size=ROWS).astype("float32")
    assert added(m.R2Score(), y_true, y_pred, weights) == 0.0
    y_true[weights == 0.0] = NAN
    assert added(m.R2Score(), y_true, y_pred, weights) == 0.0


# Columns whose spread is tiny: two neighbours, steps of 1e-6, one value of its own.
TINY = {
    "neighbours": lambda rng, n: np.nextafter(np.float32(0.1), rng.integers(0, 2, n)),
    "100000 and 100001": lambda rng, n: 1e5 + rng.integers(0, 2, n),
    "1e-6 of the mean": lambda rng, n: 1 + 1e-6 * rng.integers(0, 3, n),
    "one of many": lambda rng, n: np.where(np.arange(n) == rng.integers(n), 0.7, 0.1),
    "one neighbour": lambda rng, n: np.where(
        np.arange(n) == rng.integers(n), np.nextafter(np.float32(0.1), 1), 0.1
    ),
}


@pytest.mark.parametrize("draw", TINY.values(), ids=TINY)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_tiny_spread_is_neither_0_nor_lost(rng, draw, weighted):
    n = 10_000
    y_true = draw(rng, n).astype("float32")
    weights = rng.random(n).astype("float32") if weighted else np.ones(n, "float32")
    given = weights if weighted else None
    state = updated(Moments(), y_true, y_true[::-1], sample_weight=given)
    found = to_numpy(state)["moments"].astype("float64").sum(0)
    for row, x in ((6, y_true), (7, y_true[::-1]), (9, y_true - y_true[::-1])):
        wide = x.astype("float64")
        mean = np.average(wide, weights=weights)
        expected = np.sum(weights * np.square(wide - mean))
        assert found[row, 0] == pytest.approx(expected, rel=1e-5)


def test_the_spread_of_a_column_is_never_negative(rng):
    """Few values, close together, in one state after the other."""
    statistic = Moments()
    for _ in range(40):
        steps = rng.integers(0, 2, (2, ROWS)) * rng.integers(0, 2, (2, 1))
        y_true, y_pred = (0.1 + steps * 2.0**-27).astype("float32")
        weights = rng.random(ROWS).astype("float32")
        state = statistic.init()
        for s in PARTS:
            batch = y_true[s], y_pred[s]
            state = updated(statistic, *batch, state=state, sample_weight=weights[s])
        found = to_numpy(state)["moments"].astype("float64").sum(0)[OWN, 0]
        varies = [x.min() < x.max() for x in (y_true, y_pred, y_true - y_pred)]
        np.testing.assert_array_equal(found > 0.0, varies)
        assert (found >= 0.0).all()


def test_negative_weights_count_as_in_scikit_learn(rng):
    y_true, y_pred = rng.normal(size=(2, ROWS)).astype("float32")
    weights = rng.normal(0.2, 1.0, ROWS).astype("float32")
    expected = sklearn.metrics.r2_score(y_true, y_pred, sample_weight=weights)
    assert added(m.R2Score(), y_true, y_pred, weights) == pytest.approx(
        expected, rel=1e-4
    )


def test_a_model_is_evaluated_on_constant_targets(rng):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(
        "sgd",
        "mse",
        metrics=[m.R2Score(), m.ExplainedVariance()],
        weighted_metrics=[m.R2Score(name="weighted"), m.PearsonCorrelation()],
    )
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    y = np.full((ROWS, 1), 0.1, "float32")
    logs = model.evaluate(
        x, y, batch_size=28, sample_weight=rng.random(ROWS), verbose=0, return_dict=True
    )
    assert logs["r2_score"] == logs["explained_variance"] == logs["weighted"] == 0.0
    assert np.isnan(logs["pearson_correlation"])
