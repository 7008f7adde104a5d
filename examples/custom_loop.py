"""Save the best from a training loop of your own.

What people do today: `if scores[1] > best: best = scores[1]; model.save(...)`. The
index moves when a metric is added; one `>` the wrong way round keeps the worst; only
one checkpoint is kept, written over in place, and after a restart `best` is 0 again,
so that the first epoch overwrites it.

What to do: `mb.Checkpointer`, and one `step` whenever there is something to judge.
With `resume="auto"` a restarted program continues where it was, best included.

    python custom_loop.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_wine
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
keras.utils.set_random_seed(3)

x, y = load_wine(return_X_y=True)
x, xv, y, yv = train_test_split(scale(x), y, test_size=0.5, random_state=0, stratify=y)
shuffle = np.random.default_rng(0)


def new_model():
    model = keras.Sequential([keras.Input((13,)), keras.layers.Dense(3, "softmax")])
    f1 = mb.metrics.F1Score("multiclass", num_classes=3)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", f1])
    return model


def train(model, epochs):
    """Train until `epochs` are done, be it from the start or from a checkpoint."""
    scores = []
    with mb.Checkpointer(folder / "run", monitor="f1_score", resume="auto") as ckpt:
        if ckpt.start():
            mb.restore(model, ckpt.last_model_path)
        while ckpt.epoch < epochs:
            for rows in np.array_split(shuffle.permutation(len(x)), 6):
                model.train_on_batch(x[rows], y[rows])
            logs = model.evaluate(xv, yv, verbose=0, return_dict=True)
            scores.append(logs["f1_score"])
            kept = ckpt.step(model, logs)
            best = kept and ckpt.best_model_path == ckpt.last_model_path
            note = "  best so far" if best else ""
            print(f"epoch {ckpt.epoch}: F1 {logs['f1_score']:.4f}{note}")
    return ckpt, scores


ckpt, scores = train(new_model(), epochs=3)
print("The program stops, and starts again with a new model:")
ckpt, more = train(new_model(), epochs=6)
scores += more

best = mb.load_best(folder / "run")
labels = best.predict(xv, verbose=0).argmax(axis=-1)
oracle = f1_score(yv, labels, average="macro")
print(
    f"Kept: {ckpt.best_model_score:.6f}; by scikit-learn after load_best: {oracle:.6f}"
)

assert len(scores) == ckpt.epoch == 6
assert ckpt.best_model_score == max(scores)
assert abs(oracle - max(scores)) < 1e-6
print("Shown: the best of both parts of the run was kept.")
