"""What `as_keras` costs in a step, against torchmetrics called directly.

KERAS_BACKEND=torch python benchmarks/as_keras.py [ROUNDS]

plain     a step of `evaluate` without the metric
empty     the same step with a metric of Keras's that does nothing
direct    the same step, after which a callback calls torchmetrics by hand:
          `metric.update(preds, target)`, on tensors of the shapes and dtypes that it
          wants, which are there already
as_keras  the same step with the metric compiled
ratio     as_keras / direct in each round: the quartiles of the rounds
added     as_keras - direct, the median in microseconds; what of it Keras takes for any
          compiled metric is empty - plain

Each is a whole `evaluate` of one model on the same data, divided by its number of
steps; with a metric, its value is computed once, at the end. The model predicts its
input: any other one would hide more of what a metric costs.

To call torchmetrics in a loop of its own and to add that to `plain` would be no
measure: such a loop finds its data in the caches and its memory allocated, and an
update of BinaryAUROC(thresholds=200) takes half as long there as between two steps,
for any caller. All have the callback, which does nothing where there is
nothing to call: without one that it must wait for, Keras wakes a thread each step,
which costs as much as a metric.

The four take turns in every order. Processor time is measured, which counts all
threads and nothing that other programs do; torch's threads wait for each other
busily where a machine is loaded, so OMP_NUM_THREADS=1 is set unless it is set already.
"""

import gc
import itertools
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
WANTED = 1.3  # The median of the rows, on each backend.


class AfterEachStep(keras.callbacks.Callback):
    """Call a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_test_batch_end(self, batch, logs=None):
        del batch, logs
        self.function()


class Empty(keras.metrics.Metric):
    """Do nothing, as a metric."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        del y_true, y_pred, sample_weight

    def result(self):
        return keras.ops.convert_to_tensor(0.0)


def nothing():
    """Do nothing."""


def evaluate_of(y_true, y_pred, *, metrics=(), update=nothing):
    """Return a function that evaluates a model which predicts its input."""
    model = keras.Sequential([keras.Input(y_pred.shape[1:]), keras.layers.Identity()])
    # A loss that takes any shapes, and the same in all models.
    model.compile(loss=lambda _, y_pred: y_pred, metrics=list(metrics))
    x, y = np.tile(y_pred, (STEPS, 1)), np.concatenate([y_true] * STEPS)
    callbacks = [AfterEachStep(update)]

    def epoch():
        model.evaluate(x, y, batch_size=len(y_pred), verbose=0, callbacks=callbacks)

    return epoch


def by_hand(metric, y_true, y_pred):
    """Return a function that evaluates the model and updates a metric beside it."""
    target, preds = torch.as_tensor(y_true), torch.as_tensor(y_pred)
    evaluate = evaluate_of(y_true, y_pred, update=lambda: metric.update(preds, target))

    def epoch():
        metric.reset()
        evaluate()
        metric.compute()

    return epoch


def timed(function):
    """Return microseconds of processor time a step."""
    gc.collect()
    start = time.process_time()
    function()
    return (time.process_time() - start) / STEPS * 1e6


def measure(make, y_true, y_pred, rounds):
    """Return the times of plain, empty, direct and as_keras in each round."""
    functions = (
        evaluate_of(y_true, y_pred),
        evaluate_of(y_true, y_pred, metrics=[Empty(name="empty")]),
        by_hand(make(), y_true, y_pred),
        evaluate_of(y_true, y_pred, metrics=[as_keras(make(), "metric")]),
    )
    for function in functions:
        function()
    orders = itertools.cycle(itertools.permutations(range(len(functions))))
    times = []
    for order in itertools.islice(orders, rounds):
        took = {index: timed(functions[index]) for index in order}
        times.append([took[index] for index in range(len(functions))])
    return times


def main(rounds):
    """Print a row for each metric and batch size."""
    rng = np.random.default_rng(0)
    gc.freeze()  # The libraries themselves: to look through them takes half a second.
    print(f"{BACKEND}: microseconds a step, {rounds} rounds of {STEPS} steps")
    head = ("plain", "empty", "direct", "as_keras")
    print(
        f"{'metric':19}{'batch':>5}"
        + "".join(f"{name:>9}" for name in head)
        + f"{'ratio: 25%':>12}{'50%':>6}{'75%':>6}{'added':>7}"
    )
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
            times = measure(make, y_true, y_pred, rounds)
            *_, direct, hosted = zip(*times, strict=True)
            pairs = list(zip(hosted, direct, strict=True))
            quartiles = statistics.quantiles(each / hand for each, hand in pairs)
            ratios.append(quartiles[1])
            added = statistics.median(each - hand for each, hand in pairs)
            print(
                f"{type(make()).__name__:19}{batch:5}"
                + "".join(
                    f"{statistics.median(e):9.0f}" for e in zip(*times, strict=True)
                )
                + "{:12.2f}{:6.2f}{:6.2f}".format(*quartiles)
                + f"{added:7.0f}"
            )
    middle = statistics.median(ratios)
    print(
        f"ratio: median {middle:.2f}, at most {WANTED}: "
        f"{'kept' if middle <= WANTED else 'missed'}; largest {max(ratios):.2f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 24)
