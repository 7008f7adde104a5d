"""On PyTorch losses, ranks and images are counted in NumPy: as specified, or not."""

import numpy as np
import pytest
from support.backends import to_numpy

import multiback as mb
from multiback.metrics.fast.table import kernel_of

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
    "MS-SSIM": (
        lambda: m.MultiScaleStructuralSimilarity(betas=[0.3, 0.7]),
        _images,
    ),
    "NRMSE": (m.NormalizedRootMeanSquaredError, _regression),
    "R2": (lambda: m.R2Score(num_outputs=2), _outputs),
    "RSE": (lambda: m.RelativeSquaredError(squared=False), _regression),
}
each = pytest.mark.parametrize(("make", "draw"), METRICS.values(), ids=METRICS)
SIZES = (5, 1, 40)


def in_numpy(metric, batches):
    """Return a state to which NumPy adds batches."""
    statistic = metric.statistic
    kernel = kernel_of(type(statistic))
    state = {key: np.array(x) for key, x in to_numpy(statistic.init()).items()}
    for batch in batches:
        arrays = (state[key] for key in kernel.arrays if key in state)
        kernel.add(*arrays, kernel.tally(statistic, *batch))
    return state


@each
def test_three_batches_have_the_state_and_the_value_that_is_specified(rng, make, draw):
    metric = make()
    batches = [draw(rng, n) for n in SIZES]
    specified = metric.statistic.init()
    for batch in batches:
        specified = metric.statistic.update(specified, *batch)
    state = in_numpy(metric, batches)
    for key, words in to_numpy(specified).items():
        pair = state[key], words
        if key in ("sums", "moments"):  # The sum of two words is one number.
            pair = (x.astype("float64").sum(0) for x in pair)
        np.testing.assert_allclose(*pair, rtol=4e-6, atol=1e-5)
    value = np.asarray(to_numpy({"value": metric.compute(specified)})["value"])
    np.testing.assert_allclose(
        metric.compute_on_arrays(state), value, rtol=4e-6, atol=1e-6
    )


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
    found = metric.compute_on_arrays(in_numpy(metric, [(y_true, y_pred)]))
    np.testing.assert_allclose(found, expected, rtol=4e-6, atol=1e-6)


@each
@pytest.mark.parametrize("place", [0, 1], ids=["y_true", "y_pred"])
def test_a_nan_is_left_to_the_specification(rng, make, draw, place):
    statistic = make().statistic
    batch = [part.astype("float32") for part in draw(rng, 9)]
    batch[place].reshape(-1)[4] = np.nan
    assert kernel_of(type(statistic)).tally(statistic, *batch) is None


@each
def test_shapes_that_do_not_fit_are_left_to_the_specification(rng, make, draw):
    statistic = make().statistic
    y_true, y_pred = draw(rng, 6)
    tally = kernel_of(type(statistic)).tally
    assert (
        tally(statistic, y_true[:5] if len(y_true) > 5 else y_true[:0], y_pred) is None
    )
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
