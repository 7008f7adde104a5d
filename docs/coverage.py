"""Print which metrics of torchmetrics and Keras have an equivalent in multiback.

    KERAS_BACKEND=torch python docs/coverage.py

Each class that does not have one comes with the reason. The same line of the reasons
stands in `equivalents(metric).reasons`.
"""

import inspect
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import torchmetrics.classification
import torchmetrics.regression
import torchmetrics.retrieval
import torchmetrics.segmentation

from multiback.adapters.torchmetrics import equivalents

ROOMS = ("classification", "regression", "retrieval", "segmentation")
# What a constructor wants, of either library.
NEEDED = {
    "beta": 1.0,
    "fn": keras.metrics.mean_squared_error,
    "min_precision": 0.5,
    "min_recall": 0.5,
    "min_sensitivity": 0.5,
    "min_specificity": 0.5,
    "num_classes": 10,
    "num_groups": 2,
    "num_labels": 3,
    "p": 2,
    "precision": 0.5,
    "recall": 0.5,
    "sensitivity": 0.5,
    "specificity": 0.5,
    "target_class_ids": [0, 1],
    "threshold": 0.5,
    "top_k": 2,
}
FACADE = re.compile("Binary|Multiclass|Multilabel")


def make(cls: type) -> Any:
    """Make a metric with the arguments that it cannot do without."""
    optional = cls.__name__.startswith(("Multiclass", "Retrieval", "MeanIoU"))
    optional = optional and cls.__module__.startswith("torchmetrics.")
    wanted = {
        name: NEEDED[name]
        for name, each in inspect.signature(cls).parameters.items()
        if name in NEEDED
        and (each.default is each.empty or (optional and each.default is None))
    }
    if cls.__name__ == "RetrievalMAP":  # The k best are other ones here.
        wanted.pop("top_k")
    if cls.__name__ in ("MulticlassStatScores", "MultilabelStatScores"):
        wanted["average"] = "micro"  # The others have no mean of counts.
    return cls(**wanted)


def of_torchmetrics(room: str) -> Iterator[type]:
    """Yield the classes of one package, without those that only choose a task's."""
    package = getattr(torchmetrics, room)
    for name in package.__all__:
        if room != "classification" or FACADE.match(name):
            yield getattr(package, name)


def of_keras() -> Iterator[type]:
    """Yield the metrics of Keras, without the base class and the plain function's."""
    for name, cls in inspect.getmembers(keras.metrics, inspect.isclass):
        if name not in ("Metric", "MeanMetricWrapper"):
            yield cls


def translate(classes: Iterator[type]) -> dict[str, str]:
    """Return by class the reason for which it has no equivalent, or nothing."""
    reasons = {}
    for cls in classes:
        found = equivalents(make(cls), num_classes=10)
        reason = "" if found.multiback is not None else found.reasons["multiback"]
        reasons[cls.__name__] = reason
    return reasons


def tables() -> dict[str, dict[str, str]]:
    """Return the reasons of all classes, by library and package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            f"torchmetrics.{room}": translate(of_torchmetrics(room)) for room in ROOMS
        }
        return {**found, "keras.metrics": translate(of_keras())}


def report(found: dict[str, dict[str, str]]) -> str:
    """Write the counts, and a line for each class without an equivalent."""
    lines = []
    for package, reasons in found.items():
        missing = {name: reason for name, reason in reasons.items() if reason}
        have = len(reasons) - len(missing)
        lines.append(f"{package}: {have} of {len(reasons)} have an equivalent")
        lines += [f"  {name}: {reason}" for name, reason in missing.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(report(tables()) + "\n")
