"""On PyTorch errors and moments are added up in NumPy: as specified, or not at all."""

import numpy as np
import pytest
from support.backends import to_numpy

import multiback as mb
from multiback.metrics.fast import values
from multiback.metrics.statistics.error_terms import FORMULAS, ErrorTerms
from multiback.metrics.statistics.moments import Moments
from multiback.metrics.statistics.sums import ErrorSums

PARAMETERS = {"huber": 0.3, "pinball": 0.7, "power": 3.0, "tweedie": 1.5}
STATISTICS = {
    **{kind: ErrorTerms(kind, PARAMETERS.get(kind, 0.0)) for kind in FORMULAS},
    "three outputs": ErrorTerms("logarithmic", num_outputs=3),
    "squared": ErrorSums("squared"),
    "absolute": ErrorSums("absolute"),
    "moments": Moments(),
    "moments of three": Moments(3),
}
each = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)


def kernel(statistic):
    if isinstance(statistic, Moments):
        return values.sum_moments, values.add_moments, ("moments",)
    return values.sum_errors, values.add_sums, ("sums", "sizes")


def draw(rng, statistic, n):
    columns = getattr(statistic, "num_outputs", None)
    shape = (n, columns) if (columns or 1) > 1 else (n,)
    y_true = rng.random(shape).astype("float32") + 1
    return y_true, (y_true + rng.random(shape) - 0.5).astype("float32")


@each
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_three_batches_are_added_as_specified(rng, statistic, dtype):
    tally, add, keys = kernel(statistic)
    specified = statistic.init()
    state = {key: np.array(x) for key, x in to_numpy(statistic.init()).items()}
    for n in (5, 1, 40):
        y_true, y_pred = draw(rng, statistic, n)
        y_true = y_true.astype(dtype)
        specified = statistic.update(specified, y_true, y_pred)
        arrays = (state[key] for key in keys if key in state)
        add(*arrays, tally(statistic, y_true, y_pred))
    for key, words in to_numpy(specified).items():
        found, expected = (x.astype("float64").sum(0) for x in (state[key], words))
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@each
def test_a_large_batch_is_added_in_parts_as_specified(rng, statistic):
    tally, add, keys = kernel(statistic)
    y_true, y_pred = draw(rng, statistic, 40_003)
    y_true[:20_000] += 30  # Not spread evenly over the parts.
    y_pred[:20_000] += 30
    specified = to_numpy(
        statistic.update(
            statistic.init(), y_true.astype("float64"), y_pred.astype("float64")
        )
    )
    state = {key: np.zeros_like(x) for key, x in specified.items()}
    add(*(state[k] for k in keys if k in state), tally(statistic, y_true, y_pred))
    for key, words in specified.items():
        found, expected = (x.astype("float64").sum(0) for x in (state[key], words))
        np.testing.assert_allclose(found, expected, rtol=4e-6, atol=1e-6)


@pytest.mark.parametrize("size", [9, 40_000])
def test_equal_targets_have_no_spread_at_all(size):
    y_true = np.full(size, 0.1, "float32")
    rows = values.sum_moments(Moments(), y_true, y_true + np.float32(0.3))
    assert rows[6:] == (0.0, 0.0, 0.0, 0.0)
    metric = mb.metrics.R2Score()
    metric.update_state(y_true, y_true)
    assert float(metric.result()) == 1.0


def test_sums_that_no_float32_holds_are_nan_as_specified():
    statistic = ErrorSums("absolute")
    state = np.zeros((2, 5), "float32")
    batch = np.zeros(1, "float32"), np.full(1, 9e36, "float32")
    tally = (3.3e38, 1, 1, 3.3e38, 1.0)
    values.add_sums(state, [tally])
    assert state.sum(0)[0] == np.float32(3.3e38)
    values.add_sums(state, [tally])
    assert np.isnan(state.sum(0)[0])
    assert state.sum(0)[1] == 2
    assert values.sum_errors(statistic, *batch) is None, "its square is too large"


@each
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_cannot_be_used_is_left_to_the_specification(rng, statistic, bad):
    tally, *_ = kernel(statistic)
    y_true, y_pred = draw(rng, statistic, 9)
    y_pred.reshape(-1)[4] = bad
    assert tally(statistic, y_true, y_pred) is None


@each
def test_shapes_that_do_not_fit_are_left_to_the_specification(rng, statistic):
    tally, *_ = kernel(statistic)
    y_true, y_pred = draw(rng, statistic, 6)
    assert tally(statistic, y_true[:5], y_pred) is None
    assert tally(statistic, y_true, y_pred[:, None, None]) is None


def test_a_column_is_a_vector_and_many_rows_of_two_axes_are_elements(rng):
    y_true, y_pred = draw(rng, STATISTICS["squared"], 12)
    flat, column, matrix = (mb.metrics.MeanSquaredError() for _ in range(3))
    flat.update_state(y_true, y_pred)
    column.update_state(y_true[:, None], y_pred)
    matrix.update_state(y_true.reshape(3, 4), y_pred.reshape(3, 4))
    expected = np.square(y_true.astype("float64") - y_pred).mean()
    for metric in (flat, column, matrix):
        assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_moments_stay_exact_far_from_0(rng):
    """Where sums of squares lose everything: a mean of 1e6 and a spread of 1."""
    y_true = 1e6 + rng.integers(0, 8, 600) / 4
    y_pred = y_true + rng.integers(-2, 3, 600) / 8
    metric = mb.metrics.R2Score()
    for rows in np.array_split(np.arange(600), 7):
        metric.update_state(y_true[rows], y_pred[rows])
    residual = np.square(y_true - y_pred).sum()
    expected = 1 - residual / np.square(y_true - y_true.mean()).sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
