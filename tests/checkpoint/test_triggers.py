"""Saving between the ends of epochs: by steps, time, request, error and signal."""

import copy
import datetime as dt
import os
import signal
import threading

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.backends import BACKEND
from support.fitting.problem import VALIDATION, Says, X, Y, fit, model, warns

import multiback as mb
from multiback.checkpoint.choosing.triggers import Triggers
from multiback.errors import ArgumentError, MonitorError
from multiback.store import RunDirectory

SCORE = mb.Monitor("score", mode="max", early=False)


def checkpoints(folder):
    return RunDirectory(folder).checkpoints()


class At(keras.callbacks.Callback):
    """Do something before the n-th batch of training, or of each validation."""

    def __init__(self, n, action, hook="on_train_batch_begin"):
        super().__init__()
        self.left = n
        self.action = action
        setattr(self, hook, self.count)

    def count(self, *_, **__):
        self.left -= 1
        if self.left == 0:
            self.action()


class Snapshots(keras.callbacks.Callback):
    """Copy the weights at each step, to compare with what was saved."""

    def __init__(self):
        super().__init__()
        self.by_step = {}

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        step = int(self.model.optimizer.iterations.numpy())
        self.by_step[step] = [weight.copy() for weight in self.model.get_weights()]


@given(st.lists(st.integers(0, 40), max_size=50), st.integers(1, 20))
def test_each_period_of_steps_is_due_once(jumps, n):
    triggers = Triggers(every_n_train_steps=n)
    triggers.start(0, 0.0)
    batches, due = 0, 0
    for jump in jumps:
        batches += jump
        before = (batches - jump) // n
        assert triggers.due(batches, 0.0) == (batches // n > before)
        due += batches // n > before
    assert due <= batches // n


def test_a_time_is_due_once_it_has_passed_since_the_last_save():
    triggers = Triggers(train_time_interval=dt.timedelta(seconds=10))
    triggers.start(0, 100.0)
    assert not triggers.due(1, 109.9)
    assert triggers.due(1, 110.0)
    triggers.saved(110.0)
    assert not triggers.due(1, 119.0)
    assert triggers.due(1, 120.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"every_n_train_steps": 0},
        {"every_n_train_steps": 1.5},
        {"train_time_interval": 60},
        {"train_time_interval": dt.timedelta(0)},
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused(tmp_path, arguments):
    with pytest.raises(ArgumentError, match="wants"):
        mb.ModelCheckpoint(tmp_path, **arguments)


def test_steps_save_the_state_of_that_step_without_a_score(tmp_path):
    callback = mb.ModelCheckpoint(
        tmp_path, "val_loss", every_n_train_steps=3, keep=[mb.All()]
    )
    snapshots = Snapshots()
    made = model()
    fit(made, snapshots, callback, epochs=2, batch_size=4, **VALIDATION)
    found = {one.step: one for one in checkpoints(tmp_path)}
    # Epochs end at 8 and 16; 15 is the fifth multiple of 3.
    assert sorted(found) == [3, 6, 8, 9, 12, 15, 16]
    for step, one in found.items():
        boundary = step in (8, 16)
        assert one.extra["boundary"] == boundary
        assert ("val_loss" in one.extra["scores"]) == boundary
        if step in snapshots.by_step:
            weights = mb.load(one.path).get_weights()
            for here, there in zip(weights, snapshots.by_step[step], strict=True):
                np.testing.assert_array_equal(here, there)
    assert found[9].document("trainer")["batch"] == 1
    assert callback.best_model_path in {str(found[8].path), str(found[16].path)}


def test_an_epochs_end_stays_while_the_newest_is_of_its_middle(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path, every_n_train_steps=3)
    with pytest.raises(ZeroDivisionError):
        fit(model(), callback, At(15, lambda: 1 / 0), epochs=3, batch_size=4)
    callback.wait()
    assert [one.step for one in checkpoints(tmp_path)] == [8, 12]


def test_a_short_time_saves_every_step_and_a_long_one_never(tmp_path):
    for name, interval in (
        ("short", dt.timedelta(microseconds=1)),
        ("long", dt.timedelta(hours=1)),
    ):
        callback = mb.ModelCheckpoint(
            tmp_path / name, keep=[mb.All()], train_time_interval=interval
        )
        fit(model(), callback, epochs=2)
    assert [one.step for one in checkpoints(tmp_path / "short")] == [0, 1, 2, 3, 4]
    assert [one.step for one in checkpoints(tmp_path / "long")] == [2, 4]


def test_a_resumed_run_begins_at_the_last_end_of_an_epoch(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path, every_n_train_steps=3)
    with pytest.raises(ZeroDivisionError):
        fit(model(), callback, At(15, lambda: 1 / 0), epochs=3, batch_size=4)
    resumed = mb.ModelCheckpoint(tmp_path, resume="must")
    made = model()
    fit(made, resumed, epochs=3, batch_size=4)
    assert made.optimizer.iterations.numpy() == 24


def test_an_error_under_with_saves_the_state_that_it_left(tmp_path):
    snapshots = Snapshots()
    callback = mb.ModelCheckpoint(tmp_path, SCORE)
    with pytest.raises(ZeroDivisionError), callback:
        fit(
            model(),
            Says(score=[1.0]),
            snapshots,
            callback,
            At(14, lambda: 1 / 0),
            epochs=3,
            batch_size=4,
        )
    assert [one.step for one in checkpoints(tmp_path)] == [8, 13]
    last = mb.load_last(tmp_path)
    for here, there in zip(last.get_weights(), snapshots.by_step[13], strict=True):
        np.testing.assert_array_equal(here, there)
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 8


def test_an_error_before_the_first_step_leaves_no_run_behind(tmp_path):
    good = mb.ModelCheckpoint(tmp_path, "val_loss")
    fit(model(), good, epochs=1, **VALIDATION)
    callback = mb.ModelCheckpoint(tmp_path, "val_loss")
    with pytest.raises(ZeroDivisionError), callback:
        fit(model(), callback, At(1, lambda: 1 / 0), **VALIDATION)
    assert len(checkpoints(tmp_path)) == 1
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 2


def test_a_copy_of_the_callback_starts_a_run_of_its_own(tmp_path):
    # As tuners do, one for each trial.
    original = mb.ModelCheckpoint(tmp_path, "val_loss")
    for _ in range(2):
        callback = copy.deepcopy(original)
        fit(model(), callback, epochs=1, **VALIDATION)
        assert callback.best_model_score is not None
    assert original.best_model_score is None
    assert len({one.run_id for one in checkpoints(tmp_path)}) == 2


def test_an_error_of_our_own_is_not_followed_by_a_save(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path, SCORE)
    with pytest.raises(MonitorError), callback:
        fit(model(), callback)
    assert not checkpoints(tmp_path)


def test_a_state_that_cannot_be_saved_does_not_hide_the_error(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path)

    def fail():
        callback._checkpointer.directory.commit = None
        raise ZeroDivisionError

    with warns("could not be saved"), pytest.raises(ZeroDivisionError), callback:
        fit(model(), callback, At(2, fail))


def test_neither_does_a_state_that_cannot_be_read(tmp_path, monkeypatch):
    callback = mb.ModelCheckpoint(tmp_path)

    def gone(*_, **__):
        raise RuntimeError("Array has been deleted.")

    def fail():
        # As JAX's state is when a step that took it over fails.
        monkeypatch.setattr("multiback.checkpoint.checkpointer.draft", gone)
        raise ZeroDivisionError

    with warns("has been deleted"), pytest.raises(ZeroDivisionError), callback:
        fit(model(), callback, At(2, fail))


@pytest.fixture(autouse=True)
def python_s_own_handler():
    """Test processes that another one started may ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("hook", "n", "step"),
    [("on_train_batch_begin", 4, 3), ("on_test_batch_begin", 3, 8)],
)
def test_a_signal_lets_the_step_end_saves_and_leaves(tmp_path, kind, hook, n, step):
    before = signal.getsignal(kind)
    callback = mb.ModelCheckpoint(tmp_path, "val_loss")
    sends = At(n, lambda: os.kill(os.getpid(), kind), hook)
    error = KeyboardInterrupt if kind == signal.SIGINT else SystemExit
    snapshots = Snapshots()
    with pytest.raises(error) as raised, callback:
        fit(
            model(),
            snapshots,
            sends,
            callback,
            batch_size=4,
            validation_batch_size=4,
            **VALIDATION,
        )
    if kind == signal.SIGTERM:
        assert raised.value.code == 128 + signal.SIGTERM
    [saved] = checkpoints(tmp_path)
    # Python runs a handler at once or a little later, not within the step.
    assert saved.step in (step, step + 1)
    if saved.step in snapshots.by_step:
        weights = mb.load(saved.path).get_weights()
        there = snapshots.by_step[saved.step]
        assert all(np.array_equal(a, b) for a, b in zip(weights, there, strict=True))
    assert signal.getsignal(kind) is before


def test_a_second_signal_leaves_at_once(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    callback = mb.ModelCheckpoint(tmp_path)
    with pytest.raises(KeyboardInterrupt), callback:
        fit(model(), At(4, twice), callback, batch_size=4)
    # There was no time to save.
    assert not checkpoints(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_that_was_there_before_is_called(tmp_path):
    called = []
    previous = signal.signal(signal.SIGTERM, lambda *_: called.append(1))
    try:
        callback = mb.ModelCheckpoint(tmp_path)
        sends = At(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit), callback:
            fit(model(), sends, callback)
        assert called == [1]
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_outside_of_fit_a_signal_acts_at_once_and_afterwards_as_before(tmp_path):
    with pytest.raises(KeyboardInterrupt), mb.ModelCheckpoint(tmp_path):
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not tmp_path.joinpath("checkpoints").exists()


@pytest.mark.skipif(BACKEND != "torch", reason="one backend is enough for a thread")
def test_in_another_thread_no_handler_is_installed(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def train():
        with mb.ModelCheckpoint(tmp_path) as callback:
            seen.append(signal.getsignal(signal.SIGINT))
            fit(model(), callback, epochs=1)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [before]
    assert len(checkpoints(tmp_path)) == 1


def test_a_checkpoint_can_be_asked_for_and_stays(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path, SCORE, save_last=False)
    asks = At(4, callback.save)
    says = Says(score=[0.1, 0.5, 0.3])
    fit(model(), says, asks, callback, epochs=3, batch_size=4)
    found = checkpoints(tmp_path)
    assert [one.step for one in found] == [3, 16]
    assert found[0].extra["asked"]
    made = callback.model
    made.train_on_batch(X, Y)
    callback.save()
    assert checkpoints(tmp_path)[-1].step == 25


def test_a_file_can_ask_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr("multiback.checkpoint.choosing.triggers._LOOK_SECONDS", 0.0)
    callback = mb.ModelCheckpoint(tmp_path, save_last=False, keep=[mb.Every(epochs=9)])
    asks = At(4, (tmp_path / "save-now").touch)
    fit(model(), callback, asks, epochs=2, batch_size=4)
    assert [one.step for one in checkpoints(tmp_path)] == [4]
    assert not (tmp_path / "save-now").exists()


def test_a_loop_of_ones_own_is_saved_on_an_error_too(tmp_path):
    made = model()

    def train():
        with mb.Checkpointer(tmp_path, SCORE) as ckpt:
            made.train_on_batch(X, Y)
            ckpt.step(made, {"score": 1.0})
            made.train_on_batch(X, Y)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert [one.step for one in checkpoints(tmp_path)] == [1, 2]
    assert mb.load_last(tmp_path).optimizer.iterations.numpy() == 2
