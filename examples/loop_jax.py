"""Keep the best of a jitted JAX loop of your own: any pytree of arrays.

What people do today: pickle the pytree when `score > best`, or set up Orbax, whose
`best_fn` may remove the newest checkpoint. A pickle breaks with the classes in it,
and a killed process leaves half of one.

What to do: give `ckpt.step` the pytree, or a function that returns it: then a crash
saves the newest too. `ckpt.resume(state)` returns the saved tree in the structure of
yours, named tuples and all.

    KERAS_BACKEND=jax python loop_jax.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import jax
import keras
import numpy as np
from sklearn.datasets import load_wine
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
x, y = load_wine(return_X_y=True)
x, xv, y, yv = train_test_split(
    scale(x).astype("float32"), y, test_size=0.5, random_state=0, stratify=y
)

keras.utils.set_random_seed(3)
layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(3)]
model = keras.Sequential([keras.Input((13,)), *layers])
optimizer = keras.optimizers.Adam(0.01)
optimizer.build(model.trainable_variables)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def new_state():
    """Everything that training changes, as a pytree of host arrays."""
    return {
        "trainable": [v.numpy() for v in model.trainable_variables],
        "others": [v.numpy() for v in model.non_trainable_variables],
        "optimizer": [v.numpy() for v in optimizer.variables],
        "step": 0,
    }


@jax.jit
def train_step(state, x, y):
    def loss(trainable):
        logits, others = model.stateless_call(trainable, state["others"], x)
        return loss_of(y, logits), others

    gradients, others = jax.grad(loss, has_aux=True)(state["trainable"])
    trainable, slots = optimizer.stateless_apply(
        state["optimizer"], gradients, state["trainable"]
    )
    return {
        "trainable": trainable,
        "others": others,
        "optimizer": slots,
        "step": state["step"] + 1,
    }


@jax.jit
def predict(state, x):
    return model.stateless_call(state["trainable"], state["others"], x)[0]


def score(state):
    return f1_score(yv, np.argmax(predict(state, xv), axis=-1), average="macro")


def train(run, epochs, fails_at=None):
    """Train until `epochs` are done, be it from the start or from a checkpoint."""
    state = new_state()

    def newest():
        return state

    with mb.Checkpointer(run, monitor="f1", mode="max", resume="auto") as ckpt:
        state = ckpt.resume(state) or state
        while ckpt.epoch < epochs:
            # By the epoch, so that a resumed one sees its batches in the same order.
            order = np.random.default_rng(ckpt.epoch).permutation(len(x))
            for rows in np.array_split(order, [15, 30, 45, 60, 75])[:5]:
                state = train_step(state, x[rows], y[rows])
                if state["step"] == fails_at:
                    raise RuntimeError("the machine gives up")
            logs = {"f1": score(state)}
            ckpt.step(newest, logs, step=int(state["step"]))
            print(f"epoch {ckpt.epoch}: F1 {logs['f1']:.4f}")
    return state, ckpt


try:
    train(folder / "run", epochs=6, fails_at=18)
except RuntimeError as error:
    print(f"After 18 steps {error}.")
assert mb.load_last(folder / "run")["step"] == 18

state, ckpt = train(folder / "run", epochs=6)
whole, other = train(folder / "whole", epochs=6)
for here, there in zip(jax.tree.leaves(state), jax.tree.leaves(whole), strict=True):
    np.testing.assert_array_equal(here, there)
assert ckpt.best_model_score == other.best_model_score
best = mb.restore(state, folder / "run")
assert score(best) == ckpt.best_model_score
print("Shown: the resumed run ends as one that never stopped, its best included.")
