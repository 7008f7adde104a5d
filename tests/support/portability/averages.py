"""What `mb.average` wrote predicts the same under another backend."""

from pathlib import Path

import keras
import numpy as np

import multiback as mb

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")


def write(run):
    """Save three checkpoints and average them."""
    rng = np.random.default_rng(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    with mb.Checkpointer(run, "f1", mode="max", save_top_k=3) as checkpointer:
        for score in (0.5, 0.7, 0.6):
            drawn = [abs(rng.normal(size=w.shape)) for w in model.get_weights()]
            model.set_weights(drawn)
            checkpointer.step(model, {"f1": score})
    path = mb.average(run, k=3, data=x)
    Path(run, "where").write_text(path)
    np.save(Path(run, "expected.npy"), mb.load(path).predict(x, verbose=0))


def load(run):
    """Load the average, and compare what it predicts."""
    model = mb.load(Path(run, "where").read_text())
    expected = np.load(Path(run, "expected.npy"))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
