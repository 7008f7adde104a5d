"""What a resumed training takes up beside the model, each thing at its moment."""

import json
import random
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from support.backends import BACKEND
from support.fitting.problem import VALIDATION, Says, X, fit, model, telling, warns

import multiback as mb
from multiback.checkpoint.fit.generators import generator_states, restore_generators
from multiback.errors import ArgumentError, RestoreWarning, StateError
from multiback.store import RunDirectory

SCORE = mb.Monitor("score", mode="max", early=False)


def draws():
    """Draw from every global generator."""
    drawn = [random.random(), random.gauss(0, 1), *np.random.normal(size=3)]  # noqa: NPY002 - the global one
    drawn.append(float(keras.random.uniform(())))
    if BACKEND == "torch":
        import torch

        drawn.append(float(torch.rand(())))
    return drawn


def test_every_global_generator_continues_where_it_was():
    draws()
    # An odd number of normal draws leaves one in store.
    random.gauss(0, 1)
    states = generator_states()
    first = draws()
    restore_generators(states)
    assert draws() == first
    keras.utils.set_random_seed(1)
    restore_generators(states)
    assert draws() == first


def test_saving_draws_nothing(tmp_path):
    keras.utils.set_random_seed(9)
    made = model()
    random.seed(4)
    fit(made, epochs=1, shuffle=False)
    expected = random.random()
    made = model()
    random.seed(4)
    callback = mb.ModelCheckpoint(tmp_path)
    fit(made, callback, epochs=1, shuffle=False)
    assert random.random() == expected


def test_the_history_continues_with_its_epochs(tmp_path):
    fit(model(), mb.ModelCheckpoint(tmp_path), epochs=2, **VALIDATION)
    resumed = mb.ModelCheckpoint(tmp_path, resume="must")
    history = fit(model(), resumed, epochs=4, **VALIDATION)
    whole = fit(model(), epochs=4, **VALIDATION)
    assert history.epoch == [0, 1, 2, 3]
    assert history.history == whole.history


def trainer_of(callback):
    return json.loads((Path(callback.last_model_path) / "trainer.json").read_text())


def test_a_checkpoint_does_not_grow_with_the_epochs(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path, save_top_k=-1)
    fit(model(), callback, epochs=3, **VALIDATION)
    sizes = [
        (one / "trainer.json").stat().st_size
        for one in sorted((tmp_path / "checkpoints").iterdir())
    ]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) < 40
    assert set(trainer_of(callback)["history"]) == {"records", "checksum"}


def test_the_history_of_a_run_that_was_resumed_twice_is_whole(tmp_path):
    """With an epoch that was lost, and repeated, in between."""
    every = mb.ModelCheckpoint(tmp_path, save_top_k=-1)
    fit(model(), every, epochs=2, **VALIDATION)
    run = RunDirectory(tmp_path)
    newest = run.checkpoints()[-1]
    shutil.rmtree(newest.path)
    for epochs in (3, 4):
        callback = mb.ModelCheckpoint(tmp_path, resume="must")
        history = fit(model(), callback, epochs=epochs, **VALIDATION)
    whole = fit(model(), epochs=4, **VALIDATION)
    assert history.epoch == [0, 1, 2, 3]
    assert history.history == whole.history
    assert trainer_of(callback)["history"]["records"] == 5


def test_a_history_from_another_run_stays_with_the_new_one(tmp_path):
    first = mb.ModelCheckpoint(tmp_path / "first")
    fit(model(), first, epochs=2, **VALIDATION)
    second = mb.ModelCheckpoint(tmp_path / "second", resume=first.last_model_path)
    fit(model(), second, epochs=3, **VALIDATION)
    shutil.rmtree(tmp_path / "first")
    assert trainer_of(second)["history"]["records"] == 1
    third = mb.ModelCheckpoint(tmp_path / "second", resume="must")
    history = fit(model(), third, epochs=4, **VALIDATION)
    whole = fit(model(), epochs=4, **VALIDATION)
    assert history.history == whole.history


def test_what_a_callback_behind_added_stays_in_the_history(tmp_path):
    """But for the last epoch, to which it adds after it is saved."""

    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["added"] = float(epoch)

    for epochs, resume in ((3, "never"), (4, "must")):
        callback = mb.ModelCheckpoint(tmp_path, resume=resume)
        history = fit(model(), callback, Adds(), epochs=epochs)
    assert history.history["added"] == [0.0, 1.0, 3.0]


def test_a_history_without_its_records_begins_again_and_says_so(tmp_path):
    fit(model(), mb.ModelCheckpoint(tmp_path), epochs=2)
    (tmp_path / "history.jsonl").unlink()
    resumed = mb.ModelCheckpoint(tmp_path, resume="must")
    with pytest.raises(RestoreWarning, match=r"history.jsonl does not have the epochs"):
        fit(model(), resumed, epochs=3)


def test_a_run_that_is_done_says_so_and_a_later_fit_trains(tmp_path):
    made = model()
    callback = mb.ModelCheckpoint(tmp_path, resume="auto")
    whole = fit(made, callback, epochs=2).history
    with warns(r"Nothing is left.*2 epochs.*fit\(epochs=2\).*larger epochs="):
        again = fit(made, callback, epochs=2)
    assert again.history == whole
    assert fit(made, epochs=2).epoch == [0, 1]
    assert fit(made, callback, epochs=3).epoch == [0, 1, 2]
    assert made.optimizer.iterations.numpy() == 6
    assert fit(made, epochs=2).epoch == [0, 1]


def test_the_history_of_epochs_without_validation_has_its_gaps(tmp_path):
    arguments = {"validation_freq": 2, **VALIDATION}
    fit(model(), mb.ModelCheckpoint(tmp_path), epochs=3, **arguments)
    resumed = mb.ModelCheckpoint(tmp_path, resume="must")
    history = fit(model(), resumed, epochs=4, **arguments).history
    assert len(history["loss"]) == 4
    assert len(history["val_loss"]) == 2


def test_early_stopping_waits_on_and_keeps_its_best_weights(tmp_path):
    def stopping():
        return keras.callbacks.EarlyStopping(
            "score", mode="max", patience=2, restore_best_weights=True
        )

    says = Says(score=[0.9, 0.8, 0.7, 0.6, 0.5])
    first = stopping()
    made = model()
    fit(
        made,
        says,
        first,
        mb.ModelCheckpoint(tmp_path, SCORE, callbacks=[first]),
        epochs=2,
    )
    second = stopping()
    resumed = mb.ModelCheckpoint(tmp_path, SCORE, resume="must", callbacks=[second])
    again = model()
    assert fit(again, says, second, resumed, epochs=9).epoch == [0, 1, 2]
    for here, there in zip(again.get_weights(), first.best_weights, strict=True):
        np.testing.assert_array_equal(here, there)

    # What was stopped stays stopped.
    third = stopping()
    resumed = mb.ModelCheckpoint(tmp_path, SCORE, resume="must", callbacks=[third])
    with warns("was stopped after epoch 3, and stays so"):
        assert fit(model(), says, third, resumed, epochs=9).epoch == [0, 1, 2]


class Fails(keras.callbacks.Callback):
    """End the training before an epoch."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        if epoch == self.at:
            raise ZeroDivisionError


def test_averaged_weights_that_are_swapped_in_at_each_epoch_resume_exactly(tmp_path):
    def train(folder, fails_at=None):
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        callback = mb.ModelCheckpoint(folder, resume="auto", callbacks=[swap])
        made = model(optimizer=keras.optimizers.Adam(0.1, use_ema=True))
        history = fit(made, swap, callback, Fails(fails_at), epochs=4, **VALIDATION)
        return history.history, made.get_weights()

    whole, weights = train(tmp_path / "whole")
    # In its very last epoch Keras throws the raw weights away.
    with pytest.raises(ZeroDivisionError):
        train(tmp_path / "parts", fails_at=2)
    parts, again = train(tmp_path / "parts")
    assert parts == whole
    for here, there in zip(again, weights, strict=True):
        np.testing.assert_array_equal(here, there)


def test_settings_belong_to_the_program_not_to_the_checkpoint(tmp_path):
    first = keras.callbacks.ReduceLROnPlateau("score", mode="max", min_delta=0.5)
    says = Says(score=[0.1, 0.2, 0.3])
    callback = mb.ModelCheckpoint(tmp_path, SCORE, callbacks=[first])
    fit(model(), says, first, callback, epochs=2)
    second = keras.callbacks.ReduceLROnPlateau("score", mode="max", min_delta=0.01)
    resumed = mb.ModelCheckpoint(tmp_path, SCORE, resume="must", callbacks=[second])
    fit(model(), says, second, resumed, epochs=3)
    assert (second.min_delta, second.best, second.wait) == (0.01, 0.3, 0)


class Counter(keras.callbacks.Callback):
    """A callback of the user's own that can be saved."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.table = np.zeros(2)

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.seen.append(epoch)
        self.table += 1

    def get_state(self):
        return {"seen": self.seen, "table": self.table}

    def set_state(self, state):
        self.seen = list(state["seen"])
        self.table = state["table"]


def test_any_callback_with_get_state_and_set_state_is_kept(tmp_path):
    first = Counter()
    fit(model(), first, mb.ModelCheckpoint(tmp_path, callbacks=[first]), epochs=2)
    second = Counter()
    resumed = mb.ModelCheckpoint(tmp_path, resume="must", callbacks=[second])
    fit(model(), second, resumed, epochs=3)
    assert second.seen == [0, 1, 2]
    assert second.table.tolist() == [3, 3]


def test_a_callback_that_cannot_be_kept_or_stands_behind_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"a TerminateOnNaN.*get_state\(\)"):
        mb.ModelCheckpoint(tmp_path, callbacks=[keras.callbacks.TerminateOnNaN()])
    behind = Counter()
    callback = mb.ModelCheckpoint(tmp_path, callbacks=[behind])
    for wrong in ([callback, behind], [callback]):
        with pytest.raises(ArgumentError, match="does not stand before"):
            fit(model(), *wrong, epochs=1)
    fit(model(), behind, callback, epochs=1)
    with pytest.raises(ArgumentError, match="does not stand before"):
        fit(model(), callback, behind, epochs=1)


def test_other_callbacks_than_were_saved_are_an_error(tmp_path):
    first = Counter()
    fit(model(), first, mb.ModelCheckpoint(tmp_path, callbacks=[first]), epochs=1)
    stopping = keras.callbacks.EarlyStopping("loss")
    resumed = mb.ModelCheckpoint(tmp_path, resume="must", callbacks=[stopping])
    with pytest.raises(StateError, match=r"names \['EarlyStopping'\].*\['Counter'\]"):
        fit(model(), stopping, resumed, epochs=2)


def test_a_path_starts_a_new_run_from_there(tmp_path):
    says = Says(score=[0.9, 0.8, 0.7, 0.6])
    first = mb.ModelCheckpoint(tmp_path, SCORE, keep=[mb.All()])
    fit(model(), says, first, epochs=3)
    branch = mb.ModelCheckpoint(tmp_path, SCORE, resume=first.best_model_path)
    made = model()
    assert fit(made, says, branch, epochs=3).epoch == [0, 1, 2]
    assert branch.run_id != first.run_id
    assert branch.best_model_score == 0.8
    assert made.optimizer.iterations.numpy() == 6
    assert len(RunDirectory(tmp_path).checkpoints(first.run_id)) == 3
    elsewhere = mb.ModelCheckpoint(tmp_path / "b", SCORE, resume=tmp_path / "best")
    fit(model(), says, elsewhere, epochs=3)
    assert elsewhere.best_model_score == 0.7
    with pytest.raises(ArgumentError, match="resume= wants"):
        mb.ModelCheckpoint(tmp_path, SCORE, resume=tmp_path / "nowhere")


def test_the_record_of_a_run_has_each_epoch_once_as_it_was_lived(tmp_path):
    keep = {"keep": [mb.Every(epochs=2)]}
    fit(
        model(),
        Says(score=[0.1, 0.2, 0.3]),
        mb.ModelCheckpoint(tmp_path, SCORE, **keep),
        epochs=3,
    )
    resumed = mb.ModelCheckpoint(tmp_path, SCORE, resume="must", **keep)
    fit(model(), Says(score=[0, 0, 0.9, 0.8]), resumed, epochs=4)
    found = [(one["epoch"], one["step"], one["score"]) for one in mb.history(tmp_path)]
    assert found == [(1, 2, 0.1), (2, 4, 0.2), (3, 6, 0.9), (4, 8, 0.8)]
    [run] = {one["run_id"] for one in mb.history(tmp_path)}
    assert mb.history(tmp_path, run=run) == mb.history(tmp_path)
    with pytest.raises(ArgumentError, match=f"'other'. There are, .* first: {run}"):
        mb.history(tmp_path, run="other")
    # A run that has measured nothing yet is one all the same.
    RunDirectory(tmp_path).start_run("young", {})
    assert mb.history(tmp_path, run="young") == []
    RunDirectory(tmp_path).end_run("young")


def test_a_monitor_that_is_new_ranks_old_checkpoints_the_right_way_round(tmp_path):
    metric = keras.metrics.FalsePositives(name="accuracy")
    first = mb.ModelCheckpoint(tmp_path, "loss", keep=[mb.All()])
    fit(model(metric), first, epochs=2)
    metric = keras.metrics.FalsePositives(name="accuracy")
    second = mb.ModelCheckpoint(
        tmp_path, "accuracy", resume="must", keep=[mb.All(), mb.Best("accuracy", 3)]
    )
    history = fit(model(metric), second, epochs=3).history["accuracy"]
    assert list(second.best_k_models.values()) == sorted(history)


def test_a_step_clock_continues_over_a_resume(tmp_path):
    arguments = {"every_n_train_steps": 5, "keep": [mb.All()]}
    first = mb.ModelCheckpoint(tmp_path, **arguments)
    fit(model(), first, epochs=1, batch_size=4)
    resumed = mb.ModelCheckpoint(tmp_path, resume="must", **arguments)
    fit(model(), resumed, epochs=2, batch_size=4)
    steps = [one.step for one in RunDirectory(tmp_path).checkpoints()]
    assert steps == [5, 8, 10, 15, 16]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="others shuffle by NumPy or torch")
def test_tensorflow_without_a_seed_says_that_it_is_not_exact(tmp_path, monkeypatch):
    fit(model(), mb.ModelCheckpoint(tmp_path), epochs=1)
    monkeypatch.setattr("multiback.checkpoint.fit.resuming.is_seeded", lambda: False)
    with warns("not bit-exact"):
        fit(model(), mb.ModelCheckpoint(tmp_path, resume="must"), epochs=2)


def test_steps_per_epoch_without_named_data_says_that_it_is_not_exact(tmp_path):
    fit(model(), mb.ModelCheckpoint(tmp_path), epochs=1, steps_per_epoch=1)
    with warns(r"not bit-exact: with fit\(steps_per_epoch"):
        again = mb.ModelCheckpoint(tmp_path, resume="must")
        fit(model(), again, epochs=2, steps_per_epoch=1)


@pytest.mark.parametrize("use_ema", [False, True])
def test_the_best_weights_come_back_at_the_end_the_ones_that_were_scored(
    tmp_path, use_ema
):
    class Weights(keras.callbacks.Callback):
        by_epoch: dict = {}  # noqa: RUF012 - one test, one fit

        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            self.by_epoch[epoch] = [w.copy() for w in self.model.get_weights()]

    made = model(optimizer=keras.optimizers.Adam(0.1, use_ema=use_ema))
    callback = mb.ModelCheckpoint(tmp_path, SCORE, restore_best=True)
    weights = Weights()
    fit(made, Says(score=[0.1, 0.9, 0.2]), weights, callback)
    for here, there in zip(made.get_weights(), weights.by_epoch[1], strict=True):
        np.testing.assert_array_equal(here, there)
    assert made.optimizer.iterations.numpy() == 4
    best = mb.load_best(tmp_path).predict(X, verbose=0)
    np.testing.assert_allclose(made.predict(X, verbose=0), best, atol=1e-6)


@pytest.mark.parametrize(
    ("order", "swap_on_epoch", "warned"),
    [("before", True, False), ("before", False, True), ("behind", True, True)],
)
def test_averages_that_are_scored_but_not_saved_are_reported(
    tmp_path, order, swap_on_epoch, warned
):
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
    callback = mb.ModelCheckpoint(tmp_path, "val_loss", save_top_k=-1)
    both = [swap, callback] if order == "before" else [callback, swap]
    made = model(optimizer=keras.optimizers.Adam(0.1, use_ema=True))
    with telling() as told:
        history = fit(made, *both, epochs=2, **VALIDATION).history
    assert any("are not those that are saved" in text for text in told) == warned
    # Does what was saved give the score that it was judged by?
    first = RunDirectory(tmp_path).checkpoints()[0]
    score = mb.load(first.path).evaluate(*VALIDATION["validation_data"], verbose=0)
    same = abs(score - history["val_loss"][0]) < 1e-6
    assert same != warned


def test_without_a_best_checkpoint_the_model_stays_and_a_warning_says_so(tmp_path):
    made = model()
    callback = mb.ModelCheckpoint(tmp_path, SCORE, restore_best=True)
    with telling() as told:
        fit(made, Says(score=[float("nan")] * 3), callback)
    assert any("found no best" in text for text in told)
    assert made.optimizer.iterations.numpy() == 6
