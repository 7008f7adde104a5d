"""The highest-scored fraction of the rows: its precision, its lift, its threshold."""

import numpy as np
import pytest
from support.backends import once
from support.contracts import stream, unusable
from support.oracles import lift, precision_at_top

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck, equivalents

ORACLES = {"Lift": lift, "PrecisionAtTopFraction": precision_at_top}


def scores(case="plain", n=3000):
    rng = np.random.default_rng(0)
    y_true = (rng.random(n) < (0.002 if case == "rare" else 0.2)).astype(int)
    logits = rng.normal(size=n) + y_true
    if case == "many ties":
        logits = np.round(logits)
    if case == "close":
        logits = 0.001 * logits
    return y_true, (1 / (1 + np.exp(-logits))).astype("float32")


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("case", ["plain", "many ties", "close", "rare"])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 1 / 3, 1])
@pytest.mark.parametrize("name", ORACLES)
def test_bounds_hold_the_value_and_kept_scores_are_exact(name, fraction, case):
    batch = scores(case)
    expected = ORACLES[name](*batch, fraction=fraction)
    make = getattr(mb.metrics, name)
    kept = stream(make(fraction, capacity=3000), batch)
    np.testing.assert_allclose(kept, expected, rtol=1e-5)
    metric = make(fraction)
    value = stream(metric, batch)
    low, high = metric.bounds()
    assert low <= value <= high
    assert low <= expected <= high
    if case == "plain" and fraction >= 0.1:
        assert high - low < 0.05


def test_whole_rows_have_the_precision_of_the_best_of_them():
    y_true, y_pred = scores(n=1000)
    best = np.argsort(-y_pred)[:100]
    metric = mb.metrics.PrecisionAtTopFraction(0.1, capacity=1000)
    value = stream(metric, (y_true, y_pred))
    np.testing.assert_allclose(value, y_true[best].mean(), rtol=1e-6)
    value = stream(mb.metrics.Lift(0.1, capacity=1000), scores(n=1000))
    np.testing.assert_allclose(value, y_true[best].mean() / y_true.mean(), rtol=1e-6)


@pytest.mark.parametrize("arguments", [{}, {"capacity": 3000}], ids=["bins", "kept"])
def test_the_threshold_chooses_the_fraction(arguments):
    y_true, y_pred = scores()
    metric = mb.metrics.PrecisionAtTopFraction(0.1, **arguments)
    value = stream(metric, (y_true, y_pred))
    above = y_pred > metric.threshold()
    assert 300 <= above.sum() <= 300 + 30 * (not arguments)
    np.testing.assert_allclose(y_true[above].mean(), value, atol=0.02)


def test_a_random_order_and_all_rows_have_a_lift_of_1():
    same = np.full(200, 0.5, "float32")
    y_true = np.arange(200) % 4 == 0
    assert stream(mb.metrics.Lift(0.1), (y_true, same)) == pytest.approx(1, abs=1e-6)
    value = stream(mb.metrics.Lift(1.0), scores())
    assert value == pytest.approx(1, abs=1e-6)
    perfect = stream(mb.metrics.Lift(0.1), (y_true, np.where(y_true, 0.9, 0.1)))
    assert perfect == pytest.approx(4, abs=1e-5)


def test_each_class_has_a_value_and_a_threshold(rng):
    y_true, y_pred = rng.integers(0, 3, 300), rng.random((300, 3))
    y_pred = (y_pred / y_pred.sum(1, keepdims=True)).astype("float32")
    metric = mb.metrics.Lift(
        0.1, task="multiclass", num_classes=3, average=None, capacity=300
    )
    values = stream(metric, (y_true, y_pred))
    for column, value in enumerate(values):
        expected = lift(y_true == column, y_pred[:, column], fraction=0.1)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert metric.threshold().shape == (3,)


@unusable
def test_without_positives_there_is_no_value_and_without_negatives_1():
    for name in ORACLES:
        make = getattr(mb.metrics, name)
        assert np.isnan(stream(make(0.5)))
        assert np.isnan(stream(make(0.5), ([0, 0], [0.1, 0.9])))
        assert stream(make(0.5), ([1, 1], [0.1, 0.9])) == 1.0
        assert np.isnan(stream(make(0.5), ([0, 1], [0.1, np.nan])))


@once
@pytest.mark.parametrize("name", ORACLES)
def test_crosscheck_compares_it_with_numpy(name):
    y_true, y_pred = scores()
    weight = np.random.default_rng(1).random(3000).astype("float32")
    for capacity in (None, 3000):
        metric = getattr(mb.metrics, name)(0.1, capacity=capacity)
        for batch in ((y_true, y_pred), (y_true, y_pred, weight)):
            (row,) = crosscheck(metric, batch)
            assert row.verdict == "agrees", row
            assert row.sklearn is not None
    assert equivalents(getattr(mb.metrics, name)(0.1)).torchmetrics is None
