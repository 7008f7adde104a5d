"""Which checkpoint is best, when to save, what to keep."""

from multiback.checkpoint.callback import ModelCheckpoint
from multiback.checkpoint.checkpointer import Checkpointer
from multiback.checkpoint.direction import register_direction
from multiback.checkpoint.loading import (
    history,
    load,
    load_best,
    load_last,
    restore,
)
from multiback.checkpoint.monitor import Monitor
from multiback.checkpoint.retention import All, Best, Every, Last, Pareto, Slot

__all__ = [
    "All",
    "Best",
    "Checkpointer",
    "Every",
    "Last",
    "ModelCheckpoint",
    "Monitor",
    "Pareto",
    "Slot",
    "history",
    "load",
    "load_best",
    "load_last",
    "register_direction",
    "restore",
]
