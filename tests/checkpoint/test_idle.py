"""A hook that does not save costs nothing; benchmarks/hooks.py has the figures."""

import keras
from support.fitting.problem import VALIDATION, fit, model

import multiback as mb


class Counted(mb.ModelCheckpoint):
    """Count how often the model is asked for: on JAX that syncs the state."""

    touched = 0

    @property
    def model(self):
        self.touched += 1
        return super().model


def touches(folder, batch_size):
    callback = Counted(folder, "val_loss", every_n_train_steps=10**6)
    arguments = {"batch_size": batch_size, "validation_batch_size": batch_size}
    fit(model(), callback, epochs=1, **arguments, **VALIDATION)
    return callback.touched


def test_the_model_is_not_touched_in_batches_that_save_nothing(tmp_path):
    few, many = touches(tmp_path / "a", 16), touches(tmp_path / "b", 2)
    assert few == many > 0


def test_no_hook_of_ours_runs_where_the_state_may_be_gone():
    """After a batch JAX's state was deleted, and torch's was of another step.

    `on_train_batch_end` counts the batch, which the test above lets touch nothing.
    """
    for name in ("on_batch_end", "on_batch_begin"):
        ours = getattr(mb.ModelCheckpoint, name)
        assert ours is getattr(keras.callbacks.Callback, name)
    assert not getattr(mb.ModelCheckpoint, "async_safe", False)
