"""The process that test_exact_resume.py kills: everything random, all of it seeded.

Its `main` takes RUN RESULT EPOCHS KILL_AT: with KILL_AT above 0 it kills
itself before that batch, counted over all epochs of its life; otherwise it trains to
the end and writes all that there is to compare to RESULT, with how many batches it
took. It saves after every second batch and after each epoch of six.
"""

import json
import os
import random
import signal
from pathlib import Path

import keras
import numpy as np

import multiback as mb

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("float32")


class Dies(keras.callbacks.Callback):
    """Kill the own process before a batch.

    At an even number it first waits for the checkpoints that are being written, so that
    the next life starts in the middle of an epoch.
    """

    def __init__(self, at, checkpoint):
        super().__init__()
        self.at, self.checkpoint = at, checkpoint
        self.begun = 0

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.begun += 1
        if self.begun == self.at:
            if self.at % 2 == 0:
                self.checkpoint.wait()
            os.kill(os.getpid(), signal.SIGKILL)


class Noise(keras.callbacks.Callback):
    """Draw from every global generator, into the history."""

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        drawn = keras.random.uniform(()), np.random.rand(), random.random()  # noqa: NPY002 - the global one
        logs["drawn"] = sum(map(float, drawn))


@keras.saving.register_keras_serializable("tests")
class Extra(keras.layers.Layer):
    """A layer with a state that Keras keeps in no variable, and with a vocabulary."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.state, self.words = np.zeros(3, "float32"), []

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["state"] = self.state

    def load_own_variables(self, store):
        self.state = np.asarray(store["state"])

    def save_assets(self, folder):
        Path(folder, "words.txt").write_text("\n".join(self.words))

    def load_assets(self, folder):
        self.words = Path(folder, "words.txt").read_text().splitlines()


class Second(keras.callbacks.Callback):
    """Step a second optimizer after each batch, on numbers that the layer keeps."""

    def __init__(self, layer, optimizer):
        super().__init__()
        self.layer = layer
        self.numbers = keras.Variable(layer.state, name="numbers")
        optimizer.build([self.numbers])

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.numbers.assign(self.layer.state)
        slope = keras.ops.cos(self.numbers + float(len(self.layer.words)))
        self.model.second.apply([slope], [self.numbers])
        self.layer.state = keras.ops.convert_to_numpy(self.numbers)
        self.layer.words.append(f"word {len(self.layer.words)}")


def main(run, result, epochs, kill_at):
    keras.utils.set_random_seed(5)
    extra = Extra()
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu", dtype="mixed_float16"),
            extra,
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.second = keras.optimizers.Adam(0.01)
    model.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05, use_ema=True)),
        "binary_crossentropy",
        metrics=["accuracy", mb.metrics.F1Score()],
        # Without, on JAX the loss scale compiles a branch in each step and keeps it.
        jit_compile=keras.backend.backend() == "jax",
    )
    other_callbacks = [
        keras.callbacks.LearningRateScheduler(lambda _, rate: 0.9 * rate),
        # Their best is a draw of long ago: only their saved state knows it.
        keras.callbacks.ReduceLROnPlateau("drawn", mode="max", patience=1),
        keras.callbacks.EarlyStopping(
            "drawn", mode="max", patience=1000, restore_best_weights=True
        ),
    ]
    data = mb.data.Resumable(X[:48], Y[:48], batch_size=8, seed=5)
    checkpoint = mb.ModelCheckpoint(
        run,
        "val_f1_score",
        every_n_train_steps=2,
        resume="auto",
        callbacks=other_callbacks,
        data=data,
    )
    dies = Dies(int(kill_at), checkpoint)
    second = Second(extra, model.second)
    history = model.fit(
        data,
        epochs=int(epochs),
        verbose=0,
        validation_data=(X[48:], Y[48:]),
        callbacks=[Noise(), second, *other_callbacks, checkpoint, dies],
    )
    found = {
        "epochs": history.epoch,
        "history": history.history,
        "weights": [weight.tolist() for weight in model.get_weights()],
        "optimizer": [v.numpy().tolist() for v in model.optimizer.variables],
        "second": [v.numpy().tolist() for v in model.second.variables],
        "extra": [extra.state.tolist(), extra.words],
        "best": [checkpoint.best_model_score, Path(checkpoint.best_model_path).name],
        "other_callbacks": [[s.wait, s.best] for s in other_callbacks[1:]],
        "record": [
            {name: one[name] for name in one if name not in ("run_id", "time")}
            for one in mb.history(run)
        ],
    }
    Path(result).write_text(json.dumps([found, dies.begun], default=float))
