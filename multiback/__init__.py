"""Right metrics and safe best-checkpoints for Keras 3, on every backend."""

from multiback import data, errors, metrics
from multiback.checkpoint import (
    All,
    Best,
    Checkpointer,
    Every,
    Last,
    ModelCheckpoint,
    Monitor,
    Pareto,
    history,
    load,
    load_best,
    load_last,
    register_direction,
    restore,
)

__all__ = [
    "All",
    "Best",
    "Checkpointer",
    "Every",
    "Last",
    "ModelCheckpoint",
    "Monitor",
    "Pareto",
    "data",
    "errors",
    "history",
    "load",
    "load_best",
    "load_last",
    "metrics",
    "register_direction",
    "restore",
]
