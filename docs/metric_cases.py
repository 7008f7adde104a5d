"""Every metric with each kind of data that it is for, and Keras's metric beside it."""

import inspect

import fixed_data
import keras

import multiback as mb
from multiback.metrics.base.score_metric import ScoreMetric

CLASSES = {"task": "multiclass", "num_classes": 4}
LABELS = {"task": "multilabel", "num_labels": 3}

# Metrics that want to know more than their task.
NEEDED = {
    "MultiScaleStructuralSimilarity": {"betas": [0.5, 0.5]},
    "HitRate": {"k": 2},
    "KendallTau": {"capacity": 400},
    "PrecisionAtK": {"k": 2},
    "PrecisionAtRecall": {"recall": 0.8},
    "RecallAtK": {"k": 2},
    "RecallAtPrecision": {"precision": 0.8},
    "SensitivityAtSpecificity": {"specificity": 0.8},
    "SpearmanCorrelation": {"capacity": 400},
    "SpecificityAtSensitivity": {"sensitivity": 0.8},
}
# Boxes are compared with pycocotools, by the tests.
ROOMS = {
    "detection": {"boxes": {"num_classes": 2}},
    "images": {"images": {}},
    "retrieval": {"queries": {}},
}
KERAS = {
    "AUROC": keras.metrics.AUC,
    "Accuracy": keras.metrics.BinaryAccuracy,
    "AveragePrecision": lambda: keras.metrics.AUC(curve="PR"),
    "ConcordanceCorrelation": lambda: keras.metrics.ConcordanceCorrelation(axis=0),
    "JaccardIndex": lambda: keras.metrics.BinaryIoU(target_class_ids=[1]),
    "LogLoss": keras.metrics.BinaryCrossentropy,
    "MeanAbsoluteError": keras.metrics.MeanAbsoluteError,
    "MeanSquaredError": keras.metrics.MeanSquaredError,
    "MeanSquaredLogarithmicError": keras.metrics.MeanSquaredLogarithmicError,
    "PearsonCorrelation": lambda: keras.metrics.PearsonCorrelation(axis=0),
    "Precision": keras.metrics.Precision,
    "PrecisionAtRecall": lambda: keras.metrics.PrecisionAtRecall(0.8),
    "R2Score": keras.metrics.R2Score,
    "Recall": keras.metrics.Recall,
    "RecallAtPrecision": lambda: keras.metrics.RecallAtPrecision(0.8),
    "RootMeanSquaredError": keras.metrics.RootMeanSquaredError,
    "SensitivityAtSpecificity": lambda: keras.metrics.SensitivityAtSpecificity(0.8),
    "SpecificityAtSensitivity": lambda: keras.metrics.SpecificityAtSensitivity(0.8),
}


def cell(text):
    """Make a text fit into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def public_metrics():
    """Return every metric class by name."""
    classes = {name: getattr(mb.metrics, name) for name in mb.metrics.__all__}
    return {
        name: cls
        for name, cls in classes.items()
        if inspect.isclass(cls)
        and issubclass(cls, mb.metrics.Metric)
        and cls is not mb.metrics.Metric
    }


def choices(name, cls):
    """Return the arguments of each kind of data that a metric is for."""
    if name in {"Max", "Mean", "Min", "Sum"}:
        return {"numbers": {}}
    if name == "TopKAccuracy":
        return {"multiclass": {"num_classes": 4, "top_k": 2}}
    room = cls.__module__.split(".")[2]
    if room in ROOMS:
        return ROOMS[room]
    if name in fixed_data.OF_POSITIVE:
        return {"positive": {}}
    if "task" not in inspect.signature(cls).parameters:
        return {"regression": {}}
    return {"binary": {"task": "binary"}, "multiclass": CLASSES, "multilabel": LABELS}


def cases(data, **more):
    """Yield `(name, task, metric, data)` for each metric on each task with data.

    Args:
        data: What to stream, by task.
        **more: Arguments for the metrics over ranked scores.
    """
    for name, cls in public_metrics().items():
        extra = NEEDED.get(name, {})
        if issubclass(cls, ScoreMetric) or "capacity" in extra:
            extra = {**extra, **more}
        for task, arguments in choices(name, cls).items():
            if task not in data:
                continue
            try:
                metric = cls(**extra, **arguments)
            except mb.errors.ArgumentError:  # No such task.
                continue
            yield name, task, metric, data[task]


def of_keras(name, task, data):
    """Return the value of Keras's metric of that kind, streamed alike, or None."""
    if name not in KERAS or task not in {"binary", "positive", "regression"}:
        return None
    metric = KERAS[name]()
    for start in range(0, len(data[0]), 100):
        metric.update_state(*(part[start : start + 100, None] for part in data))
    return keras.ops.convert_to_numpy(metric.result())
