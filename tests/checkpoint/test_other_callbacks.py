"""The state of other callbacks goes to the callback that it is of."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from support.fitting.problem import Says, X, Y, fit, model, telling
from support.hostile import forge

import multiback as mb
from multiback.store import RunDirectory

Stopping = keras.callbacks.EarlyStopping
Plateau = keras.callbacks.ReduceLROnPlateau
LOGS = {"a": [0.1, 0.9, 0.2, 0.3], "b": [0.5, 0.4, 0.6, 0.7]}


def train(folder, epochs, *others, **arguments):
    """Train on, with other callbacks; return our warnings."""
    says, ours = Says(**LOGS), mb.ModelCheckpoint(folder, resume="auto", **arguments)
    with telling() as said:
        fit(model(), says, *others, ours, epochs=epochs)
    return said


@pytest.mark.parametrize("kind", [Stopping, Plateau])
def test_the_state_goes_to_the_callback_of_the_same_monitor(tmp_path, kind):
    of_a = {"monitor": "a", "mode": "max", "patience": 9}
    of_b = {"monitor": "b", "mode": "min", "patience": 9}
    train(tmp_path, 2, kind(**of_a), kind(**of_b))
    b, a = kind(**of_b), kind(**of_a)
    assert train(tmp_path, 3, b, a) == []
    assert (a.best, b.best) == (0.9, 0.4)
    assert (a.wait, b.wait) == (1, 1)


@pytest.mark.parametrize(
    ("saved", "here"),
    [
        ({"monitor": "a", "mode": "max"}, {"monitor": "b", "mode": "max"}),
        ({"monitor": "a", "mode": "max"}, {"monitor": "a", "mode": "min"}),
    ],
)
@pytest.mark.parametrize("kind", [Stopping, Plateau])
def test_a_callback_of_another_monitor_or_mode_begins_as_new(
    tmp_path, kind, saved, here
):
    train(tmp_path, 2, kind(patience=9, **saved))
    other = kind(patience=9, **here)
    (text,) = train(tmp_path, 3, other)
    assert text == (
        f"The checkpoint has no state of {kind.__name__} with monitor="
        f"{here['monitor']!r} and mode={here['mode']!r}, which begins as new."
    )
    assert other.best == LOGS[here["monitor"]][2]


def test_one_that_is_named_begins_as_new_too(tmp_path):
    first, second = Stopping("a", mode="max"), Stopping("b", mode="min")
    train(tmp_path, 2, first, callbacks=[first])
    (text,) = train(tmp_path, 3, second, callbacks=[second])
    assert "begins as new" in text


def test_a_mode_that_keras_finds_is_the_mode_that_is_given(tmp_path):
    train(tmp_path, 2, Stopping("loss", patience=9))
    assert train(tmp_path, 3, Stopping("loss", mode="min", patience=9)) == []
    assert train(tmp_path, 4, Stopping("loss", patience=9)) == []
    (text,) = train(tmp_path, 5, Stopping("loss", mode="max", patience=9))
    assert "begins as new" in text


def test_callbacks_of_one_monitor_are_paired_in_order(tmp_path):
    def make():
        return [Stopping("a", mode="max", min_delta=d, patience=9) for d in (0.0, 1.0)]

    train(tmp_path, 3, *make())
    small, large = make()
    assert train(tmp_path, 4, small, large) == []
    assert (small.wait, large.wait) == (2, 3)


def test_a_checkpoint_without_monitors_is_paired_by_class(tmp_path):
    train(tmp_path, 2, Stopping("a", mode="max", patience=9))
    forget_monitors(tmp_path)
    other = Stopping("b", mode="max", patience=9)
    assert train(tmp_path, 3, other) == []
    assert other.best == 0.9


def forget_monitors(folder):
    """Make the newest checkpoint one of an earlier version."""
    last = RunDirectory(folder).checkpoints()[-1]
    facts = last.document("trainer")
    for one in facts["callbacks"]:
        del one["monitor"], one["mode"]
    forge(last, "trainer.json", json.dumps(facts).encode())


def net(units):
    made = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="body"),
            keras.layers.Dense(units, name="head"),
        ]
    )
    made.compile("sgd", "mse", jit_compile=False)
    return made


def test_weights_of_an_old_head_do_not_come_back_at_the_end(tmp_path):
    """Nor does the best score that they had: it would never be beaten."""

    def stopping():
        return Stopping("b", mode="min", patience=9, restore_best_weights=True)

    first = mb.ModelCheckpoint(tmp_path / "a", "loss")
    fit(net(1), Says(**LOGS), stopping(), first)
    made, begun = net(2), stopping()
    second = mb.ModelCheckpoint(
        tmp_path / "b", "loss", resume=first.last_model_path, strict=False
    )
    with telling() as said:
        made.fit(
            X,
            np.stack([Y, Y], axis=1),
            epochs=4,
            verbose=0,
            callbacks=[Says(**LOGS), begun, second],
        )
    assert begun.best == 0.7
    (text,) = (text for text in said if "begins as new" in text)
    assert text == (
        "The best_weights of EarlyStopping in the checkpoint are of another model: it "
        "begins as new."
    )
    assert Path(tmp_path, "b", "best.keras").exists()


@pytest.fixture
def stopped(tmp_path):
    """A run that EarlyStopping ended after its third epoch."""
    train(tmp_path, 9, Stopping("a", mode="max", patience=1))
    return tmp_path


def epochs_of(folder):
    return len(mb.history(folder))


class Own(keras.callbacks.Callback):
    """A user's callback, which perhaps stops the training."""

    def __init__(self, at=None):
        super().__init__()
        self.at = at

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.model.stop_training = epoch == self.at

    def get_state(self):
        return {}

    def set_state(self, state):
        assert state == {}


def test_a_run_that_was_stopped_says_what_lets_it_train_on(stopped):
    (text,) = train(stopped, 5, Stopping("a", mode="max", patience=1))
    assert text == (
        "The resumed run was stopped after epoch 3, and stays so. Give EarlyStopping "
        'a larger patience=, leave it out, or pass resume="never" to begin a new run '
        "in this directory."
    )
    assert epochs_of(stopped) == 3


@pytest.mark.parametrize(
    "others",
    [
        lambda: [Stopping("a", mode="max", patience=4)],
        list,
        lambda: [Plateau("a", mode="max")],
        lambda: [Stopping("b", mode="min", patience=4)],
    ],
)
def test_what_is_said_lets_it_train_on(stopped, others):
    assert not [text for text in train(stopped, 5, *others()) if "stopped" in text]
    assert epochs_of(stopped) == 5


def test_a_stop_by_a_callback_of_the_users_own_stays(tmp_path):
    train(tmp_path, 9, Own(at=1))
    (text,) = train(tmp_path, 9, Own())
    assert text.startswith("The resumed run was stopped after epoch 2, and stays so. ")
    assert "Leave Own out" in text
    assert epochs_of(tmp_path) == 2
    assert train(tmp_path, 4) == []
    assert epochs_of(tmp_path) == 4


def test_a_run_with_another_stop_than_early_stoppings_trains_on(tmp_path):
    class Limit(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            self.model.stop_training = epoch == 1

    others = Stopping("a", mode="max", patience=0), Limit()
    train(tmp_path, 9, *others)
    assert epochs_of(tmp_path) == 2
    assert train(tmp_path, 3, Stopping("a", mode="max", patience=0), Limit()) == []
    assert epochs_of(tmp_path) == 3
