"""Give each statistic the same data on one device and on two replicas."""

import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)

import keras
from support.catalogue import ENTRIES, Entry, N, datasets, of_each_statistic

import multiback as mb

# Replicas add states as their class says, whatever its parameters.
METRICS = of_each_statistic(ENTRIES, copies=2, alike=type) | {
    f"{name} kept": Entry(name, "binary", {"capacity": N})
    for name in ("AUROC", "AveragePrecision")
}


def make():
    return {name: entry.make() for name, entry in METRICS.items()}


def split(strategy, data, size):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(size)
    return strategy.experimental_distribute_dataset(batches)


def feed(strategy, kind, one, two):
    """Give the metrics of a kind its data; replicas get half a batch each."""
    names = [name for name, entry in METRICS.items() if entry.kind == kind]
    data = datasets(kind)["plain"]
    if kind == "regression":  # Logarithms want numbers above -1.
        data = tuple(map(abs, data))

    def update(metrics, *batch):
        for name in names:
            metrics[name].update_state(*batch)

    @tf.function(autograph=False)
    def step(batch):
        strategy.run(update, args=(two, *batch))

    update(one, *data)
    for batch in split(strategy, data, max(2, len(data[0]) // 2)):
        step(batch)


def read(metrics):
    return {
        name: np.ravel(keras.ops.convert_to_numpy(metric.result())).tolist()
        for name, metric in metrics.items()
    }


def extremes_of(strategy):
    with strategy.scope():
        largest, smallest = mb.metrics.Max(), mb.metrics.Min()

    def each(x):
        largest.update_state(x)
        smallest.update_state(x)

    @tf.function(autograph=False)
    def step(values):
        strategy.run(each, args=(values,))

    for values in split(strategy, [50.0, 13.0, -13.0, 0.0], 2):
        step(values)
    return {"max": float(largest.result()), "min": float(smallest.result())}


def main():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one = make()
    with strategy.scope():
        two = make()
    for kind in sorted({entry.kind for entry in METRICS.values()}):
        feed(strategy, kind, one, two)
    ones, twos = read(one), read(two)
    numbers = {name: {"one": ones[name], "two": twos[name]} for name in ones}
    print(json.dumps({"metrics": numbers, "extremes": extremes_of(strategy)}))


main()
