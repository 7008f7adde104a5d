"""Give every metric the same batches on one device and on two replicas."""

import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import inspect

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)

import keras

import multiback as mb

ROWS, BATCH = 64, 16
NEEDED = {
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKAccuracy": {"num_classes": 3, "top_k": 2},
    "ExactMatch": {"task": "multiclass", "num_classes": 3},
    **{name: {"k": 2} for name in ("HitRate", "PrecisionAtK", "RecallAtK")},
    **{name: {"capacity": ROWS} for name in ("KendallTau", "SpearmanCorrelation")},
    **{name: {"fraction": 0.25} for name in ("Lift", "PrecisionAtTopFraction")},
    "MultiScaleStructuralSimilarity": {"betas": [0.5, 0.5]},
}
# Matching boxes is a loop of its own; its counts are added as all others are.
LEFT_OUT = {"BoxMeanAveragePrecision"}


def catalogue():
    """Make each public metric, some of them twice."""
    m = mb.metrics
    made = {}
    for name in m.__all__:
        cls = getattr(m, name)
        if (
            inspect.isclass(cls)
            and issubclass(cls, m.Metric)
            and cls is not m.Metric
            and name not in LEFT_OUT
        ):
            made[name] = cls(**NEEDED.get(name, {}))
    made["AUROC kept"] = m.AUROC(capacity=ROWS)
    made["AveragePrecision kept"] = m.AveragePrecision(capacity=ROWS)
    made["F1Score of classes"] = m.F1Score("multiclass", num_classes=3)
    return made


def batches():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, ROWS)
    y_pred = (0.7 * rng.random(ROWS) + 0.3 * y_true).astype("float32")
    scores = rng.random((ROWS, 3)).astype("float32")
    ids = rng.integers(0, 3, ROWS)
    relevant = rng.integers(0, 2, (ROWS, 3))
    images = rng.random((2, ROWS, 24, 24, 1)).astype("float32")
    return y_true, y_pred, ids, scores, relevant, images[0], images[1]


def update(metrics, *batch):
    y_true, y_pred, ids, scores, relevant, images, noisy = batch
    for metric in metrics.values():
        room = type(metric).__module__.split(".")[2]
        if isinstance(metric, mb.metrics.Mean | mb.metrics.Sum | EXTREMES):
            metric.update_state(y_pred - 0.5)
        elif room == "images":
            metric.update_state(images, noisy)
        elif room == "retrieval":
            metric.update_state(relevant, scores)
        elif (metric.get_config().get("num_classes") or 0) > 0:
            metric.update_state(ids, scores)
        else:
            metric.update_state(y_true, y_pred)


EXTREMES = mb.metrics.Max | mb.metrics.Min


def read(metrics):
    return {
        name: np.ravel(keras.ops.convert_to_numpy(metric.result())).tolist()
        for name, metric in metrics.items()
    }


def main():
    data = batches()
    one = catalogue()
    for start in range(0, ROWS, BATCH):
        update(one, *(part[start : start + BATCH] for part in data))
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        two = catalogue()
        largest, smallest = mb.metrics.Max(), mb.metrics.Min()
    split = strategy.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices(data).batch(2 * BATCH)
    )

    @tf.function(autograph=False)
    def step(batch):
        strategy.run(update, args=(two, *batch))

    @tf.function(autograph=False)
    def extremes(values):
        def each(x):
            largest.update_state(x)
            smallest.update_state(x)

        strategy.run(each, args=(values,))

    for batch in split:
        step(batch)
    values = iter(
        strategy.experimental_distribute_dataset(
            tf.data.Dataset.from_tensor_slices([50.0, 13.0, -13.0, 0.0]).batch(2)
        )
    )
    extremes(next(values))
    extremes(next(values))
    ones, twos = read(one), read(two)
    print(
        json.dumps(
            {
                "metrics": {
                    name: {"one": ones[name], "two": twos[name]} for name in ones
                },
                "extremes": {
                    "max": float(largest.result()),
                    "min": float(smallest.result()),
                },
            }
        )
    )


main()
