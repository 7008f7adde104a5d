"""Models that differ in what they keep as state, each small enough to compile fast."""

import keras
import numpy as np

from multiback.state import restore, snapshot

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(8, 4)).astype("float32")
TARGETS = RNG.normal(size=(8, 2)).astype("float32")


def mlp():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(2),
        ]
    )


def functional():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    outputs = {
        "a": keras.layers.Dense(2, name="a")(hidden),
        "b": keras.layers.Dense(2, name="b")(hidden),
    }
    return keras.Model(inputs, outputs)


def nested():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()],
        name="inner",
    )
    inputs = keras.Input((4,))
    hidden = keras.layers.Dropout(0.1)(inner(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


@keras.saving.register_keras_serializable(package="multiback_tests")
class Subclassed(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.d1 = keras.layers.Dense(units)
        self.d2 = keras.layers.Dense(2)
        self.drop = keras.layers.Dropout(0.3)

    def call(self, inputs, training=None):
        return self.d2(self.drop(self.d1(inputs), training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def subclassed():
    model = Subclassed(5)
    model(FEATURES)
    return model


def shared():
    layer = keras.layers.Dense(4)
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(2)(layer(layer(inputs))))


def frozen():
    model = mlp()
    model.layers[0].trainable = False
    return model


def lstm():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Reshape((2, 2)),
            keras.layers.LSTM(3, dropout=0.1),
            keras.layers.Dense(2),
        ]
    )


def lora():
    model = mlp()
    model.layers[0].enable_lora(2)
    return model


def bfloat16():
    with_policy = keras.layers.Dense(2, dtype="bfloat16")
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3, dtype="mixed_bfloat16")(inputs)
    return keras.Model(inputs, with_policy(hidden))


def adam(model):
    model.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])


def adam_for_two(model):
    model.compile(
        keras.optimizers.Adam(0.01), loss="mse", metrics={"a": ["mae"], "b": ["mse"]}
    )


def ema(model):
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, use_ema=True)
    model.compile(optimizer, loss="mse", metrics=["mae"])


def accumulating(model):
    optimizer = keras.optimizers.RMSprop(0.01, gradient_accumulation_steps=2)
    model.compile(optimizer, loss="mse")


def loss_scaled(model):
    inner = keras.optimizers.Adam(0.01)
    model.compile(keras.optimizers.LossScaleOptimizer(inner), loss="mse")


def scheduled(model):
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 100)
    model.compile(keras.optimizers.AdamW(schedule), loss="mse")


def factored(model):
    model.compile(keras.optimizers.Adafactor(0.01), loss="mse")


CASES = {
    "an MLP": (mlp, adam),
    "two outputs": (functional, adam_for_two),
    "a nested model": (nested, adam),
    "a subclassed model": (subclassed, adam),
    "a shared layer": (shared, adam),
    "a frozen layer": (frozen, adam),
    "an LSTM": (lstm, adam),
    "LoRA": (lora, adam),
    "bfloat16": (bfloat16, adam),
    "EMA": (mlp, ema),
    "gradient accumulation": (mlp, accumulating),
    "loss scaling": (mlp, loss_scaled),
    "a schedule": (mlp, scheduled),
    "Adafactor": (mlp, factored),
}


class Seeded(keras.callbacks.Callback):
    """Seeds after Keras's symbolic build, which draws from torch's generator."""

    def on_train_begin(self, logs=None):  # noqa: ARG002 - Keras's signature
        keras.utils.set_random_seed(5)


def fit(model, epochs=1):
    """Train one batch an epoch; return the losses."""
    targets = TARGETS
    if isinstance(getattr(model, "output", None), dict):
        targets = {"a": TARGETS, "b": TARGETS}
    history = model.fit(
        FEATURES,
        targets,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[Seeded()],
    )
    if model.optimizer.use_ema:
        # Keras on JAX leaves model and average in one buffer, and then a second
        # fit fails; a restore gives each a buffer of its own.
        taken = snapshot(model)
        restore(model, taken.arrays, taken.index)
    return history.history["loss"]


def trained(name):
    build, compile_ = CASES[name]
    model = build()
    compile_(model)
    fit(model, 2)
    return model
