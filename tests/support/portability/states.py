"""What `snapshot` and `describe` gave, another backend restores and trains on."""

import json

import keras
import numpy as np
from safetensors.numpy import load_file, save_file

from multiback.state import describe, rebuild, restore, snapshot

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(8, 4)).astype("float32")
TARGETS = RNG.normal(size=(8, 2)).astype("float32")


def network():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, activation="tanh")(inputs)
    hidden = keras.layers.Dropout(0.0, seed=3)(keras.layers.Reshape((3, 2))(hidden))
    hidden = keras.layers.BatchNormalization()(keras.layers.LSTM(3)(hidden))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.01, 50))
    ),
    "ema": lambda: keras.optimizers.RMSprop(0.01, use_ema=True),
}


def one_step(model):
    return float(model.train_on_batch(FEATURES, TARGETS)[0])


def write(folder):
    """Take three steps with each optimizer, and write what comes next."""
    folder.mkdir()
    for name, make in OPTIMIZERS.items():
        model = network()
        model.compile(make(), loss="mse", metrics=["mae"])
        for _ in range(3):
            one_step(model)
        taken = snapshot(model)
        save_file(dict(taken.arrays), folder / f"{name}.safetensors")
        expected = model.predict(FEATURES, verbose=0).tolist()
        model.reset_metrics()
        about = {
            "index": taken.index,
            "config": describe(model).config,
            "predictions": expected,
            "next_losses": [one_step(model), one_step(model)],
        }
        (folder / f"{name}.json").write_text(json.dumps(about))


def load(folder):
    """Rebuild each model and restore every bit; its next losses are the same."""
    for name in OPTIMIZERS:
        about = json.loads((folder / f"{name}.json").read_text())
        arrays = load_file(folder / f"{name}.safetensors")
        model = rebuild(about["config"])
        report = restore(model, arrays, about["index"])
        back = snapshot(model)
        groups = [e["group"] for e in about["index"]]
        for group in ("weights", "seeds", "optimizer"):
            assert report.restored[group] == groups.count(group) > 0, (name, group)
        for entry in back.index:
            if entry["group"] != "metrics":
                np.testing.assert_array_equal(
                    back.arrays[entry["key"]], arrays[entry["key"]], str(entry)
                )
        predictions = model.predict(FEATURES, verbose=0)
        np.testing.assert_allclose(predictions, about["predictions"], atol=1e-5)
        losses = [one_step(model), one_step(model)]
        np.testing.assert_allclose(losses, about["next_losses"], rtol=1e-5, atol=1e-5)
        model.fit(FEATURES, TARGETS, epochs=1, verbose=0)
