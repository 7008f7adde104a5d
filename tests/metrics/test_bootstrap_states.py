"""`intervals="bootstrap"` on each backend: rows are drawn again while they come."""

import keras
import numpy as np
import pytest

import multiback as mb

N = 48


@pytest.fixture
def binary(rng):
    y_true = rng.integers(0, 2, N)
    return y_true, (0.4 * y_true + 0.6 * rng.random(N)).astype("float32")


def drawn(replicates=20, **more):
    return mb.metrics.F1Score(intervals={"replicates": replicates, **more})


def after(metric, batch, size=N, **more):
    for start in range(0, N, size):
        metric.update_state(*(part[start : start + size] for part in batch), **more)
    return metric.interval()


def numbers(found):
    return [found.value, found.lower, found.upper, found.standard_error]


def test_the_draws_are_the_same_on_every_backend():
    """20 numbers of drawn true positives, which rows at 0 to 47 give everywhere."""
    metric = mb.metrics.Recall(intervals={"replicates": 20})
    metric.update_state(np.ones(N), np.where(np.arange(N) % 3 == 0, 0.9, 0.1))
    state = keras.ops.convert_to_numpy(metric.state["drawn_weighted"])
    assert state[:, 0, 0].astype(int).tolist() == STORED


STORED = [
    *(20, 15, 14, 18, 14, 14, 13, 24, 15, 15),
    *(18, 16, 22, 16, 14, 14, 13, 11, 12, 18),
]


def test_the_size_of_a_batch_does_not_matter(binary):
    whole = after(drawn(), binary)
    np.testing.assert_allclose(numbers(after(drawn(), binary, 16)), numbers(whole))
    assert whole.lower < whole.value < whole.upper
    assert whole.method == "bootstrap"


def test_another_seed_draws_others_and_a_reset_draws_the_same(binary):
    metric = drawn()
    first = after(metric, binary)
    metric.reset_state()
    assert after(metric, binary) == first
    assert after(drawn(seed=1), binary).standard_error != first.standard_error


def test_a_weight_of_two_is_that_of_a_row_that_counts_twice(binary):
    weights = np.where(np.arange(N) % 2, 1.0, 0.0).astype("float32")
    some = mb.metrics.Accuracy(intervals={"replicates": 20})
    some.update_state(*binary, sample_weight=2.0 * weights)
    plain = mb.metrics.Accuracy(intervals={"replicates": 20})
    plain.update_state(*binary, sample_weight=weights)
    np.testing.assert_allclose(numbers(some.interval()), numbers(plain.interval()))


def test_states_of_two_parts_merge(binary):
    metric = drawn()
    statistic = metric.statistic
    halves = [[part[k : k + N // 2] for part in binary] for k in (0, N // 2)]
    one, two = (statistic.update(statistic.init(), *half) for half in halves)
    found = metric.compute_interval(statistic.merge(one, two))
    assert found.value == pytest.approx(after(drawn(), binary).value)
    assert found.lower < found.value < found.upper


def test_a_fit_draws_in_its_compiled_step(rng):
    x = rng.normal(size=(N, 3)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    metric = mb.metrics.F1Score(name="f1", intervals={"replicates": 20})
    shared = mb.metrics.group(metric, mb.metrics.Recall(intervals={"replicates": 20}))
    model.compile("sgd", "binary_crossentropy", metrics=shared)
    model.evaluate(x, y, batch_size=16, verbose=0)
    alone = after(drawn(), (y, model.predict(x, verbose=0)), 16)
    np.testing.assert_allclose(numbers(metric.interval()), numbers(alone), rtol=1e-5)
    assert len(shared[1].variables) == 0
    assert shared[1].interval().method == "bootstrap"
    loaded = type(metric).from_config(metric.get_config())
    assert loaded.get_config() == metric.get_config()
