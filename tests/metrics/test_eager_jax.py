"""Outside of a compiled step JAX compiles a batch once, and not each operation."""

import numpy as np
import pytest
from support.backends import BACKEND

import multiback as mb
from multiback import keras_private

if BACKEND != "jax":
    pytest.skip("only JAX compiles each operation", allow_module_level=True)

import jax

from multiback.metrics.fast.jax import update

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compilations():
    """Collect what JAX compiles."""
    found = []

    def listen(event, *_, **__):
        if event == COMPILED:
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def test_the_first_batch_of_a_shape_compiles_little(rng, compilations):
    statistic = mb.metrics.AUROC().statistic
    state = statistic.init()
    # A size that no other test has.
    scores = rng.random(1009).astype("float32")
    labels = rng.integers(0, 2, 1009)
    compilations.clear()
    update(statistic, state, labels, scores)
    together = len(compilations)
    compilations.clear()
    statistic.update(state, labels, scores)
    assert 0 < 4 * together < len(compilations)


def test_a_batch_with_weights_and_a_mask_is_compiled_once_too(rng, compilations):
    metric = mb.metrics.F1Score()
    # A size that no other test has.
    labels = rng.integers(0, 2, 1013)
    scores = jax.numpy.asarray(rng.random(1013), "float32")
    mask = rng.random(1013) < 0.5
    keras_private.set_keras_mask(scores, mask)
    weight = rng.integers(0, 3, 1013)
    compilations.clear()
    metric.update_state(labels, scores, sample_weight=weight)
    assert len(compilations) < 9
    statistic = metric.statistic
    expected = statistic.update(statistic.init(), labels, scores, weight, mask)
    for key, value in expected.items():
        np.testing.assert_array_equal(metric.state[key], value)


def test_it_counts_as_the_specification_does(rng):
    # As NumPy's int64 and as JAX's own.
    labels = rng.integers(0, 2, 100)
    scores = jax.numpy.asarray(rng.random(100), "bfloat16")
    statistic = mb.metrics.F1Score().statistic
    expected = statistic.update(statistic.init(), labels, scores)
    found = update(statistic, statistic.init(), labels, scores)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)
    # JAX would keep the lower half of this, a label of 0.
    beyond = labels + np.where(np.arange(100) == 7, 2**32, 0)
    assert update(statistic, statistic.init(), beyond, scores) is None
    # A list is left to what says which argument is wrong.
    assert update(statistic, statistic.init(), labels.tolist(), scores) is None
