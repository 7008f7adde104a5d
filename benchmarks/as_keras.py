"""What `as_keras` costs in a step, against torchmetrics called directly.

KERAS_BACKEND=torch python benchmarks/as_keras.py [ROUNDS]

plain     a step of `evaluate` without the metric
direct    `metric.update(preds, target)` on torch tensors that are there already
as_keras  a step of `evaluate` with the metric, whose value is computed at the end
ratio     as_keras / (plain + direct), the median of rounds in which the three are
          neighbours and share the load
added     as_keras - plain - direct, the median in microseconds

Processor time, which counts all threads and nothing that other programs do; torch's
threads wait for each other busily where a machine is loaded, so OMP_NUM_THREADS=1 is
set unless it is set already.
"""

import os
import statistics
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
from torchmetrics.classification import BinaryAUROC, BinaryF1Score, MulticlassAccuracy
from torchmetrics.regression import MeanSquaredError

from multiback.adapters.torchmetrics import as_keras

BACKEND = keras.backend.backend()
STEPS = 50
WANTED = 1.3  # On torch, where nothing has to leave a compiled step.


def evaluate_of(metrics, y_true, y_pred):
    """Return a function that evaluates a model which predicts its input."""
    layers = [keras.Input(y_pred.shape[1:]), keras.layers.Identity()]
    model = keras.Sequential(layers)
    # A loss that takes any shapes, and the same in both models.
    model.compile(loss=lambda _, y_pred: y_pred, metrics=metrics)
    x, y = np.tile(y_pred, (STEPS, 1)), np.concatenate([y_true] * STEPS)

    def epoch():
        model.evaluate(x, y, batch_size=len(y_pred), verbose=0)

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
    """Return microseconds of processor time a step."""
    start = time.process_time()
    function()
    return (time.process_time() - start) / STEPS * 1e6


def measure(make, y_true, y_pred, rounds):
    """Return the medians of the three, of the ratio and of what is added."""
    functions = (
        evaluate_of([], y_true, y_pred),
        direct_of(make(), y_true, y_pred),
        evaluate_of([as_keras(make(), "metric")], y_true, y_pred),
    )
    seen = [tuple(map(timed, functions)) for _ in range(rounds + 1)][1:]
    return [
        *map(statistics.median, zip(*seen, strict=True)),
        statistics.median(
            with_it / (plain + direct) for plain, direct, with_it in seen
        ),
        statistics.median(with_it - plain - direct for plain, direct, with_it in seen),
    ]


def main(rounds):
    """Print a row for each metric and batch size."""
    rng = np.random.default_rng(0)
    print(f"{BACKEND}: microseconds a step, {rounds} rounds of {STEPS} steps")
    head = ("plain", "direct", "as_keras", "ratio", "added")
    print(f"{'metric':20}{'batch':>7}" + "".join(f"{name:>9}" for name in head))
    ratios = []
    for batch in (32, 1024):
        scores = rng.random((batch, 1), "float32")
        labels = (rng.random((batch, 1)) < scores).astype("int64")
        rows = rng.random((batch, 10), "float32")
        ids = rng.integers(0, 10, batch)
        for make, y_true, y_pred in (
            (lambda: BinaryAUROC(thresholds=200), labels, scores),
            (BinaryF1Score, labels, scores),
            (lambda: MulticlassAccuracy(10), ids, rows),
            (MeanSquaredError, scores[::-1].copy(), scores),
        ):
            *times, ratio, added = measure(make, y_true, y_pred, rounds)
            ratios.append(ratio)
            name = type(make()).__name__
            print(
                f"{name:20}{batch:7}"
                + "".join(f"{each:9.0f}" for each in times)
                + f"{ratio:9.2f}{added:9.0f}"
            )
    print(
        f"ratio: median {statistics.median(ratios):.2f}, largest {max(ratios):.2f}"
        + f" (wanted: at most {WANTED})" * (BACKEND == "torch")
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
