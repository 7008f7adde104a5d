"""Data that `fit` and custom loops read in the same way, from any batch."""

import copy
import pickle
import random
import threading

import keras
import numpy as np
import pytest

import multiback as mb
from multiback.errors import ArgumentError, StateError

X = np.random.default_rng(0).normal(size=(10, 2)).astype("float32")
Y = X.sum(axis=1)


def data(**arguments):
    """Make four batches, the last of one sample."""
    return mb.data.Resumable(X, Y, **{"batch_size": 3, "seed": 1, **arguments})


def trained(train):
    """Return the weights after training: those of Adam tell every order apart."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=False)
    train(model)
    return [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]


def loop(model, made, epochs):
    for _ in range(epochs):
        for batch in made:
            model.train_on_batch(*batch)


def assert_alike(found, expected):
    for here, there in zip(found, expected, strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-7)


def at(made, epoch, batch):
    made.load_state_dict({**made.state_dict(), "epoch": epoch, "batch": batch})
    return made


def test_fit_reads_it_in_its_order_and_nothing_global_is_drawn():
    # Under JAX and torch Keras reads a batch before training, TensorFlow two.
    expected = trained(lambda model: loop(model, data(), 3))

    def fit(model):
        random.seed(3)
        model.fit(data(), epochs=3, verbose=0)
        assert random.random() == random.Random(3).random()

    assert_alike(trained(fit), expected)
    # The check can fail.
    other = trained(lambda model: loop(model, data(seed=2), 3))
    with pytest.raises(AssertionError):
        assert_alike(other, expected)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_fit_begins_in_the_middle_of_an_epoch_and_the_next_one_is_whole(batch):
    class Begins(keras.callbacks.Callback):
        begun = 0

        def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            self.begun += 1

    begins = Begins()
    made = at(data(), 4, batch)
    found = trained(
        lambda model: model.fit(made, epochs=3, verbose=0, callbacks=[begins])
    )
    assert begins.begun == 12 - batch
    assert (made.state_dict()["epoch"], made.state_dict()["batch"]) == (7, 0)
    assert_alike(found, trained(lambda model: loop(model, at(data(), 4, batch), 3)))


def test_a_position_that_is_set_when_training_begins_is_in_time():
    made = data()

    class Sets(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):  # noqa: ARG002 - Keras's signature
            at(made, 2, 3)

    found = trained(
        lambda model: model.fit(made, epochs=2, verbose=0, callbacks=[Sets()])
    )
    assert_alike(found, trained(lambda model: loop(model, at(data(), 2, 3), 2)))


def test_fewer_steps_an_epoch_go_through_it_in_turn():
    found = trained(
        lambda model: model.fit(data(), epochs=4, steps_per_epoch=2, verbose=0)
    )
    assert_alike(found, trained(lambda model: loop(model, data(), 2)))


def test_a_batch_that_is_read_ahead_between_two_epochs_is_the_next_one():
    made, again = data(), data()
    made.on_epoch_begin()
    found = [made[0], made[1]]
    made.on_epoch_end()
    # As TensorFlow's thread does, which reads ahead while `fit` is between epochs.
    reader = threading.Thread(target=lambda: found.append(made[2]))
    reader.start()
    reader.join()
    made.on_epoch_begin()
    found.append(made[3])
    again.on_epoch_begin()
    for index, batch in enumerate(found):
        for ours, right in zip(batch, again[index], strict=True):
            np.testing.assert_array_equal(ours, right)


def test_class_weights_count():
    x, y = X, (Y > 0).astype("float32")
    weights = np.where(y > 0, 5.0, 1.0).astype("float32")

    def fit(model):
        made = mb.data.Resumable(x, y, batch_size=3)
        model.fit(made, class_weight={0: 1.0, 1: 5.0}, verbose=0)

    weighted = mb.data.Resumable(x, y, weights, batch_size=3)
    assert_alike(trained(fit), trained(lambda model: loop(model, weighted, 1)))


def test_inputs_may_be_nested():
    def inputs(make):
        return {"a": make("a"), "b": (make("c"), make("d"))}

    entry = inputs(lambda name: keras.Input((2,), name=name))
    joined = keras.layers.Concatenate()([entry["a"], *entry["b"]])
    model = keras.Model(entry, keras.layers.Dense(1)(joined))
    model.compile("adam", "mse", jit_compile=False)
    nested = inputs(lambda _: X)
    made = mb.data.Resumable({**nested, "b": list(nested["b"])}, Y, batch_size=4)
    model.fit(made, verbose=0)
    assert model.optimizer.iterations.numpy() == 3
    (found, y) = next(iter(made))
    np.testing.assert_array_equal(found["b"][1].sum(axis=1), y)


def test_tensors_are_arrays_too():
    made = mb.data.Resumable(keras.ops.convert_to_tensor(X), batch_size=10)
    ((found,),) = list(made)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(X, axis=0))


def test_without_shuffling_the_samples_come_as_they_are():
    found = [y for _, y in data(shuffle=False)]
    assert [len(y) for y in found] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(found), Y)


def test_who_gets_a_batch_cannot_change_the_data():
    made = data(shuffle=False)
    made[0][0][:] = 7
    np.testing.assert_array_equal(made[0][0], X[:3])


def test_a_loop_that_breaks_continues_where_it_was():
    made = data()
    whole = [y.tolist() for _ in range(2) for _, y in made]
    made = data()
    parts = [y.tolist() for _, (_, y) in zip(range(2), made, strict=False)]
    made = at(data(), **{k: made.state_dict()[k] for k in ("epoch", "batch")})
    parts += [y.tolist() for _ in range(2) for _, y in made]
    assert parts == whole


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))],  # noqa: S301 - our own
)
def test_a_copy_stands_where_the_original_does(copied):
    made = at(data(), 2, 1)
    other = copied(made)
    assert [y.tolist() for _, y in other] == [y.tolist() for _, y in made]


def test_batches_out_of_order_are_refused_while_training():
    made = data()
    made.on_epoch_begin()
    with pytest.raises(ArgumentError, match=r"batch 2 came after -1.*shuffle=False"):
        made[2]
    made.on_epoch_end()
    assert len(made[2]) == 2
    with pytest.raises(IndexError, match="no batch 4 among 4"):
        made[4]


def test_a_position_in_other_data_is_refused():
    saved = data().state_dict()
    with pytest.raises(StateError, match="batch_size was 3, is 4, seed was 1, is 9"):
        data(batch_size=4, seed=9).load_state_dict(saved)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, r"batch_size= wants an integer of at least 1, not 0"),
        ({"seed": -1}, r"seed= wants an integer of at least 0, not -1"),
        ({"seed": True}, r"seed= wants an integer"),
        ({"y": [1, 2, 3]}, r"y\[0\] wants an array.*not int 1"),
        ({"y": Y[:4]}, r"one length above 0, not of \[10, 4\]"),
        ({"y": None, "sample_weight": Y}, "give y= too"),
        ({"x": X[:0], "y": None}, "one length above 0"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments, text):
    with pytest.raises(ArgumentError, match=text):
        mb.data.Resumable(**{"x": X, "y": Y, **arguments})
