"""What was kept comes back."""

from pathlib import Path

import keras
import numpy as np
import pytest
from support.backends import BACKEND
from support.fitting.problem import VALIDATION, Says, X, Y, fit, model, warns

import multiback as mb
from multiback.errors import (
    ArgumentError,
    MonitorError,
    NoCheckpointError,
    StateError,
)


def trained(folder, made=None, monitor="val_loss", **arguments):
    made = made or model("accuracy")
    callback = mb.ModelCheckpoint(folder, monitor, **arguments)
    fit(made, Says(score=[0.1, 0.3, 0.2]), callback, **VALIDATION)
    return made, callback


def test_a_loaded_model_predicts_the_same_and_trains_on(tmp_path):
    made, callback = trained(tmp_path)
    last = mb.load_last(tmp_path)
    np.testing.assert_allclose(
        last.predict(X, verbose=0), made.predict(X, verbose=0), atol=1e-6
    )
    np.testing.assert_array_equal(last.get_weights()[0], made.get_weights()[0])
    fit(last, epochs=1)
    assert last.optimizer.iterations.numpy() == 8
    same = mb.load(callback.last_model_path)
    np.testing.assert_array_equal(same.get_weights()[0], made.get_weights()[0])


def test_the_best_can_be_asked_for_by_anything_that_was_recorded(tmp_path):
    trained(tmp_path, keep=[mb.All()])

    def steps(*arguments, **named):
        best = mb.load_best(tmp_path, *arguments, **named)
        return best.optimizer.iterations.numpy()

    assert steps("score", mode="max") == 4
    assert steps("score", mode="min") == 2
    assert steps("-score", mode="min") == 4
    assert steps() == steps("val_loss") == steps("val_loss", mode="min")
    assert steps("val_loss", mode="max") != steps()
    with pytest.raises(MonitorError, match="Did you mean 'score'"):
        mb.load_best(tmp_path, "scores", mode="max")
    with pytest.raises(MonitorError, match='mode="max"'):
        mb.load_best(tmp_path, "score")


def test_ties_are_broken_as_they_were_in_training(tmp_path):
    then = mb.Monitor("second", mode="max", early=False)
    first = mb.Monitor("first", mode="max", early=False)
    callback = mb.ModelCheckpoint(
        tmp_path, keep=[mb.Best(first, k=3, then=[then])], filename="{second}"
    )
    says = Says(first=[0.5, 0.5, 0.5], second=[0.1, 0.3, 0.2])
    fit(model(), says, callback)
    assert callback.best_model_path.endswith("second=0.3")
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 4


def test_without_a_monitor_only_the_last_is_kept_and_best_says_why(tmp_path):
    trained(tmp_path, monitor=None)
    assert mb.load_last(tmp_path).optimizer.iterations.numpy() == 6
    with pytest.raises(MonitorError, match=r"not judged by anything.*val_accuracy"):
        mb.load_best(tmp_path)
    with pytest.raises(MonitorError, match="not judged by anything"):
        mb.restore(model(), tmp_path)
    assert mb.load_best(tmp_path, "val_accuracy") is not None


def test_where_every_score_is_nan_there_is_no_best(tmp_path):
    nan = float("nan")
    monitor = mb.Monitor("nothing", mode="max", early=False)
    callback = mb.ModelCheckpoint(tmp_path, monitor)
    with warns("'nothing' is NaN"):
        fit(model(), Says(nothing=[nan, nan, nan]), callback)
    assert callback.best_model_path == ""
    assert callback.best_model_score is None
    for ask in (mb.load_best, lambda path: mb.restore(model(), path)):
        with pytest.raises(NoCheckpointError, match="absent or NaN"):
            ask(tmp_path)
    assert mb.load_last(tmp_path) is not None


def test_an_empty_or_foreign_directory_says_what_to_pass(tmp_path):
    with pytest.raises(NoCheckpointError, match="given to ModelCheckpoint"):
        mb.load_best(tmp_path)
    with pytest.raises(NoCheckpointError, match="given to ModelCheckpoint"):
        mb.load_last(tmp_path / "nowhere")
    with pytest.raises(NoCheckpointError, match="manifest"):
        mb.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_given_for_a_checkpoint_or_the_other_way_round_says_what_to_call(
    tmp_path,
):
    made, callback = trained(tmp_path)
    with pytest.raises(NoCheckpointError, match=r"is a run directory.*load_best"):
        mb.load(tmp_path)
    for ask in (mb.load_best, mb.load_last):
        with pytest.raises(NoCheckpointError, match=r"use multiback\.load\(path\)"):
            ask(callback.best_model_path)
    for ask in (mb.load, lambda path: mb.restore(made, path)):
        with pytest.raises(NoCheckpointError, match="There is no checkpoint at"):
            ask(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match=r'resume="auto".*`best`'):
        mb.ModelCheckpoint(tmp_path, resume=tmp_path)
    for wrong in ("x", tmp_path):
        with pytest.raises(
            ArgumentError, match=r"model= wants.*restore\(model, path\)"
        ):
            mb.restore(wrong, made)


def test_a_short_path_of_a_checkpoint_is_enough(tmp_path):
    made, callback = trained(tmp_path)
    name = Path(callback.best_model_path).name
    short = tmp_path / name[: len("epoch=1")]
    loaded = mb.load(short)
    assert mb.restore(made, short).restored["weights"]
    best = mb.load(callback.best_model_path)
    for one, other in zip(loaded.weights, best.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    with pytest.raises(NoCheckpointError, match="'epoch=9' is none of the checkpoints"):
        mb.load(tmp_path / "epoch=9")


def test_a_module_of_torch_is_advised_its_state(tmp_path):
    class Module:
        def state_dict(self):
            return {}

    ckpt = mb.Checkpointer(tmp_path)
    with pytest.raises(ArgumentError, match=r"\{'net': net.state_dict\(\)\}"):
        ckpt.step(Module(), {})


@pytest.mark.parametrize("path", [None, "", 3, "a\0b", __file__])
def test_anything_but_a_directory_is_refused_by_name(path):
    for ask in (mb.load_best, mb.load_last, mb.history):
        with pytest.raises(ArgumentError, match=r"dirpath= wants a directory"):
            ask(path)
    for ask in (mb.load, lambda path: mb.restore({}, path)):
        with pytest.raises(ArgumentError, match=r"path= wants a directory"):
            ask(path)


def test_an_unknown_mode_and_one_that_contradicts_the_run_are_refused(tmp_path):
    trained(tmp_path)
    with pytest.raises(ArgumentError, match="mode= wants"):
        mb.load_best(tmp_path, mode="maximum")
    with pytest.raises(ArgumentError, match="judged by 'val_loss' with mode='min'"):
        mb.load_best(tmp_path, mode="max")
    assert mb.load_best(tmp_path, mode="min") is not None


class Scaled(keras.layers.Layer):
    """A layer of the user's own, not registered."""

    def __init__(self, factor=2.0, **arguments):
        super().__init__(**arguments)
        self.factor = factor

    def call(self, x):
        return self.factor * x

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def test_own_classes_are_asked_for_by_name(tmp_path):
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((4,)), Scaled(3.0), keras.layers.Dense(1)])
    made.compile("adam", "mse")
    callback = mb.ModelCheckpoint(tmp_path, "loss")
    fit(made, callback)
    with pytest.raises(StateError, match=r"custom_objects={'Scaled': \.\.\.}"):
        mb.load_best(tmp_path)
    for load in (mb.load_best, mb.load_last):
        again = load(tmp_path, custom_objects={"Scaled": Scaled})
        assert again.layers[0].factor == 3.0
    again = mb.load(callback.best_model_path, custom_objects={"Scaled": Scaled})
    assert again.optimizer.iterations.numpy() > 0


def test_a_model_whose_compilation_was_not_written_says_so_when_it_loads(tmp_path):
    made = keras.Sequential([keras.Input(X.shape[1:]), keras.layers.Dense(1)])
    made.compile("adam", loss=lambda _, y_pred: keras.ops.mean(y_pred))
    with warns("it holds a lambda"):
        made.fit(X, Y, verbose=0, callbacks=[mb.ModelCheckpoint(tmp_path)])
    with warns(r"comes uncompiled.*multiback\.restore"):
        again = mb.load_last(tmp_path)
    assert not again.compiled
    mb.load_last(tmp_path, compile=False)


class Hidden(keras.Model):
    """A subclassed model that cannot be described."""

    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        raise NotImplementedError


def test_a_model_that_cannot_be_written_down_is_restored_into_one_built_by_hand(
    tmp_path,
):
    made = Hidden(1)
    made.compile("adam", "mse")
    with warns("could not be written"):
        made.fit(
            X, Y, epochs=2, verbose=0, callbacks=[mb.ModelCheckpoint(tmp_path, "loss")]
        )
    with pytest.raises(StateError, match=r"multiback\.restore\(model, path\)"):
        mb.load_best(tmp_path)
    again = Hidden(1)
    again.compile("adam", "mse")
    again(X[:1])
    report = mb.restore(again, tmp_path, which="last")
    assert report.restored["weights"] == 2
    np.testing.assert_array_equal(again.get_weights()[0], made.get_weights()[0])
    assert again.optimizer.iterations.numpy() == made.optimizer.iterations.numpy()
    other = Hidden(2)
    other(X[:1])
    kept = other.get_weights()[0].copy()
    with pytest.raises(StateError, match="shape"):
        mb.restore(other, tmp_path)
    np.testing.assert_array_equal(other.get_weights()[0], kept)
    with pytest.raises(ArgumentError, match="which="):
        mb.restore(again, tmp_path, which="newest")


class Forgetful(keras.Model):
    """A subclassed model whose config has what its constructor does not take."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def test_a_class_that_cannot_be_made_from_its_config_says_so_in_brief(tmp_path):
    made = Forgetful()
    made.compile("adam", "mse")
    made.fit(X, Y, verbose=0, callbacks=[mb.ModelCheckpoint(tmp_path)])
    with pytest.raises(StateError, match="unexpected keyword argument") as raised:
        mb.load_last(tmp_path, custom_objects={"Forgetful": Forgetful})
    assert "multiback.restore(model, path)" in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.skipif(BACKEND == "jax", reason="Keras refuses to train it on JAX")
def test_a_layer_that_was_frozen_without_compiling_again_loads_and_trains(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3), keras.layers.Dense(1, "sigmoid")]
    made = keras.Sequential([keras.Input((4,)), *layers])
    made.compile("adam", "binary_crossentropy", jit_compile=False)
    fit(made, epochs=1)
    made.layers[0].trainable = False
    fit(made, mb.ModelCheckpoint(tmp_path), epochs=1)
    again = mb.load_last(tmp_path)
    assert [layer.trainable for layer in again.layers] == [False, True]
    # TensorFlow's own continues to train it, in the step that it had traced before.
    frozen, trained_on = again.get_weights()[0], again.get_weights()[2]
    fit(again, epochs=1)
    np.testing.assert_array_equal(again.get_weights()[0], frozen)
    assert not np.array_equal(again.get_weights()[2], trained_on)


def test_without_compiling_there_is_no_optimizer(tmp_path):
    made, _ = trained(tmp_path)
    plain = mb.load_last(tmp_path, compile=False)
    assert not plain.compiled
    np.testing.assert_array_equal(plain.get_weights()[0], made.get_weights()[0])


def test_weights_alone_load_with_the_learning_rate_that_was(tmp_path):
    made = model(optimizer=keras.optimizers.Adam(0.25))
    trained(tmp_path, made, save_weights_only=True)
    again = mb.load_last(tmp_path)
    assert float(again.optimizer.learning_rate) == 0.25
    assert again.optimizer.iterations.numpy() == 0
    np.testing.assert_array_equal(again.get_weights()[0], made.get_weights()[0])


@pytest.mark.skipif(BACKEND == "jax", reason="no lookup inside a model under JAX")
def test_a_vocabulary_comes_back_with_the_weights(tmp_path):
    pytest.importorskip("tensorflow", reason="Keras's lookup layers run on it")
    keras.utils.set_random_seed(0)
    lookup = keras.layers.IntegerLookup()
    lookup.adapt(np.array([5, 6, 7]))
    made = keras.Sequential(
        [
            keras.Input((1,), dtype="int64"),
            lookup,
            keras.layers.Embedding(5, 2),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    made.compile("adam", "mse")
    x = np.array([[5], [6], [7], [9]])
    callback = mb.ModelCheckpoint(tmp_path, "loss")
    made.fit(x, x, epochs=2, verbose=0, callbacks=[callback])
    again = mb.load_last(tmp_path)
    np.testing.assert_allclose(
        again.predict(x, verbose=0), made.predict(x, verbose=0), atol=1e-6
    )


@keras.saving.register_keras_serializable("multiback-tests")
class Late(keras.Model):
    """A model that makes its layers in build() and does not build them."""

    def build(self, input_shape):  # noqa: ARG002 - Keras's signature
        self.head = keras.layers.Dense(1)

    def call(self, inputs):
        return self.head(inputs)

    def get_config(self):
        return {}


@pytest.mark.filterwarnings("ignore:Layer 'late' looks like it has unbuilt:UserWarning")
def test_layers_that_are_made_late_are_named_as_the_cause(tmp_path):
    made = Late(name="late")
    made.compile("sgd", "mse", jit_compile=False)
    fit(made, mb.ModelCheckpoint(tmp_path, "loss", export_best=False), epochs=1)
    with pytest.raises(
        StateError, match=r"call it on a batch, then multiback\.restore"
    ):
        mb.load_best(tmp_path)
    again = Late(name="late")
    again.compile("sgd", "mse", jit_compile=False)
    again(X)
    mb.restore(again, tmp_path)
    np.testing.assert_array_equal(again.get_weights()[0], made.get_weights()[0])


@keras.saving.register_keras_serializable("multiback-tests")
class Tempered(keras.Model):
    """A model with a compile() of its own, as keras.io shows it."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.head = keras.layers.Dense(1)

    def build(self, input_shape):
        self.head.build(input_shape)

    def call(self, inputs):
        return self.head(inputs)

    def compile(self, optimizer, loss, temperature=1.0):
        super().compile(optimizer=optimizer, loss=loss, jit_compile=False)
        self.temperature = temperature

    def get_config(self):
        return super().get_config()


@pytest.mark.filterwarnings("ignore:.compile.. was not called as part of:UserWarning")
def test_a_compile_of_the_user_s_own_is_named_as_the_cause(tmp_path):
    made = Tempered()
    made.compile("sgd", "mse", temperature=0.5)
    fit(made, mb.ModelCheckpoint(tmp_path, "loss", export_best=False), epochs=1)
    with warns(r"Tempered has a compile\(\) of its own"):
        assert not mb.load_best(tmp_path).compiled


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have:UserWarning")
def test_a_model_in_float8_is_loaded(tmp_path):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    made.quantize("float8")
    made.compile("adam", "mse", jit_compile=False)
    keep = mb.ModelCheckpoint(tmp_path, "loss", export_best=False)
    made.fit(X, X, verbose=0, callbacks=[keep])
    again = mb.load_best(tmp_path)
    predicted = [one.predict(X, verbose=0) for one in (again, made)]
    np.testing.assert_allclose(*predicted, rtol=1e-5)
