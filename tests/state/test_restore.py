import keras
import numpy as np
import pytest
from support import models

from multiback.errors import ArgumentError, StateError
from multiback.state import rebuild, restore, restore_tree, snapshot
from multiback.state.describe import describe
from multiback.state.fitting import cast_exactly


def dense(units=2, *, trainable=True, compiled=True, metrics=("mae",)):
    layer = keras.layers.Dense(3, name="first", trainable=trainable)
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(units)])
    if compiled:
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, "mse", metrics=list(metrics))
        optimizer.build(model.trainable_variables)
    return model


def values(model):
    return {key: a.tobytes() for key, a in snapshot(model).arrays.items()}


def test_a_failed_restore_changes_nothing_and_lists_every_difference():
    model, other = dense(2), dense(5)
    taken, before = snapshot(other), values(model)
    with pytest.raises(StateError) as caught:
        restore(model, taken.arrays, taken.index)
    text = str(caught.value)
    assert values(model) == before
    assert "nothing was restored" in text
    assert "weights/0002" in text
    assert "shape [3, 2] in the model, [3, 5] in the checkpoint" in text
    assert "weights/0003" in text
    assert "strict=False" in text


def test_a_missing_and_an_extra_layer_are_both_errors():
    one = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    two = dense(compiled=False)
    small, large = snapshot(one), snapshot(two)
    with pytest.raises(StateError, match="in the model, not in the checkpoint"):
        restore(two, small.arrays, small.index)
    with pytest.raises(StateError, match="in the checkpoint, not in the model"):
        restore(one, large.arrays, large.index)


def test_a_long_list_of_differences_is_cut_with_a_count():
    many = keras.Sequential(
        [keras.Input((2,)), *(keras.layers.Dense(2) for _ in range(9))]
    )
    taken = snapshot(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    with pytest.raises(StateError, match="and 6 more"):
        restore(many, taken.arrays, taken.index)


def test_an_array_that_the_index_names_must_be_there():
    model = dense()
    taken = snapshot(model)
    arrays = {k: v for k, v in taken.arrays.items() if k != "weights/0001"}
    with pytest.raises(StateError, match=r"weights/0001"):
        restore(model, arrays, taken.index)


def test_another_trainable_set_leaves_the_optimizer_and_says_so():
    trained = dense()
    models.fit(trained)
    taken = snapshot(trained)
    model = dense(trainable=False)
    report = restore(model, taken.arrays, taken.index)
    assert report.restored["weights"] == 4
    assert report.restored["optimizer"] == 0
    assert "other variables than were saved" in report.left_out[0]
    assert "momentum of weights/0000" in report.notes[0]
    assert "trainable" in report.notes[0]
    np.testing.assert_array_equal(model.get_weights()[0], trained.get_weights()[0])
    assert not restore(model, taken.arrays, taken.index, optimizer=False).left_out


def test_slots_in_another_order_find_their_owner():
    model, other = dense(), dense(compiled=False)
    models.fit(model)
    taken = snapshot(model)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(other.trainable_variables[::-1])
    other.compile(optimizer, "mse")
    restore(other, taken.arrays, taken.index)
    back = snapshot(other)
    slots = {
        (e.get("owner"), e["slot"]): back.arrays[e["key"]].tobytes()
        for e in back.index
        if e["group"] == "optimizer"
    }
    wanted = {
        (e.get("owner"), e["slot"]): taken.arrays[e["key"]].tobytes()
        for e in taken.index
        if e["group"] == "optimizer"
    }
    assert slots == wanted


def test_another_optimizer_starts_fresh_and_it_is_said():
    trained = dense()
    models.fit(trained)
    taken = snapshot(trained)
    model = dense(compiled=False)
    model.compile(keras.optimizers.Adagrad(0.1), "mse")
    report = restore(model, taken.arrays, taken.index)
    assert "optimizer accumulator of weights/0000" in report.notes[0]
    assert len(report.left_out) == 1
    assert model.optimizer.iterations.numpy() == 0


def test_an_optimizer_that_is_not_built_is_built_first():
    trained = dense()
    models.fit(trained)
    taken = snapshot(trained)
    model = dense(compiled=False)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    assert not model.optimizer.built
    assert restore(model, taken.arrays, taken.index).restored["optimizer"] == 6


def test_an_optimizer_that_made_no_step_has_no_slots_saved():
    model = dense()
    taken = snapshot(model)
    slots = [one["slot"] for one in taken.index if one["group"] == "optimizer"]
    assert slots == ["iteration", "learning_rate"]
    models.fit(model)
    before = model.optimizer.variables[2].numpy()
    report = restore(model, taken.arrays, taken.index)
    assert "had made no step" in report.left_out[0]
    np.testing.assert_array_equal(model.optimizer.variables[2].numpy(), before)


def test_an_uncompiled_model_takes_the_weights_and_says_so():
    taken = snapshot(dense())
    report = restore(dense(compiled=False), taken.arrays, taken.index)
    assert report.restored["optimizer"] == 0
    assert "The model is not compiled" in report.notes[0]


def test_changed_metrics_are_reset_and_said():
    model, other = dense(), dense(metrics=["mse", "mae"])
    models.fit(model)
    models.fit(other)
    taken = snapshot(model)
    report = restore(other, taken.arrays, taken.index)
    assert report.metrics_reset
    assert (
        "saved: loss, mean_absolute_error; now: loss, mean_squared" in report.notes[0]
    )
    assert all(not np.any(v.numpy()) for v in other.metrics_variables)


def test_swapped_metrics_of_one_shape_are_changed_metrics():
    model, other = dense(metrics=["mae", "mse"]), dense(metrics=["mse", "mae"])
    models.fit(model)
    models.fit(other)
    taken = snapshot(model)
    assert restore(other, taken.arrays, taken.index).metrics_reset


def test_metrics_that_are_not_built_yet_are_left_out_and_said():
    model, other = dense(), dense()
    models.fit(model)
    taken = snapshot(model)
    report = restore(other, taken.arrays, taken.index)
    assert not report.metrics_reset
    assert "not built before its first batch" in report.notes[0]


def test_the_same_metrics_come_back():
    model, other = dense(), dense()
    models.fit(model)
    models.fit(other)
    taken = snapshot(model)
    assert restore(other, taken.arrays, taken.index).notes == []
    assert values(other) == values(model)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32"])
def test_seeds_and_iterations_of_any_backend_fit(dtype):
    model = models.mlp()
    taken = snapshot(model)
    arrays = dict(taken.arrays)
    arrays["seeds/0000"] = np.array([123, 4], dtype)
    restore(model, arrays, taken.index)
    np.testing.assert_array_equal(snapshot(model).arrays["seeds/0000"], [123, 4])


def test_other_random_layers_than_were_saved_are_an_error_with_its_way_out():
    def dropping(*rates):
        layers = [keras.layers.Dropout(rate) for rate in rates]
        head = keras.layers.Dense(2, name="head")
        return keras.Sequential([keras.Input((3,)), *layers, head])

    taken, other = snapshot(dropping(0.1)), dropping(0.1, 0.2)
    with pytest.raises(StateError, match="strict=False"):
        restore(other, taken.arrays, taken.index)
    report = restore(other, taken.arrays, taken.index, strict=False)
    assert report.restored["weights"] == 2
    assert len(report.kept) == 2 - report.restored["seeds"]


def test_a_value_that_the_dtype_cannot_hold_is_an_error():
    model = models.mlp()
    taken = snapshot(model)
    arrays = dict(taken.arrays) | {"seeds/0000": np.array([2**70, 0], "float64")}
    with pytest.raises(StateError, match="cannot be written exactly"):
        restore(model, arrays, taken.index)
    arrays = dict(taken.arrays)
    arrays["weights/0000"] = arrays["weights/0000"].astype("float64") + 1e-12
    with pytest.raises(StateError, match="float64 values cannot be written exactly"):
        restore(model, arrays, taken.index)


def test_a_cast_keeps_nan_and_refuses_a_lost_sign():
    nan = np.array([np.nan, 1.0], "float64")
    np.testing.assert_array_equal(cast_exactly(nan, np.dtype("float32")), nan)
    assert cast_exactly(np.array([-1], "int32"), np.dtype("uint32")) is None
    assert cast_exactly(np.array([2**31], "uint32"), np.dtype("int32")) is None
    assert cast_exactly(np.array([np.nan]), np.dtype("int32")) is None


def test_an_unbuilt_model_is_an_error_that_says_to_build_it():
    model = keras.Sequential([keras.layers.Dense(2)])
    for call in (snapshot, describe, lambda m: restore(m, {}, [])):
        with pytest.raises(StateError, match=r"not built.*build\(input_shape\)"):
            call(model)


def test_anything_but_a_model_is_an_argument_error():
    with pytest.raises(ArgumentError, match=r"wants a Keras model.*int"):
        snapshot(3)
    with pytest.raises(ArgumentError, match="config must be the config of a desc"):
        rebuild(None)


def test_the_snapshot_of_a_tree_does_not_go_into_a_model():
    taken = snapshot({"w": np.ones(2)})
    with pytest.raises(StateError, match="the group 'tree'"):
        restore(dense(), taken.arrays, taken.index)


def aligned(array):
    """Copy to a 64-byte boundary, where JAX takes a host buffer over uncopied."""
    raw = np.empty(array.nbytes + 64, "uint8")
    start = -raw.ctypes.data % 64
    out = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    out[...] = array
    return out


def test_the_model_does_not_see_later_changes_of_the_given_arrays():
    model = dense()
    taken = snapshot(model)
    arrays = {key: aligned(array) for key, array in taken.arrays.items()}
    restore(model, arrays, taken.index)
    for array in arrays.values():
        array[...] = 77
    back = snapshot(model)
    for key, array in taken.arrays.items():
        np.testing.assert_array_equal(back.arrays[key], array)


def normalised_model(adapted):
    keras.utils.set_random_seed(0)
    normalise = keras.layers.Normalization()
    x = np.random.default_rng(0).normal(5.0, 3.0, size=(64, 4)).astype("float32")
    if adapted:
        normalise.adapt(x)
    model = keras.Sequential([keras.Input((4,)), normalise, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model, x


@pytest.mark.parametrize("rebuilt", [True, False], ids=["rebuilt", "by hand"])
def test_an_adapted_normalization_normalises_as_before(rebuilt):
    """Its constants are no variables: predictions were off by 0.6 on JAX."""
    model, x = normalised_model(adapted=True)
    expected = model.predict(x, verbose=0)
    taken = snapshot(model)
    if rebuilt:
        other = rebuild(describe(model).config)
    else:
        other, _ = normalised_model(adapted=False)
        other.predict(x, verbose=0)  # Compiled with the constants that it has now.
    restore(other, taken.arrays, taken.index)
    np.testing.assert_allclose(other.predict(x, verbose=0), expected, rtol=1e-6)


def test_a_model_that_never_trained_comes_back_compiled():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    taken = snapshot(model)
    other = rebuild(describe(model).config)
    assert restore(other, taken.arrays, taken.index).restored["optimizer"] == 2
    assert other.optimizer.built


def test_a_variable_without_a_name_is_found_after_others_were_made():
    """Nadam's is called `variable`, or `variable_7`, as it happens."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("nadam", "mse")
    taken = snapshot(model)
    keras.Variable(0.0)
    other = rebuild(describe(model).config)
    report = restore(other, taken.arrays, taken.index)
    assert report.restored["optimizer"] == len(model.optimizer.variables)


@keras.saving.register_keras_serializable("multiback-tests")
class Backbone(keras.Model):
    def __init__(self, units=3, **arguments):
        super().__init__(**arguments)
        self.units = units
        self.inner = keras.layers.Dense(units)
        self.head = keras.layers.Dense(1)

    def call(self, inputs):
        return self.head(self.inner(inputs))

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.head.build((None, self.units))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_frozen_layer_of_a_subclass_is_frozen_again():
    model = Backbone()
    model.build((None, 2))
    model.inner.trainable = False
    model.compile("adam", "mse")
    taken = snapshot(model)
    other = rebuild(describe(model).config)
    assert not other.inner.trainable
    restore(other, taken.arrays, taken.index)
    other.fit(np.ones((4, 2)), np.ones(4), verbose=0)


@keras.saving.register_keras_serializable("multiback-tests")
class Renamed(keras.optimizers.Adam):
    """A user's optimizer, whose step is Adam's."""


@keras.saving.register_keras_serializable("multiback-tests")
class OfTheUser(keras.optimizers.Optimizer):
    """A user's optimizer with a step of its own."""

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, gradient * learning_rate)


@keras.saving.register_keras_serializable("multiback-tests")
class OfTheUserToo(OfTheUser):
    """The same under another name."""


def compiled(optimizer):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def stepped(optimizer):
    model = compiled(optimizer)
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    return snapshot(model)


OPTIMIZERS = keras.optimizers


@pytest.mark.parametrize(
    ("saved", "here"),
    [
        (lambda: OPTIMIZERS.RMSprop(momentum=0.9), OPTIMIZERS.Adam),
        (OPTIMIZERS.Adam, OPTIMIZERS.Lamb),
        (lambda: OPTIMIZERS.SGD(momentum=0.9), OPTIMIZERS.Lion),
        (lambda: OfTheUser(0.1), OPTIMIZERS.SGD),
        (
            lambda: OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.Adam()),
            lambda: OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.Lamb()),
        ),
    ],
)
def test_an_optimizer_of_another_class_with_the_same_slots_starts_fresh(saved, here):
    taken, model = stepped(saved()), compiled(here())
    report = restore(model, taken.arrays, taken.index)
    assert report.restored["weights"] == 2
    assert report.restored["optimizer"] == 0
    (text,) = report.left_out
    assert "the optimizer starts fresh" in text
    assert "Base" not in text
    assert not np.any([v.numpy() for v in model.optimizer.variables if v.ndim == 2])


@pytest.mark.parametrize(
    ("saved", "here"),
    [
        (OPTIMIZERS.Adam, OPTIMIZERS.AdamW),
        (Renamed, OPTIMIZERS.Adam),
        (OPTIMIZERS.Adam, Renamed),
        (lambda: OfTheUser(0.1), lambda: OfTheUserToo(0.1)),
    ],
)
def test_an_optimizer_with_the_same_step_takes_the_state(saved, here):
    taken, model = stepped(saved()), compiled(here())
    report = restore(model, taken.arrays, taken.index)
    assert report.left_out == []
    assert report.restored["optimizer"] == len(model.optimizer.variables)


def test_an_index_without_the_optimizers_class_is_compared_by_its_slots():
    taken, model = stepped(OPTIMIZERS.Adam()), compiled(OPTIMIZERS.Lamb())
    index = [{k: v for k, v in one.items() if k != "class"} for one in taken.index]
    assert index != taken.index
    assert restore(model, taken.arrays, index).left_out == []


def test_an_optimizer_of_another_class_in_a_tree_is_an_error():
    def tree(optimizer):
        optimizer.build([keras.Variable(np.ones(3))])
        return {"opt": optimizer}

    taken = snapshot(tree(OPTIMIZERS.Adam()))
    with pytest.raises(StateError, match="it is Lamb, and Adam was saved"):
        restore_tree(tree(OPTIMIZERS.Lamb()), taken.arrays, taken.index)
