"""What a metric measures, in multiback's names, for metrics of any library.

`torchmetrics.py` and `keras.py` translate from and to their library. Crosscheck uses
them to choose what to compare with, `equivalents` to make the metric itself.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

import multiback.metrics as ours
from multiback.errors import ArgumentError

# The argument for the number of classes, by task.
SIZES = {"multiclass": "num_classes", "multilabel": "num_labels"}
UNKNOWN_SIZE = "say num_classes=: the metric does not know how many"


class NoEquivalentError(Exception):
    """A library has no such metric, for this reason."""


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """A metric of multiback, or one that multiback does not have.

    Attributes:
        kind: Its class in `multiback.metrics`; else Keras's class.
        config: The arguments that matter, by multiback's names.
    """

    kind: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def get(self, argument: str, default: Any = None) -> Any:
        """Return an argument, or its default."""
        value = self.config.get(argument)
        return default if value is None else value

    @property
    def task(self) -> str | None:
        """What is classified, if anything."""
        return "multiclass" if "top_k" in self.config else self.get("task")


def spec_from_multiback(metric: Any, count: int | None) -> MetricSpec:
    """Read a metric of multiback, which has its own `count` of classes."""
    del count
    unsaid = ("name", "dtype", "intervals")  # They do not change the value.
    config = {k: v for k, v in metric.get_config().items() if k not in unsaid}
    if "task" in config and config["task"] is None:
        config["task"] = "binary"  # What it becomes unless the scores have columns.
    return MetricSpec(type(metric).__name__, config)


def as_ours(of: MetricSpec) -> Any:
    """Make the metric of multiback, or raise NoEquivalentError."""
    cls = getattr(ours, of.kind, None)
    if cls is None:
        keras_has_it = hasattr(keras.metrics, of.kind)
        instead = "; keras.metrics has it, on each backend" * keras_has_it
        raise NoEquivalentError(f"multiback has no {of.kind}{instead}")
    size = SIZES.get(of.task or "")
    if size is not None and of.get(size) is None:
        raise NoEquivalentError(UNKNOWN_SIZE)
    try:
        return cls(**of.config)
    except ArgumentError as error:
        raise NoEquivalentError(f"multiback has no such {of.kind}: {error}") from error
