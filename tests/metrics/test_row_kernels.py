"""Errors, losses, ranks and images are added up in NumPy: as specified, or not.

As PyTorch adds each batch, and every backend computes a value of arrays.
"""

import numpy as np
import pytest
from support.backends import to_numpy

import multiback as mb
from multiback.metrics.fast import values
from multiback.metrics.fast.table import kernel_of
from multiback.metrics.statistics.error_terms import FORMULAS, ErrorTerms
from multiback.metrics.statistics.moments import Moments
from multiback.metrics.statistics.sums import ErrorSums

m = mb.metrics


def _regression(rng, n):
    y_true = rng.integers(0, 9, n).astype("float32")
    return y_true, rng.integers(0, 9, n).astype("float32")


def _outputs(rng, n):
    y_true, y_pred = _regression(rng, 2 * n)
    return y_true.reshape(-1, 2), y_pred.reshape(-1, 2)


def _binary(rng, n):
    return rng.integers(0, 2, n), rng.normal(size=n).astype("float32")


def _classes(rng, n):
    return rng.integers(0, 4, n), rng.normal(size=(n, 4)).astype("float32")


def _labels(rng, n):
    # Ties, rows without a true label, -0 and both infinities.
    scores = rng.choice([-np.inf, -1.5, -0.0, 0.0, 0.5, 1.0, np.inf], (n, 6))
    y_true = rng.integers(0, 2, (n, 6))
    y_true[0] = 0
    return y_true, scores.astype("float32")


def _images(rng, n, side=23):
    y_true = rng.random((n, side, side + 2, 2)).astype("float32")
    return y_true, (y_true + 0.2 * rng.random(y_true.shape)).astype("float32")


def _volumes(rng, n):
    y_true = rng.random((n, 12, 13, 11, 1)).astype("float32")
    return y_true, (y_true + 0.2 * rng.random(y_true.shape)).astype("float32")


def _values(rng, n, columns=None):
    shape = (n, columns) if columns else (n,)
    y_true = rng.random(shape).astype("float32") + 1
    return y_true, (y_true + rng.random(shape) - 0.5).astype("float32")


def _three(rng, n):
    return _values(rng, n, 3)


PARAMETERS = {"huber": 0.3, "pinball": 0.7, "power": 3.0, "tweedie": 1.5}
STATISTICS = {
    **{kind: ErrorTerms(kind, PARAMETERS.get(kind, 0.0)) for kind in FORMULAS},
    "three outputs": ErrorTerms("logarithmic", num_outputs=3),
    "squared": ErrorSums("squared"),
    "absolute": ErrorSums("absolute"),
    "moments": Moments(),
    "moments of three": Moments(3),
}
VALUES = {
    name: (statistic, _three if "three" in name else _values)
    for name, statistic in STATISTICS.items()
}
of_values = pytest.mark.parametrize(("statistic", "draw"), VALUES.values(), ids=VALUES)
METRICS = {
    "hinge": (m.HingeLoss, _binary),
    "squared hinge": (lambda: m.HingeLoss(squared=True), _binary),
    "hinge, ignored": (lambda: m.HingeLoss(ignore_index=0), _binary),
    "hinge of classes": (
        lambda: m.HingeLoss(task="multiclass", num_classes=4, ignore_index=2),
        _classes,
    ),
    "coverage error": (m.CoverageError, _labels),
    "ranking loss": (m.LabelRankingLoss, _labels),
    "Spearman": (lambda: m.SpearmanCorrelation(200), _regression),
    "Spearman of two": (
        lambda: m.SpearmanCorrelation(99, num_outputs=2, multioutput="raw_values"),
        _outputs,
    ),
    "Spearman without room": (lambda: m.SpearmanCorrelation(40), _regression),
    "PSNR": (m.PeakSignalNoiseRatio, _images),
    "SSIM": (m.StructuralSimilarity, _images),
    "SSIM of wide images": (
        m.StructuralSimilarity,
        lambda rng, _: _images(rng, 1, 140),
    ),
    "SSIM of volumes": (m.StructuralSimilarity, _volumes),
    "MS-SSIM": (lambda: m.MultiScaleStructuralSimilarity(betas=[0.3, 0.7]), _images),
    "NRMSE": (m.NormalizedRootMeanSquaredError, _regression),
    "R2": (lambda: m.R2Score(num_outputs=2), _outputs),
    "RSE": (lambda: m.RelativeSquaredError(squared=False), _regression),
}
each = pytest.mark.parametrize(("make", "draw"), METRICS.values(), ids=METRICS)
ALL = VALUES | {
    name: (make().statistic, draw) for name, (make, draw) in METRICS.items()
}
of_all = pytest.mark.parametrize(("statistic", "draw"), ALL.values(), ids=ALL)
SIZES = (5, 1, 40)


def in_numpy(statistic, batches):
    """Return a state to which NumPy adds batches."""
    kernel = kernel_of(type(statistic))
    state = {key: np.array(x) for key, x in to_numpy(statistic.init()).items()}
    for batch in batches:
        arrays = (state[key] for key in kernel.arrays if key in state)
        kernel.add(*arrays, kernel.tally(statistic, *batch))
    return state


def assert_added(statistic, batches):
    """Assert that a state is as specified, and return both."""
    specified = statistic.init()
    for batch in batches:
        specified = statistic.update(specified, *batch)
    state = in_numpy(statistic, batches)
    for key, words in to_numpy(specified).items():
        pair = state[key], words
        if key in ("sums", "moments", "sizes"):  # The sum of two words is one number.
            pair = (x.astype("float64").sum(0) for x in pair)
        np.testing.assert_allclose(*pair, rtol=4e-6, atol=1e-5)
    return specified, state


@each
def test_three_batches_have_the_state_and_the_value_that_is_specified(rng, make, draw):
    metric = make()
    batches = [draw(rng, n) for n in SIZES]
    specified, state = assert_added(metric.statistic, batches)
    value = np.asarray(to_numpy({"value": metric.compute(specified)})["value"])
    np.testing.assert_allclose(
        metric.compute_on_arrays(state), value, rtol=4e-6, atol=1e-6
    )


@of_values
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_three_batches_are_added_as_specified(rng, statistic, draw, dtype):
    batches = [draw(rng, n) for n in SIZES]
    assert_added(statistic, [(y.astype(dtype), p) for y, p in batches])


@of_values
def test_a_large_batch_is_added_in_parts_as_specified(rng, statistic, draw):
    y_true, y_pred = draw(rng, 40_003)
    y_true[:20_000] += 30  # Not spread evenly over the parts.
    y_pred[:20_000] += 30
    assert_added(statistic, [(y_true.astype("float64"), y_pred.astype("float64"))])


@each
@pytest.mark.parametrize("dtype", ["float64", "float16", "reversed"])
def test_other_dtypes_and_orders_are_counted_alike_or_left(rng, make, draw, dtype):
    metric = make()
    y_true, y_pred = draw(rng, 9)
    if dtype == "reversed":
        y_true, y_pred = y_true[::-1], y_pred[::-1]
    else:
        y_pred = y_pred.astype(dtype)
    specified = metric.statistic.update(metric.statistic.init(), y_true, y_pred)
    expected = to_numpy({"value": metric.compute(specified)})["value"]
    found = metric.compute_on_arrays(in_numpy(metric.statistic, [(y_true, y_pred)]))
    np.testing.assert_allclose(found, expected, rtol=4e-6, atol=1e-6)


@of_all
@pytest.mark.parametrize("place", [0, 1], ids=["y_true", "y_pred"])
def test_a_nan_is_left_to_the_specification(rng, statistic, draw, place):
    batch = [part.astype("float32") for part in draw(rng, 9)]
    batch[place].reshape(-1)[4] = np.nan
    assert kernel_of(type(statistic)).tally(statistic, *batch) is None


@of_values
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_an_infinity_is_left_to_the_specification(rng, statistic, draw, bad):
    y_true, y_pred = draw(rng, 9)
    y_pred.reshape(-1)[4] = bad
    assert kernel_of(type(statistic)).tally(statistic, y_true, y_pred) is None


@of_all
def test_shapes_that_do_not_fit_are_left_to_the_specification(rng, statistic, draw):
    y_true, y_pred = draw(rng, 6)
    tally = kernel_of(type(statistic)).tally
    assert tally(statistic, y_true[:-1], y_pred) is None
    assert tally(statistic, y_true, y_pred[:, None, None]) is None


def test_equal_images_and_unknown_labels_are_left_to_the_specification(rng):
    images, _ = _images(rng, 2)
    psnr, loss = m.PeakSignalNoiseRatio().statistic, m.LabelRankingLoss().statistic
    assert kernel_of(type(psnr)).tally(psnr, images, images) is None
    y_true, y_pred = _labels(rng, 4)
    y_true[1, 2] = -1
    assert kernel_of(type(loss)).tally(loss, y_true, y_pred) is None


@pytest.mark.parametrize("weighted", [False, True])
def test_spearman_of_a_buffer_is_that_of_scipy(rng, weighted):
    stats = pytest.importorskip("scipy.stats")
    y_true, y_pred = _regression(rng, 60)
    weights = rng.integers(0, 3, 60) if weighted else np.ones(60, int)
    metric = m.SpearmanCorrelation(capacity=60)
    metric.update_state(y_true, y_pred, weights if weighted else None)
    # A weight of 2 counts as the element twice.
    expected = stats.spearmanr(*(x.repeat(weights) for x in (y_true, y_pred)))
    found = metric.compute_on_arrays(to_numpy(metric.state))
    assert found == pytest.approx(expected.statistic, rel=1e-6)


def test_a_reset_forgets_all_of_a_state():
    metric = m.MeanAbsoluteError()
    metric.update_state([1.0, 2.0], [1.5, float("nan")])
    metric.reset_state()
    assert all(not part.any() for part in to_numpy(metric.state).values())
    metric.update_state([1.0], [1.5])
    assert float(metric.result()) == 0.5


def test_the_partial_area_of_arrays_is_that_of_tensors(rng):
    """Weights, many columns and a rate that ends within a bin."""
    metric = m.AUROC("multilabel", num_labels=3, max_fpr=0.13, average=None)
    y_true = rng.integers(0, 2, (40, 3))
    y_true[:, 2] = 1
    y_pred = rng.integers(0, 6, (40, 3)) / 5
    for weights in (None, rng.random(40)):
        metric.update_state(y_true, y_pred, weights)
        state = to_numpy(metric.state)
        expected = to_numpy({"value": metric.compute(metric.state)})["value"]
        found = metric.compute_on_arrays(state)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [9, 40_000])
def test_equal_targets_have_no_spread_at_all(size):
    y_true = np.full(size, 0.1, "float32")
    rows = values.sum_moments(Moments(), y_true, y_true + np.float32(0.3))
    assert rows[6:] == (0.0, 0.0, 0.0, 0.0)
    metric = m.R2Score()
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


def test_a_column_is_a_vector_and_many_rows_of_two_axes_are_elements(rng):
    y_true, y_pred = _values(rng, 12)
    flat, column, matrix = (m.MeanSquaredError() for _ in range(3))
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
    metric = m.R2Score()
    for rows in np.array_split(np.arange(600), 7):
        metric.update_state(y_true[rows], y_pred[rows])
    residual = np.square(y_true - y_pred).sum()
    expected = 1 - residual / np.square(y_true - y_true.mean()).sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
