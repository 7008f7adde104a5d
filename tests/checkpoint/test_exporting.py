"""The file for plain Keras that the end of `fit` leaves behind."""

import errno
import functools
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from support.backends import BACKEND
from support.fitting.problem import VALIDATION, Says, X, fit, model, warns

import multiback as mb
from multiback.checkpoint.loading import export as exporting
from multiback.errors import NoDirectorySyncWarning
from multiback.store import Files

SCORE = mb.Monitor("score", mode="max", early=False)

READER = """
import sys
import numpy as np
import keras
model = keras.saving.load_model(sys.argv[1])
assert "multiback" not in sys.modules
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


def test_plain_keras_reads_the_best_model_without_multiback(tmp_path):
    # A metric of ours in compile() is no hindrance.
    made = model(mb.metrics.F1Score())
    ckpt = mb.ModelCheckpoint(tmp_path / "run", SCORE)
    fit(made, Says(score=[0.1, 0.9, 0.5]), ckpt, **VALIDATION)
    np.save(tmp_path / "x.npy", X)
    paths = [tmp_path / "run" / "best.keras", tmp_path / "x.npy", tmp_path / "y.npy"]
    subprocess.run(
        [sys.executable, "-c", READER, *map(str, paths)],
        check=True,
        cwd="/",
        env={**os.environ, "KERAS_BACKEND": BACKEND},
    )
    wanted = mb.load_best(tmp_path / "run").predict(X, verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), wanted)
    assert not np.array_equal(wanted, made.predict(X, verbose=0))


class Own(keras.layers.Dense):
    """A layer that is not registered."""


def test_a_layer_of_the_programs_own_needs_no_registration_to_be_exported(tmp_path):
    made = keras.Sequential([keras.Input((4,)), Own(1, activation="sigmoid")])
    made.compile("adam", "binary_crossentropy", jit_compile=False)
    fit(made, Says(score=[0.1]), mb.ModelCheckpoint(tmp_path, SCORE), epochs=1)
    again = keras.saving.load_model(
        tmp_path / "best.keras", custom_objects={"Own": Own}
    )
    np.testing.assert_array_equal(again.get_weights()[0], made.get_weights()[0])


def test_without_the_file_nothing_is_paid(tmp_path, monkeypatch):
    monkeypatch.setattr("multiback.checkpoint.callback.write_best", None)
    ckpt = mb.ModelCheckpoint(tmp_path, SCORE, export_best=False)
    fit(model(), Says(score=[0.1]), ckpt, epochs=1)
    last = mb.ModelCheckpoint(tmp_path)
    fit(model(), last, epochs=1)
    assert not (tmp_path / "best.keras").exists()


def test_a_file_that_cannot_be_written_costs_a_warning_and_not_the_old_one(
    tmp_path, monkeypatch
):
    fit(model(), Says(score=[0.1]), mb.ModelCheckpoint(tmp_path, SCORE), epochs=1)
    before = (tmp_path / "best.keras").read_bytes()

    def full(_, path):
        path.write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(exporting, "write_keras_file", full)
    ckpt = mb.ModelCheckpoint(tmp_path, SCORE)
    with warns("best.keras could not be written .*load_best"):
        fit(model(), Says(score=[0.2]), ckpt, epochs=1)
    assert ckpt.best_model_score == 0.2
    assert (tmp_path / "best.keras").read_bytes() == before
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_mount_that_cannot_fsync_directories_gets_the_file_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(Files, "sync_directory", refuse)
    with warnings.catch_warnings():
        # Any other warning is an error.
        warnings.simplefilter("ignore", NoDirectorySyncWarning)
        fit(model(), Says(score=[0.1]), mb.ModelCheckpoint(tmp_path, SCORE), epochs=1)
    assert (tmp_path / "best.keras").is_file()


def test_what_cannot_be_saved_is_reported_before_the_first_step(tmp_path):
    class Stops(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            raise ZeroDivisionError

    made = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(lambda x: x), keras.layers.Dense(1)]
    )
    made.compile("adam", "mse", jit_compile=False)
    with warns("holds a lambda"), pytest.raises(ZeroDivisionError):
        fit(made, mb.ModelCheckpoint(tmp_path / "lambda"), Stops())
    made = model(functools.partial(keras.metrics.binary_accuracy, threshold=0.3))
    with warns("was compiled could not be written"), pytest.raises(ZeroDivisionError):
        fit(made, mb.ModelCheckpoint(tmp_path / "partial"), Stops())
