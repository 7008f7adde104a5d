"""A model, its data and its state as bytes: for the children that train together."""

import json
from pathlib import Path

import keras
import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def network(*, compiled=True):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu", name="wide"),
            keras.layers.Dropout(0.1, seed=3),
            keras.layers.Dense(4, activation="relu", name="narrow"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    if compiled:
        model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
        model.optimizer.build(model.trainable_variables)
    return model


def state_of(model):
    """Return every variable but metrics, as hexadecimal bytes, in order."""
    held = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
    metrics = {id(v) for v in model.metrics_variables}
    return [
        np.asarray(v.numpy()).tobytes().hex()
        for key, v in held.items()
        if key not in metrics
    ]


def numbers_of(model):
    """Return the same as numbers: the backends keep seeds in other integers."""
    held = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
    metrics = {id(v) for v in model.metrics_variables}
    return [
        np.asarray(v.numpy()).astype("float64").tolist()
        for key, v in held.items()
        if key not in metrics
    ]


def bytes_read():
    """Return how many bytes this process has read so far, from whatever file."""
    [line] = [
        one
        for one in Path("/proc/self/io").read_text().splitlines()
        if one.startswith("rchar:")
    ]
    return int(line.split()[1])


def tell(**facts):
    """Print facts for `support.children.Child.told`."""
    print("TOLD " + json.dumps(facts), flush=True)
