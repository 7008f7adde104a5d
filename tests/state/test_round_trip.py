import json

import keras
import numpy as np
import pytest
from support import models

from multiback.state import describe, rebuild, restore, snapshot


@pytest.fixture(params=models.CASES)
def model(request):
    keras.utils.set_random_seed(1)
    return models.trained(request.param)


@pytest.fixture(params=["an MLP", "EMA", "bfloat16"])
def busy(request):
    keras.utils.set_random_seed(1)
    return models.trained(request.param)


def assert_same_state(one, other, *, but=()):
    a, b = snapshot(one), snapshot(other)
    assert [e["key"] for e in a.index] == [e["key"] for e in b.index]
    for entry in a.index:
        if entry["group"] not in but:
            key = entry["key"]
            assert a.arrays[key].dtype == b.arrays[key].dtype, entry
            np.testing.assert_array_equal(a.arrays[key], b.arrays[key], str(entry))


def test_a_rebuilt_and_restored_model_is_the_model_and_trains_on_the_same(model):
    taken = snapshot(model)
    config = json.loads(json.dumps(describe(model).config))
    index = json.loads(json.dumps(taken.index))
    again = rebuild(config)
    report = restore(again, taken.arrays, index)
    assert report.restored["weights"] == len(model.weights)
    assert report.restored["optimizer"] == len(model.optimizer.variables)
    assert not report.metrics_reset
    # Metrics are not built before the first batch of the new model.
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    expected = model.predict(models.FEATURES, verbose=0)
    actual = again.predict(models.FEATURES, verbose=0)
    assert_trees_equal(expected, actual)
    more = models.fit(model, 2)
    np.testing.assert_array_equal(models.fit(again, 2), more)
    assert_same_state(model, again)


def assert_trees_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    else:
        np.testing.assert_array_equal(one, other)


def test_a_model_goes_back_to_its_snapshot(busy):
    taken = snapshot(busy)
    models.fit(busy, 1)
    report = restore(busy, taken.arrays, taken.index)
    assert report.notes == []
    back = snapshot(busy)
    assert back.index == taken.index
    for key, array in taken.arrays.items():
        np.testing.assert_array_equal(back.arrays[key], array, key)
    # On JAX a second fit fails if two variables were given one buffer.
    models.fit(busy, 1)
    models.fit(busy, 1)


def test_a_snapshot_does_not_change_when_training_continues(busy):
    taken = snapshot(busy)
    kept = {key: array.tobytes() for key, array in taken.arrays.items()}
    models.fit(busy, 2)
    assert {key: array.tobytes() for key, array in taken.arrays.items()} == kept
    assert all(array.flags.owndata for array in taken.arrays.values() if array.ndim)


def test_restoring_does_not_tie_the_model_to_the_given_arrays(busy):
    taken = snapshot(busy)
    kept = {key: array.tobytes() for key, array in taken.arrays.items()}
    restore(busy, taken.arrays, taken.index)
    models.fit(busy, 2)
    assert {key: array.tobytes() for key, array in taken.arrays.items()} == kept


@pytest.mark.parametrize("case", models.CASES)
def test_every_slot_of_a_variable_names_its_owner(case):
    build, compile_ = models.CASES[case]
    model = build()
    compile_(model)
    model.optimizer.build(model.trainable_variables)
    index = snapshot(model).index
    shapes = {e["key"]: e["shape"] for e in index}
    owned = [e for e in index if e["group"] == "optimizer" and "owner" in e]
    for entry in owned:
        if entry["slot"] in ("momentum", "velocity", "average"):
            assert entry["shape"] == shapes[f"weights/{entry['owner']:04d}"]
    free = [e["slot"] for e in index if e["group"] == "optimizer" and "owner" not in e]
    assert set(free[:2]) <= {"iteration", "learning_rate"}


def test_int8_weights_come_back_as_int8():
    keras.utils.set_random_seed(1)
    model = models.mlp()
    for layer in (model.layers[0], model.layers[-1]):
        layer.quantize("int8")
    taken = snapshot(model)
    assert "int8" in {e["dtype"] for e in taken.index}
    again = rebuild(describe(model).config)
    restore(again, taken.arrays, taken.index)
    assert_same_state(model, again)
    np.testing.assert_array_equal(
        model.predict(models.FEATURES, verbose=0),
        again.predict(models.FEATURES, verbose=0),
    )


def test_mixed_float16_rebuilds_its_loss_scale_under_another_policy():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = models.mlp()
        models.adam(model)
    finally:
        keras.config.set_dtype_policy("float32")
    models.fit(model)
    taken = snapshot(model)
    again = rebuild(describe(model).config)
    assert isinstance(again.optimizer, keras.optimizers.LossScaleOptimizer)
    restore(again, taken.arrays, taken.index)
    assert np.isfinite(models.fit(again, 2)[0])
    assert len(again.optimizer.variables) == len(model.optimizer.variables)


def test_weights_only_keeps_weights_and_seeds():
    model = models.trained("an MLP")
    taken = snapshot(model, weights_only=True)
    assert {e["group"] for e in taken.index} == {"weights", "seeds"}
    before = snapshot(model)
    report = restore(model, taken.arrays, taken.index)
    assert report.restored["optimizer"] == 0
    assert report.notes == ["The checkpoint holds no optimizer; the model's was kept."]
    after = snapshot(model)
    for key, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[key], array)


def test_a_shared_layer_is_stored_once():
    index = snapshot(models.shared()).index
    assert [e["shape"] for e in index] == [[4, 4], [4], [4, 2], [2]]


def test_a_layer_that_owns_a_metric_keeps_it_out_of_the_seeds():
    class Counting(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = keras.metrics.Mean(name="counted")

        def call(self, inputs):
            return inputs

    model = keras.Sequential([keras.Input((4,)), Counting(), keras.layers.Dropout(0.1)])
    groups = [e["group"] for e in snapshot(model).index]
    assert groups == ["seeds", "metrics", "metrics"]
