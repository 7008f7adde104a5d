"""The position is counted in batches, however many steps the optimizer makes of one."""

import json

import keras
import numpy as np
import pytest

import multiback as mb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Twice(keras.Sequential):
    """A model that makes two steps of each batch, as SAM and a WGAN's critic do."""

    def train_step(self, *given):
        if keras.backend.backend() != "jax":
            super().train_step(*given)
            return super().train_step(*given)
        _, state = super().train_step(*given)
        return super().train_step(state, *given[1:])


class Never(keras.Sequential):
    """A model whose compiled optimizer makes no step, as a GAN's."""

    def train_step(self, *given):
        if keras.backend.backend() != "jax":
            return {"loss": self.evaluate_loss(given[0])}
        state, data = given
        return {"loss": keras.ops.mean(data[0])}, state

    def evaluate_loss(self, data):
        return keras.ops.mean(data[0])


def made(kind=keras.Sequential):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(2), keras.layers.Dense(1)]
    model = kind(layers)
    model.compile("sgd", "mse", jit_compile=False)
    return model


class Stop(keras.callbacks.Callback):
    """Count the batches; raise in the hook that is named, at a batch."""

    def __init__(self, hook="", at=99):
        super().__init__()
        self.seen, self.hook, self.at = 0, hook, at

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        if self.hook == "begin" and self.seen == self.at:
            raise RuntimeError("begin")

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.seen += 1
        if self.hook == "end" and self.seen == self.at:
            raise RuntimeError("end")


def train(run, kind, stop, *, first=False, **arguments):
    """Train an epoch of eight batches, or what is left of it; return the model."""
    data = mb.data.Resumable(X, Y, batch_size=4)
    keep = mb.ModelCheckpoint(run, data=data, **arguments)
    model = made(kind)
    with keep:
        callbacks = [stop, keep] if first else [keep, stop]
        model.fit(data, epochs=1, verbose=0, callbacks=callbacks)
    return model


def newest(run):
    """Return what the newest checkpoint says of the training."""
    found = mb.store.open_run_directory(run).checkpoints()[-1]
    return found, json.loads((found.path / "trainer.json").read_text())


@pytest.mark.parametrize("kind", [keras.Sequential, Twice, Never])
@pytest.mark.parametrize(
    ("hook", "first"), [("begin", False), ("end", False), ("end", True)]
)
def test_an_error_saves_where_it_was_and_the_rest_is_trained(
    tmp_path, kind, hook, first
):
    stop = Stop(hook, at=3)
    with pytest.raises(RuntimeError, match=hook):
        train(tmp_path, kind, stop, first=first)
    found, facts = newest(tmp_path)
    assert (found.step, facts["batch"]) == (3, 3)
    steps = {keras.Sequential: 3, Twice: 6, Never: 0}[kind]
    assert facts["iterations"]["optimizer"] == steps
    rest = Stop()
    resumed = train(tmp_path, kind, rest, resume="auto")
    assert rest.seen == 5
    whole = train(tmp_path / "whole", kind, Stop())
    for one, two in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", [keras.Sequential, Twice, Never])
def test_names_and_clocks_count_batches(tmp_path, kind):
    keep = [mb.Every(steps=4)]
    train(tmp_path, kind, Stop(), every_n_train_steps=2, keep=keep)
    found = mb.store.open_run_directory(tmp_path).checkpoints()
    assert [one.step for one in found][:2] == [4, 8]
    assert "step=4" in found[0].name
