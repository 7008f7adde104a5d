"""Keep the best of a TensorFlow loop of your own, written with `GradientTape`.

What people do today: `tf.train.CheckpointManager`, which keeps the newest and knows
no score; or `model.save_weights` under an `if`, without the optimizer. After a crash
the best is forgotten, and what was trained since is gone.

What to do: compile the model, so that its optimizer is saved with it; one
`ckpt.step` an epoch, inside `with ckpt:`, which saves on an error too; and
`ckpt.resume(model)`, which brings model, optimizer, epoch and best back.

    KERAS_BACKEND=tensorflow python loop_tensorflow.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
x, y = load_wine(return_X_y=True)
x, xv, y, yv = train_test_split(
    scale(x).astype("float32"), y, test_size=0.5, random_state=0, stratify=y
)


def new_model():
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((13,)), *layers])
    f1 = mb.metrics.F1Score("multiclass", num_classes=3)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[f1])
    return model


def train(run, epochs, fails_at=None):
    """Train until `epochs` are done, be it from the start or from a checkpoint."""
    model = new_model()

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        variables = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, variables), variables)

    with mb.Checkpointer(run, monitor="f1_score", resume="auto") as ckpt:
        ckpt.resume(model)
        while ckpt.epoch < epochs:
            # By the epoch, so that a resumed one sees its batches in the same order.
            order = np.random.default_rng(ckpt.epoch).permutation(len(x))
            for rows in np.array_split(order, 6):
                train_step(tf.constant(x[rows]), tf.constant(y[rows]))
                if int(model.optimizer.iterations) == fails_at:
                    raise RuntimeError("the machine gives up")
            logs = model.evaluate(xv, yv, verbose=0, return_dict=True)
            ckpt.step(model, logs)
            print(f"epoch {ckpt.epoch}: F1 {logs['f1_score']:.4f}")
    return model, ckpt


try:
    train(folder / "run", epochs=6, fails_at=21)
except RuntimeError as error:
    print(f"After 21 steps {error}.")
rescued = mb.load_last(folder / "run")
assert rescued.optimizer.iterations == 21

model, ckpt = train(folder / "run", epochs=6)
whole, other = train(folder / "whole", epochs=6)
for here, there in zip(model.get_weights(), whole.get_weights(), strict=True):
    np.testing.assert_array_equal(here, there)
assert ckpt.best_model_score == other.best_model_score
best = mb.load_best(folder / "run")
score = best.evaluate(xv, yv, verbose=0, return_dict=True)["f1_score"]
assert abs(score - ckpt.best_model_score) < 1e-6
print("Shown: the resumed run ends as one that never stopped, its best included.")
