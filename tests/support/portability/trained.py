"""What `ModelCheckpoint` wrote predicts, trains on and resumes elsewhere."""

import contextlib
import warnings
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer

import multiback as mb
from multiback.errors import SlowDiskWarning

# Warnings are errors here; how quick the disk is, is not what is tested.
warnings.filterwarnings("ignore", category=SlowDiskWarning)

x, y = load_breast_cancer(return_X_y=True)
x = ((x - x.mean(0)) / x.std(0)).astype("float32")


class Stops(keras.callbacks.Callback):
    """Count the batches; end the training before one of them."""

    def __init__(self, at=None):
        super().__init__()
        self.at = at
        self.begun = 0

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.begun += 1
        if self.begun == self.at:
            raise InterruptedError


def losses(run, *callbacks):
    """Train without anything random to the end of the third epoch of eight batches.

    The order of the data is the same under every backend.
    """
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((30,)), *layers])
    weights = np.random.default_rng(1)
    model.set_weights(
        [weights.normal(size=w.shape, scale=0.3) for w in model.get_weights()]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    data = mb.data.Resumable(x, y, batch_size=72, seed=4)
    checkpoint = mb.ModelCheckpoint(
        run, every_n_train_steps=3, resume="auto", data=data
    )
    history = model.fit(data, epochs=3, verbose=0, callbacks=[checkpoint, *callbacks])
    steps = int(model.optimizer.iterations.numpy())
    assert steps == 24
    return history.history["loss"]


def write(run):
    """Train, keep the best, and write what to expect."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((30,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(1e-2),
        "binary_crossentropy",
        metrics=[mb.metrics.F1Score(), mb.metrics.Precision(threshold=0.6)],
    )
    checkpoint = mb.ModelCheckpoint(run, monitor="val_f1_score", save_top_k=2)
    model.fit(x, y, validation_data=(x, y), epochs=4, verbose=0, callbacks=[checkpoint])
    best = mb.load_best(run)
    np.savez(
        Path(run, "expected.npz"),
        predictions=best.predict(x, verbose=0),
        score=checkpoint.best_model_score,
        iterations=int(best.optimizer.iterations.numpy()),
        losses=losses(Path(run, "whole")),
    )
    with contextlib.suppress(InterruptedError):
        losses(Path(run, "stopped"), Stops(at=13))


def load(run):
    """Load, compare, train on and resume."""
    keras.utils.set_random_seed(0)
    expected = np.load(Path(run, "expected.npz"))
    best = mb.load_best(run)
    difference = np.abs(best.predict(x, verbose=0) - expected["predictions"]).max()
    assert difference < 1e-5, difference
    plain = keras.saving.load_model(Path(run, "best.keras"))
    np.testing.assert_allclose(
        plain.predict(x, verbose=0), expected["predictions"], atol=1e-5
    )
    scores = best.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(scores["f1_score"], expected["score"], rtol=1e-6)
    iterations = int(best.optimizer.iterations.numpy())
    assert iterations == expected["iterations"] > 0
    best.fit(x, y, epochs=3, batch_size=64, verbose=0)
    trained = best.evaluate(x, y, verbose=0, return_dict=True)
    assert trained["loss"] < scores["loss"]
    steps = int(best.optimizer.iterations.numpy()) - iterations
    assert steps == 3 * -(-len(y) // 64)
    resumed = mb.ModelCheckpoint(run, "val_f1_score", resume="must")
    history = best.fit(
        x,
        y,
        validation_data=(x, y),
        epochs=5,
        verbose=0,
        callbacks=[resumed],
    )
    # One epoch was left, and the history continues from the other backend's.
    assert history.epoch == [0, 1, 2, 3, 4]
    assert resumed.best_model_score >= expected["score"]
    # In the middle of an epoch: the same batches, the averaged loss included.
    stops = Stops()
    found = losses(Path(run, "stopped"), stops)
    assert stops.begun == 12
    np.testing.assert_allclose(found, expected["losses"], atol=1e-4)
    newest = mb.history(Path(run, "stopped"))[-1]
    assert (newest["epoch"], newest["step"]) == (3, 24)
