"""A training that leaves no checkpoint, or none that is best, says why at its end."""

import keras
import pytest
from support.fitting.problem import VALIDATION, Says, fit, model, telling

import multiback as mb


def by(quantity="score", **arguments):
    return mb.Monitor(quantity, mode="max", early=False, **arguments)


def updates(loaded):
    return int(keras.ops.convert_to_numpy(loaded.optimizer.iterations))


def trained(folder, monitor, *callbacks, epochs=3, logs=(0.1, 0.9, 0.2), **arguments):
    """Fit once; return the callback, the epochs on the disk and the warnings."""
    in_fit = {k: arguments.pop(k) for k in ("validation_freq",) if k in arguments}
    if in_fit:
        in_fit |= VALIDATION
    callback = mb.ModelCheckpoint(folder, monitor, **arguments)
    with telling() as texts:
        says = Says(score=logs)
        fit(model(), says, callback, *callbacks, epochs=epochs, **in_fit)
    found = mb.store.open_run_directory(folder).checkpoints()
    return callback, [one.epoch for one in found], texts


def test_the_newest_state_is_kept_where_training_ends_between_two_scores(tmp_path):
    callback, epochs, texts = trained(tmp_path, by(), every_n_epochs=2)
    assert (epochs, texts) == ([2, 3], [])
    assert callback.best_model_score == 0.9
    assert "epoch=003-step=6-" in callback.last_model_path
    assert updates(mb.load_last(tmp_path)) == 6
    # A resume continues after it.
    callback, epochs, _ = trained(
        tmp_path, by(), epochs=4, logs=[0, 0, 0, 0.95], every_n_epochs=2, resume="must"
    )
    assert epochs == [4]
    assert [one["epoch"] for one in mb.history(tmp_path)] == [1, 2, 3, 4]


class Stops(keras.callbacks.Callback):
    """Stop the training after its third epoch."""

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.model.stop_training = epoch == 2


@pytest.mark.parametrize("place", [0, 1])
def test_the_newest_state_is_kept_where_another_callback_stops(tmp_path, place):
    callback = mb.ModelCheckpoint(tmp_path, by(), every_n_epochs=2)
    both = [callback]
    both.insert(place, Stops())
    fit(model(), Says(score=[0.1, 0.9, 0.2]), *both, epochs=9)
    assert "epoch=003-step=6-" in callback.last_model_path
    assert updates(mb.load_last(tmp_path)) == 6


def test_no_scored_epoch_gives_a_warning_and_the_newest_state(tmp_path):
    _, epochs, [text] = trained(tmp_path, by(), every_n_epochs=5)
    assert epochs == [3]
    assert text == (
        "There is no best checkpoint: every_n_epochs=5 scored no epoch, as training "
        "ended after epoch 3. Give a smaller every_n_epochs=."
    )


def test_nothing_saved_gives_a_warning(tmp_path):
    _, epochs, [text] = trained(tmp_path, by(), every_n_epochs=5, save_last=False)
    assert epochs == []
    assert text == (
        "Nothing was saved: every_n_epochs=5 scored no epoch, as training ended after "
        "epoch 3. Give a smaller every_n_epochs=, or save_last=True."
    )


def test_without_a_monitor_nothing_is_missing(tmp_path):
    _, epochs, texts = trained(tmp_path, None, every_n_epochs=5)
    assert (epochs, texts) == ([3], [])


def test_a_name_that_is_logged_in_other_epochs_only_gives_a_warning(tmp_path):
    _, epochs, [text] = trained(
        tmp_path, "val_loss", every_n_epochs=2, validation_freq=[1, 3], epochs=4
    )
    assert epochs == [4]
    assert text == (
        "There is no best checkpoint: every_n_epochs=2 scored no epoch with a value of "
        "'val_loss'. Let validation_freq= and every_n_epochs= meet in one epoch."
    )


@pytest.mark.parametrize(
    ("monitor", "cure"),
    [
        (by("score", where="score > 1"), "Change where="),
        (by(lambda logs: None), "Let the function return a number"),  # noqa: ARG005 - it ignores them
    ],
)
def test_a_monitor_without_a_value_gives_a_warning(tmp_path, monitor, cure):
    _, _, [text] = trained(tmp_path, monitor)
    assert "so there is no best checkpoint" in text
    assert cure in text


def test_a_score_that_was_nan_gives_one_warning(tmp_path):
    _, _, [text] = trained(tmp_path, by(), logs=[float("nan")] * 3)
    assert "is NaN" in text


def test_a_resumed_run_has_its_best_of_before(tmp_path):
    trained(tmp_path, by())
    _, epochs, texts = trained(
        tmp_path, by(), epochs=4, every_n_epochs=9, resume="must"
    )
    assert (epochs, texts) == ([2, 4], [])
