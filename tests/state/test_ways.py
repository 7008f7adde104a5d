"""Variables are paired by the way to them, whatever order they were made in."""

import keras
import numpy as np
import pytest
from support import models

from multiback.errors import StateError
from multiback.state import restore, snapshot
from multiback.state.variables import entries

RNG = np.random.default_rng(7)


class Net(keras.Model):
    """Two layers of one shape, made in the order that is asked for."""

    def __init__(self, make, order, box=None):
        super().__init__()
        for name in order:
            layer = make(name)
            if box is None:
                setattr(self, name, layer)
            else:
                box[name] = layer
        self.box = box
        self.head = keras.layers.Dense(2)

    def call(self, x):
        parts = {"encoder": None, "decoder": None}
        for name in parts:
            parts[name] = self.box[name] if self.box else getattr(self, name)
        return self.head(parts["decoder"](keras.ops.tanh(parts["encoder"](x))))


def unnamed(name):  # noqa: ARG001 - the name is what must not matter
    return keras.layers.Dense(4, use_bias=False)


def named(name):
    return keras.layers.Dense(4, use_bias=False, name=name)


def filled(model):
    """Give each weight values of its own, and the optimizer too."""
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model(models.FEATURES)
    model.optimizer.build(model.trainable_variables)
    slots = model.optimizer.variables[2:]
    for variable in (*model.weights, *slots):
        variable.assign(RNG.normal(size=variable.shape))
    model.optimizer.iterations.assign(3)
    return model


def check_same_values(one, other):
    """Compare what two models predict."""
    values = (keras.ops.convert_to_numpy(m(models.FEATURES)) for m in (one, other))
    np.testing.assert_allclose(*values, rtol=1e-5)


def check_back(saved, other):
    """Restore into another model, which must then be the same."""
    taken = snapshot(saved)
    report = restore(other, taken.arrays, taken.index)
    check_same_values(other, saved)
    by_layer = [
        {
            (str(v.shape), w.numpy().tobytes()): v.numpy().tobytes()
            for w, v in zip(
                one.trainable_variables, one.optimizer.variables[2:], strict=True
            )
        }
        for one in (saved, other)
    ]
    assert by_layer[0] == by_layer[1]
    return report


@pytest.mark.parametrize("make", [named, unnamed])
@pytest.mark.parametrize("box", [None, {}], ids=["attributes", "a mapping"])
def test_layers_made_in_another_order_keep_their_own_values(make, box):
    saved = filled(Net(make, ["encoder", "decoder"], box and {}))
    other = filled(Net(make, ["decoder", "encoder"], box and {}))
    assert check_back(saved, other).paired["weights"] == "way"


def branches(first, second, **names):
    """Two branches of one shape; the order of the inputs decides their place."""
    inputs = keras.Input((4,))
    made = {
        name: keras.layers.Dense(4, name=names.get(name))(inputs)
        for name in (first, second)
    }
    total = keras.layers.Concatenate()([made[first], made[second]])
    return filled(keras.Model(inputs, keras.layers.Dense(2)(total)))


def test_a_name_that_the_user_gave_elsewhere_is_refused():
    saved = branches("a", "b", a="left", b="right")
    other = branches("a", "b", a="right", b="left")
    taken, before = snapshot(saved), other.get_weights()
    with pytest.raises(StateError, match="elsewhere"):
        restore(other, taken.arrays, taken.index)
    for one, two in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_renamed_layers_and_a_second_model_in_one_process_still_fit():
    saved = branches("a", "b", a="left", b="right")
    check_back(saved, branches("a", "b", a="one", b="two"))
    check_back(saved, branches("a", "b"))


def wrapped():
    inputs = keras.Input((2, 2))
    hidden = inputs
    for _ in range(2):
        layer = keras.layers.SimpleRNN(1, return_sequences=True)
        hidden = keras.layers.Bidirectional(layer)(hidden)
    return keras.Model(inputs, hidden)


def test_numbers_in_the_names_that_bidirectional_makes_do_not_matter():
    saved = wrapped()
    taken = snapshot(saved)
    # The number of the first is that of the second above.
    keras.layers.SimpleRNN(1)
    for other in (wrapped(), wrapped()):
        restore(other, taken.arrays, taken.index)
        np.testing.assert_array_equal(other.get_weights()[-1], saved.get_weights()[-1])


def test_a_checkpoint_without_ways_is_paired_by_position():
    saved = filled(Net(named, ["encoder", "decoder"]))
    other = filled(Net(named, ["encoder", "decoder"]))
    taken = snapshot(saved)
    old = [
        {k: v for k, v in one.items() if k not in ("way", "name")}
        for one in taken.index
    ]
    assert restore(other, taken.arrays, old).paired["weights"] == "position"
    np.testing.assert_array_equal(other.get_weights()[0], saved.get_weights()[0])


@pytest.mark.parametrize("name", sorted(models.CASES))
def test_every_weight_and_seed_of_a_model_is_found(name):
    build, compile_ = models.CASES[name]
    model = build()
    compile_(model)
    found = entries(model)
    ways = [one.place and one.place.way for one in (*found["weights"], *found["seeds"])]
    assert None not in ways
    assert len(set(ways)) == len(ways)


def with_head(units, name=None):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(3),
        keras.layers.Dense(units, name=name),
    ]
    return filled(keras.Sequential(layers))


@pytest.mark.parametrize("name", [None, "new"])
def test_a_new_head_keeps_its_values_and_the_rest_comes_back(name):
    saved, other = with_head(5), with_head(2, name)
    taken, head = snapshot(saved), other.get_weights()[2]
    with pytest.raises(StateError, match="strict=False"):
        restore(other, taken.arrays, taken.index)
    report = restore(other, taken.arrays, taken.index, strict=False)
    np.testing.assert_array_equal(other.get_weights()[0], saved.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], head)
    assert [one[:12] for one in report.kept] == ["weights/0002", "weights/0003"]
    assert [one[:12] for one in report.unused] == ["weights/0002", "weights/0003"]


def test_a_base_goes_into_a_model_with_lora():
    saved, other = filled(models.mlp()), models.lora()
    taken = snapshot(saved)
    report = restore(other, taken.arrays, taken.index, strict=False)
    assert len(report.kept) == 2
    assert not report.unused
    saved.optimizer = None
    check_same_values(other, saved)


def test_floats_are_rounded_for_a_narrower_model_if_that_is_asked_for():
    saved = filled(models.mlp())
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        other = models.mlp()
    finally:
        keras.config.set_dtype_policy(policy)
    taken = snapshot(saved, weights_only=True)
    with pytest.raises(StateError, match="rounding=True"):
        restore(other, taken.arrays, taken.index)
    restore(other, taken.arrays, taken.index, rounding=True)
    got = keras.ops.convert_to_numpy(keras.ops.cast(other.weights[0], "float32"))
    np.testing.assert_allclose(got, saved.get_weights()[0], rtol=2**-8)
