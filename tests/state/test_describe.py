import functools
import json
import random

import keras
import numpy as np
import pytest
from support import models
from support.backends import BACKEND

from multiback.errors import StateError
from multiback.state import (
    describe,
    rebuild,
    rebuild_from_keras_file,
    restore,
    snapshot,
    write_keras_file,
)
from multiback.state.portable import portable


def named_metric(y_true, y_pred):
    return keras.ops.mean(y_true - y_pred)


class Undescribed(keras.Model):
    def __init__(self, things):
        super().__init__()
        self.dense = keras.layers.Dense(len(things))

    def call(self, inputs):
        return self.dense(inputs)


class Tabled(keras.layers.Layer):
    def save_own_variables(self, store):
        store["table"] = np.zeros(1)

    def call(self, inputs):
        return inputs


def with_metric(metric):
    model = models.mlp()
    model.compile("adam", "mse", metrics=[metric])
    return model


@pytest.mark.parametrize("name", models.CASES)
def test_a_description_is_equal_in_every_epoch_and_names_no_internals(name):
    build, compile_ = models.CASES[name]
    model = build()
    compile_(model)
    first = describe(model)
    if name != "a schedule":
        model.optimizer.learning_rate = 0.5
    again = describe(model)
    assert json.dumps(first.config) == json.dumps(again.config)
    assert first.problems == []
    assert not first.needs_keras_file
    assert "keras.src.backend" not in json.dumps(first.config)
    assert first.config["compile_config"]["jit_compile"] == "auto"


def test_the_learning_rate_is_apart_from_the_config_and_can_be_given_back():
    model = models.mlp()
    model.compile(keras.optimizers.AdamW(0.25), "mse")
    found = describe(model)
    assert found.learning_rate == 0.25
    assert (
        found.config["compile_config"]["optimizer"]["config"]["learning_rate"] is None
    )
    rate = rebuild(found.config, learning_rate=0.25).optimizer.learning_rate
    assert float(rate) == 0.25


@pytest.mark.parametrize(
    "name", [n for n in dir(keras.optimizers) if n[0].isupper() and n != "Optimizer"]
)
def test_every_optimizer_is_written_by_its_public_name(name):
    kind = getattr(keras.optimizers, name)
    # Wrappers take another optimizer.
    wraps = name in ("LossScaleOptimizer", "MultiOptimizer", "OptimizerMap")
    optimizer = kind(keras.optimizers.SGD()) if wraps else kind()
    config = portable(keras.saving.serialize_keras_object(optimizer))
    assert "keras.src" not in json.dumps(config)
    assert config["class_name"] == name
    assert config["registered_name"] is None
    assert type(keras.saving.deserialize_keras_object(config)) is type(optimizer)


@pytest.mark.parametrize(
    "metric", [functools.partial(named_metric), lambda t, p: named_metric(t, p) * 1]
)
def test_a_metric_that_cannot_be_written_leaves_the_architecture(metric):
    model = with_metric(metric)
    found = describe(model)
    assert "compile_config" not in found.config
    assert "could not be written" in found.problems[0]
    assert not rebuild(found.config).compiled
    # The model itself is as it was.
    assert "get_compile_config" not in vars(model)


def test_an_unknown_function_is_an_error_that_names_it():
    config = describe(with_metric(named_metric)).config
    with pytest.raises(StateError) as caught:
        rebuild(config)
    assert "custom_objects={'named_metric': ...}" in str(caught.value)
    assert "compile=False" in str(caught.value)
    assert caught.value.__cause__ is not None
    assert not rebuild(config, compile=False).compiled
    model = rebuild(config, custom_objects={"named_metric": named_metric})
    models.fit(model)


def test_an_unknown_layer_is_an_error_that_names_it():
    model = keras.Sequential([keras.Input((4,)), Tabled()])
    config = describe(model).config
    with pytest.raises(StateError, match=r"custom_objects=\{'Tabled': \.\.\.\};") as e:
        rebuild(config)
    assert "compile=False" not in str(e.value)
    assert rebuild(config, custom_objects={"Tabled": Tabled}).built


def test_a_model_without_config_is_said_not_raised():
    model = Undescribed({1, 2})
    model(models.FEATURES)
    found = describe(model)
    assert found.config is None
    assert "get_config" in found.problems[0]


def test_a_lambda_layer_needs_unsafe_mode():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2, output_shape=(4,))]
    )
    found = describe(model)
    assert "safe_mode=False" in found.problems[0]
    with pytest.raises(
        StateError, match=r"holds a lambda.*safe_mode=False if you trust"
    ):
        rebuild(found.config)
    again = rebuild(found.config, safe_mode=False)
    np.testing.assert_array_equal(
        again.predict(models.FEATURES, verbose=0), models.FEATURES * 2
    )


def test_an_object_that_is_listed_twice_comes_back_once():
    metric = keras.metrics.MeanSquaredError()
    model = models.functional()
    model.compile("sgd", "mse", metrics={"a": [metric], "b": [metric]})
    config = describe(model).config
    text = json.dumps(config)
    assert '"shared_object_id": 0' in text
    again = rebuild(json.loads(text))
    models.fit(again)
    listed = again.get_compile_config()["metrics"]
    assert listed["a"] == listed["b"]
    models.fit(model)
    assert len(again.metrics_variables) == len(model.metrics_variables)


def test_strangers_that_share_an_address_are_parted():
    node = {"class_name": "A", "config": {"n": 1}, "shared_object_id": 7}
    other = {"class_name": "A", "config": {"n": 2}, "shared_object_id": 7}
    assert "shared_object_id" not in json.dumps(portable({"x": [node, other]}))


def test_rebuilding_leaves_the_random_generators_alone():
    config = describe(models.lstm()).config
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global generator is the subject
    rebuild(config)
    drawn = random.random(), np.random.rand()  # noqa: NPY002 - as above
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002 - as above
    assert drawn == (random.random(), np.random.rand())  # noqa: NPY002 - as above


def test_a_nested_model_s_own_compilation_is_left_out():
    model = models.nested()
    model.layers[1].compile("sgd", "mse", metrics=[lambda t, p: t - p])
    model.compile("sgd", "mse")
    found = describe(model)
    assert found.problems == []
    assert json.dumps(found.config).count('"optimizer":') == 1


def test_steps_per_execution_follow_what_the_backend_takes():
    model = models.mlp()
    model.compile("sgd", "mse", steps_per_execution=1)
    config = describe(model).config
    config["compile_config"]["steps_per_execution"] = 3
    wanted = 1 if keras.config.backend() == "torch" else 3
    assert rebuild(config).steps_per_execution == wanted


def test_layers_with_state_of_their_own_need_keras_s_file():
    assert describe(keras.Sequential([keras.Input((4,)), Tabled()])).needs_keras_file


def test_a_keras_file_carries_weights_and_compiles_as_described(tmp_path):
    model = models.trained("an MLP")
    path = tmp_path / "model.keras"
    write_keras_file(model, path)
    plain = keras.saving.load_model(path)
    assert not plain.compiled
    again = rebuild_from_keras_file(path, describe(model).config)
    taken = snapshot(model)
    restore(again, taken.arrays, taken.index)
    np.testing.assert_array_equal(models.fit(again), models.fit(model))
    assert not rebuild_from_keras_file(path).compiled


def test_an_adapted_vocabulary_needs_keras_s_file_and_comes_back(tmp_path):
    pytest.importorskip("tensorflow", reason="Keras's lookup layers run on it")
    given = keras.layers.StringLookup(vocabulary=["a", "b"])
    adapted = keras.layers.StringLookup()
    adapted.adapt(["x", "y", "y"])

    def model_with(layer):
        inputs = keras.Input((1,), dtype="string")
        return keras.Model(inputs, layer(inputs))

    assert not describe(model_with(given)).needs_keras_file
    model = model_with(adapted)
    assert describe(model).needs_keras_file
    path = tmp_path / "model.keras"
    write_keras_file(model, path)
    again = rebuild_from_keras_file(path)
    assert again.layers[-1].get_vocabulary() == ["[UNK]", "y", "x"]


@pytest.mark.parametrize("held", ["variable", "variables", "metric", "model's"])
def test_a_loss_whose_variables_nothing_saves_is_named(held):
    class Balanced(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.abs(y_true - y_pred)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    loss = Balanced(name="balanced")
    loss.kept = {
        "variable": lambda: keras.Variable([0.5, 0.5]),
        "variables": lambda: [keras.Variable([0.5, 0.5])],
        "metric": keras.metrics.Mean,
        "model's": lambda: model.layers[0].kernel,
    }[held]()
    model.compile("sgd", loss=[loss])
    said = [problem for problem in describe(model).problems if "holds" in problem]
    assert [p.startswith("The loss 'balanced' holds variables") for p in said] == (
        [] if held == "model's" else [True]
    )


@pytest.mark.skipif(BACKEND != "torch", reason="only torch has buffers")
def test_a_buffer_that_nothing_saves_is_named():
    import torch

    class Buffered(keras.layers.Layer):
        def __init__(self, **arguments):
            super().__init__(**arguments)
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("cache", torch.zeros(3), persistent=False)

        def call(self, inputs):
            return inputs - self.mean

    class Keeps(Buffered):
        def save_own_variables(self, store):
            store["mean"] = self.mean.numpy()

        def load_own_variables(self, store):
            self.mean.copy_(torch.tensor(store["mean"][()]))

    inner = keras.Sequential([keras.Input((3,)), Buffered(name="b")])
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), inner, Keeps(name="k"), norm])
    (problem,) = describe(model).problems
    assert "torch buffer 'layers/0/layers/0/mean' is no variable" in problem
    assert "add_weight(trainable=False)" in problem
