"""What `as_keras` adds to a step, against torchmetrics called directly.

KERAS_BACKEND=torch python benchmarks/as_keras.py [ROUNDS]

direct    `metric.update(preds, target)` on torch tensors, nothing else
as_keras  what Keras does in each step: `update_state` and `result`, compiled by the
          backend where it compiles; the value itself is computed once an epoch
ratio     the median of the ratios of neighbouring rounds, which share the load
"""

import os
import statistics
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
from torchmetrics.classification import BinaryAUROC, BinaryF1Score, MulticlassAccuracy
from torchmetrics.regression import MeanSquaredError

from multiback.adapters.torchmetrics import as_keras

BACKEND = keras.backend.backend()
STEPS = 50


def step_of(metric, y_true, y_pred):
    """Return a function that does what Keras does with a metric in a step."""
    y_true, y_pred = map(keras.ops.convert_to_tensor, (y_true, y_pred))
    metric.update_state(y_true, y_pred)  # Makes the variables.
    metric.reset_state()
    if BACKEND == "jax":
        import jax

        @jax.jit
        def step(variables, y_true, y_pred):
            variables = metric.stateless_update_state(variables, y_true, y_pred)
            return variables, metric.stateless_result(variables)

        def epoch():
            variables = metric.stateless_reset_state()
            for _ in range(STEPS):
                variables, result = step(variables, y_true, y_pred)
            result.block_until_ready()

        return epoch
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function
        def step(y_true, y_pred):
            metric.update_state(y_true, y_pred)
            return metric.result()
    else:
        # As Keras's fit does, so that `result` knows that it is in a step.
        model = keras.Sequential(
            [keras.Input(y_pred.shape[1:]), keras.layers.Identity()]
        )
        model.compile(loss="mse", metrics=[metric])
        model.evaluate(y_pred[:1], y_true[:1], verbose=0)

        def step(y_true, y_pred):
            metric.update_state(y_true, y_pred)
            return metric.result()

    def epoch():
        metric.reset_state()
        for _ in range(STEPS):
            step(y_true, y_pred)

    return epoch


def direct_of(metric, y_true, y_pred):
    """Return a function that updates torchmetrics' own metric as often."""
    target, preds = torch.as_tensor(y_true), torch.as_tensor(y_pred)

    def epoch():
        metric.reset()
        for _ in range(STEPS):
            metric.update(preds, target)

    return epoch


def timed(function):
    """Return microseconds a step."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) / STEPS * 1e6


def measure(make, y_true, y_pred, rounds):
    """Return median microseconds of both, and the median of their ratios."""
    direct = direct_of(make(), y_true, y_pred)
    wrapped = step_of(as_keras(make(), "metric"), y_true, y_pred)
    pairs = [(timed(direct), timed(wrapped)) for _ in range(rounds + 1)][1:]
    medians = [statistics.median(each) for each in zip(*pairs, strict=True)]
    return *medians, statistics.median(b / a for a, b in pairs)


def main(rounds):
    """Print a row for each metric and batch size."""
    rng = np.random.default_rng(0)
    print(f"{BACKEND}: microseconds a step, {rounds} rounds of {STEPS} steps")
    print(f"{'metric':20}{'batch':>7}{'direct':>9}{'as_keras':>10}{'ratio':>7}")
    for batch in (32, 256, 4096):
        scores = rng.random(batch, "float32")
        labels = (rng.random(batch) < scores).astype("int64")
        rows = rng.random((batch, 10), "float32")
        ids = rng.integers(0, 10, batch)
        for make, y_true, y_pred in (
            (BinaryAUROC, labels, scores),
            (BinaryF1Score, labels, scores),
            (lambda: MulticlassAccuracy(10), ids, rows),
            (MeanSquaredError, scores[::-1].copy(), scores),
        ):
            direct, wrapped, ratio = measure(make, y_true, y_pred, rounds)
            name = type(make()).__name__
            print(f"{name:20}{batch:7}{direct:9.0f}{wrapped:10.0f}{ratio:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
