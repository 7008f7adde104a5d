import keras
import numpy as np
import pytest
from support.backends import to_numpy
from support.contracts import ROWS, ragged, stream, unusable

import multiback as mb
from multiback.errors import UnusableValuesWarning
from multiback.metrics.numeric import exact

ORACLES = {
    "Mean": lambda x, w: np.average(x, weights=w),
    "Sum": lambda x, w: np.sum(x * w),
    "Max": lambda x, w: np.max(x[w > 0]),
    "Min": lambda x, w: np.min(x[w > 0]),
}
# Two levels of blocks of 32, so at most 64 roundings of terms of size 1.
ATOL = 64 * 2.0**-24 * 200


@pytest.fixture
def numbers(rng):
    return (rng.normal(size=200) - 3).astype("float32")


@pytest.mark.parametrize("name", ORACLES)
def test_any_partition_agrees_with_numpy(rng, name, numbers):
    numbers = numbers[:ROWS]
    weight = rng.integers(0, 3, ROWS).astype("float32")
    wide = numbers.astype("float64")
    atol = ATOL / (ROWS if name == "Mean" else 1)
    for seed in range(2):
        plain, weighted = (getattr(mb.metrics, name)() for _ in range(2))
        for rows in ragged(seed):
            plain.update_state(numbers[rows])
            weighted.update_state(numbers[rows], weight[rows])
        expected = ORACLES[name](wide, np.ones(ROWS)), ORACLES[name](wide, weight)
        np.testing.assert_allclose(
            [stream(plain), stream(weighted)], expected, rtol=0, atol=atol
        )


@pytest.mark.parametrize("name", ORACLES)
def test_merge_with_no_data_changes_nothing_and_reset_forgets(name, numbers):
    metric = getattr(mb.metrics, name)()
    metric.update_state(numbers)
    statistic, state = metric.statistic, metric.state
    for merged in (
        statistic.merge(state, statistic.init()),
        statistic.merge(statistic.init(), state),
    ):
        np.testing.assert_equal(to_numpy(merged), to_numpy(state))
    expected = stream(metric)
    metric.reset_state()
    metric.update_state(numbers)
    assert stream(metric) == expected


@unusable
@pytest.mark.parametrize("name", ["Max", "Min"])
def test_a_nan_stays_until_the_reset(name):
    metric = getattr(mb.metrics, name)()
    for batch in ([1.0], [np.nan, 2.0], [3.0], []):
        metric.update_state(np.array(batch, "float32"))
    assert np.isnan(stream(metric))
    metric.reset_state()
    metric.update_state([-np.inf])
    assert stream(metric) == -np.inf


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("name", ORACLES)
def test_what_makes_a_value_nan_is_counted_and_reported(name, dtype, weighted):
    nan, inf = float("nan"), float("inf")
    metric = getattr(mb.metrics, name)()
    for batch in ([1.0, 2.0], [nan, 3.0], [[nan, inf], [-inf, 4.0]], []):
        values = np.array(batch, dtype)
        weights = np.ones(values.shape, "float32") if weighted else None
        metric.update_state(values, weights)
    expected = {"nan_score": 2}
    if name in ("Mean", "Sum"):  # An infinity is a largest value.
        expected["infinite"] = 2
    assert metric.unusable() == expected
    with pytest.raises(UnusableValuesWarning, match=f"{name.lower()}: 2 values are"):
        metric.result()
    metric.reset_state()
    metric.update_state([1.0, nan], [1.0, 0.0])
    assert metric.unusable() == {}


def test_a_long_batch_adds_up_in_blocks():
    """One float32 chain was off by 3.5e-6 here under TensorFlow's XLA."""
    x = np.random.default_rng(0).random(3_000_000).astype("float32")
    words = np.array(keras.ops.convert_to_numpy(exact.batch_sum(keras.ops.array(x))))
    expected = x.astype("float64").sum()
    # Five levels of rounding: far below the bound of 160 roundings of one sign.
    np.testing.assert_allclose(words.astype("float64").sum(), expected, rtol=2.0**-21)
