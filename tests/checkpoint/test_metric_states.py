"""At an epoch's end metrics are left out: Keras resets them before the next."""

import keras
import numpy as np
import pytest
from support.fitting.problem import VALIDATION, X, Y, fit, model

import multiback as mb
from multiback.store import open_run_directory


def groups(run):
    """Return which groups of variables each checkpoint of a run has."""
    found = open_run_directory(run).checkpoints()
    return [{one["group"] for one in c.document("variables")} for c in found]


def scored():
    """A model with a metric whose state is larger than the model."""
    return model(mb.metrics.AUROC(), "accuracy")


def test_an_epoch_s_end_leaves_the_metrics_out_and_a_step_keeps_them(tmp_path):
    keep = mb.ModelCheckpoint(
        tmp_path, "val_auroc", keep=[mb.All()], every_n_train_steps=1
    )
    fit(scored(), keep, epochs=1, **VALIDATION)
    in_the_middle, at_the_end = groups(tmp_path)
    assert "metrics" in in_the_middle
    assert "metrics" not in at_the_end
    assert at_the_end >= {"weights", "optimizer"}


def test_a_loop_of_the_user_keeps_them(tmp_path):
    made = scored()
    fit(made, epochs=1)
    with mb.Checkpointer(tmp_path) as ckpt:
        ckpt.step(made, {}, epoch=1)
    assert "metrics" in groups(tmp_path)[0]


def test_an_error_after_the_last_batch_keeps_them(tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            if batch == 1:
                raise ZeroDivisionError

    keep = mb.ModelCheckpoint(tmp_path)
    with pytest.raises(ZeroDivisionError), keep:
        fit(scored(), keep, Fails(), epochs=1)
    assert "metrics" in groups(tmp_path)[-1]


class Kill(keras.callbacks.Callback):
    """Raise in a later epoch, or in the middle of it."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        if (self.epoch, batch) == self.at:
            raise ZeroDivisionError


@pytest.mark.parametrize("batch", [0, 1])
def test_a_resume_from_either_is_the_run_that_was_not_stopped(tmp_path, batch):
    def run(folder, *callbacks, **arguments):
        data = mb.data.Resumable(X[:32], Y[:32], batch_size=16, seed=3)
        keep = mb.ModelCheckpoint(folder, data=data, **arguments)
        made = scored()
        with keep:
            history = made.fit(
                data, epochs=3, verbose=0, callbacks=[keep, *callbacks], **VALIDATION
            )
        return made, history.history

    whole, expected = run(tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "run", Kill(1, batch))
    resumed, history = run(tmp_path / "run", resume="auto")
    assert history == expected
    for one, two in zip(resumed.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
