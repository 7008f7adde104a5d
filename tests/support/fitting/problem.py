"""A small classification that trains in a moment, for tests of `fit`."""

import contextlib
import re
import warnings

import keras
import numpy as np

from multiback.errors import MultibackWarning

X = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("float32")
VALIDATION = {"validation_data": (X[32:], Y[32:])}


def model(*metrics, name=None, **arguments):
    """Make a compiled model; the same weights each time."""
    keras.utils.set_random_seed(3)
    layers = [keras.Input((4,)), keras.layers.Dense(1, "sigmoid")]
    made = keras.Sequential(layers, name=name)
    arguments = {"loss": "binary_crossentropy", "optimizer": "adam", **arguments}
    made.compile(metrics=list(metrics), jit_compile=False, **arguments)
    return made


def fit(made, *callbacks, epochs=3, **arguments):
    """Train for a few epochs of two steps."""
    arguments = {"batch_size": 16, "verbose": 0, **arguments}
    return made.fit(
        X[:32], Y[:32], epochs=epochs, callbacks=list(callbacks), **arguments
    )


class Says(keras.callbacks.Callback):
    """Put given values into the logs, epoch by epoch; for callbacks behind it."""

    def __init__(self, **values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        for name, values in self.values.items():
            if epoch < len(values) and values[epoch] is not None:
                logs[name] = values[epoch]


@contextlib.contextmanager
def telling():
    """Collect the texts of our warnings."""
    texts = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += [
        str(one.message)
        for one in caught
        if one.category is UserWarning or issubclass(one.category, MultibackWarning)
    ]


@contextlib.contextmanager
def warns(match):
    """Expect a warning; `pytest.warns` would raise what the settings ignore."""
    with telling() as texts:
        yield
    assert any(re.search(match, text) for text in texts), texts
