"""Intervals by drawing rows again while they come, of every metric with weights."""

import inspect

import keras
import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import average_precision_score, r2_score
from support.catalogue import ENTRIES, datasets, of_each_statistic, public_names

import multiback as mb
from multiback.metrics.base import bootstrap_states
from multiback.metrics.intervals.bootstrap import percentile_interval

DRAWS = 8
NEVER = {"Max", "Min", "Sum", "StatScores"}


def times_drawn(rows, replicates, seed=0):
    """Return how often each row counts in each draw, in NumPy's uint32."""

    def mixed(words):
        words = words ^ (words >> np.uint32(16))
        words = words * np.uint32(0x7FEB352D)
        words = words ^ (words >> np.uint32(15))
        words = words * np.uint32(0x846CA68B)
        return words ^ (words >> np.uint32(16))

    seeded = np.uint32(seed * 0x9E3779B1 % 2**32)
    places = mixed(mixed(mixed(np.arange(rows, dtype="uint32")) ^ seeded))
    numbers = mixed(np.arange(1, replicates + 1, dtype="uint32"))
    uniform = (mixed(places[None] ^ numbers[:, None]) >> np.uint32(8)) / 2**24
    return scipy.stats.poisson(1).ppf(uniform + 2**-26).astype(int)


def test_a_row_counts_as_often_as_poisson_says():
    metric = mb.metrics.Recall(intervals={"replicates": 50, "seed": 7})
    metric.update_state(np.ones(300), np.ones(300))
    counted = keras.ops.convert_to_numpy(metric.state["drawn_weighted"])[:, 0, 0]
    times = times_drawn(300, 50, 7)
    np.testing.assert_array_equal(counted, times.sum(1))
    often = np.bincount(times.ravel(), minlength=8)[:8] / times.size
    np.testing.assert_allclose(often, scipy.stats.poisson(1).pmf(range(8)), atol=0.01)
    # Neither rows nor draws go together.
    assert abs(np.corrcoef(times)[np.triu_indices(50, 1)]).mean() < 0.06
    assert abs(np.corrcoef(times.T)[np.triu_indices(300, 1)]).mean() < 0.15


def with_draws(entry):
    more = {"normalize": "all"} if entry.name == "ConfusionMatrix" else {}
    return entry.make(intervals={"replicates": DRAWS}, **more)


KINDS = of_each_statistic({k: e for k, e in ENTRIES.items() if e.name not in NEVER})


@pytest.mark.parametrize("name", KINDS)
def test_each_draw_is_the_metric_of_rows_with_these_weights(name):
    entry = ENTRIES[name]
    metric = with_draws(entry)
    batch = datasets(entry.kind)["plain"]
    if entry.kind == "regression":  # Logarithms want numbers above -1.
        batch = [abs(part) for part in batch]
    rows = len(batch[0])
    metric.update_state(*batch)
    values = []
    for times in times_drawn(rows, DRAWS):
        alone = type(metric).from_config({**metric.get_config(), "intervals": None})
        alone.update_state(*batch, sample_weight=times.astype("float32"))
        value = alone.compute(alone.state)
        values.append(keras.ops.convert_to_numpy(value))
    value = keras.ops.convert_to_numpy(metric.compute(metric.state))
    expected = percentile_interval(value, values, 0.95)
    found = metric.compute_interval(metric.state)
    for part in ("value", "lower", "upper", "standard_error"):
        np.testing.assert_allclose(
            getattr(found, part), getattr(expected, part), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("name", public_names())
def test_a_metric_has_the_argument_unless_no_weight_gives_it_a_value(name):
    cls = getattr(mb.metrics, name)
    assert ("intervals" in inspect.signature(cls).parameters) == (name not in NEVER)
    if name in NEVER:
        with pytest.raises(mb.errors.ArgumentError, match="no argument intervals="):
            cls(intervals="bootstrap")


@pytest.mark.parametrize(
    ("name", "arguments", "oracle"),
    [
        ("R2Score", {}, r2_score),
        ("AveragePrecision", {"capacity": 512}, average_precision_score),
    ],
)
def test_the_ends_are_those_of_scipy(rng, name, arguments, oracle):
    label = rng.integers(0, 2, 300).astype("float32")
    score = np.clip(0.3 + 0.4 * label + 0.25 * rng.normal(size=300), 0, 1)
    metric = getattr(mb.metrics, name)(intervals={"replicates": 400}, **arguments)
    metric.update_state(label, score.astype("float32"))
    found = metric.interval()
    expected = scipy.stats.bootstrap(
        (label, score),
        oracle,
        paired=True,
        vectorized=False,
        n_resamples=400,
        method="percentile",
        rng=0,
    )
    # From 400 draws a standard error is known to 3.5%, an end to a fifth of the error.
    error = expected.standard_error
    assert found.standard_error == pytest.approx(error, rel=0.15)
    ends = expected.confidence_interval
    np.testing.assert_allclose(
        [found.lower, found.upper], [ends.low, ends.high], atol=0.4 * error
    )


def test_a_state_that_is_too_large_is_refused():
    with pytest.raises(mb.errors.ArgumentError, match="MB"):
        mb.metrics.AUROC("multiclass", num_classes=100, intervals="bootstrap")


def test_a_value_that_is_not_defined_has_no_interval():
    metric = mb.metrics.R2Score(intervals="bootstrap")
    metric.update_state([np.nan, 1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(mb.errors.UnusableValuesWarning):
        metric.interval()
    found = metric.compute_interval(metric.state)
    assert np.isnan([found.value, found.lower, found.upper]).all()


def test_the_thresholds_are_those_of_poisson():
    expected = scipy.stats.poisson(1).cdf(range(10)) * 2**24
    np.testing.assert_allclose(bootstrap_states.THRESHOLDS, expected, atol=0.6)
