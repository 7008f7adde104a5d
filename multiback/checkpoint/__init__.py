"""Decide which checkpoint is best, when to save, and what to keep.

Names are loaded when they are first used: the command line needs few of them, and
most need Keras, which takes seconds to import. Type checkers read the same names.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from multiback.checkpoint.averaging import average
    from multiback.checkpoint.callback import ModelCheckpoint
    from multiback.checkpoint.checkpointer import Checkpointer
    from multiback.checkpoint.choosing.direction import register_direction
    from multiback.checkpoint.choosing.monitor import Monitor
    from multiback.checkpoint.choosing.slots import All, Best, Every, Last, Pareto, Slot
    from multiback.checkpoint.loading.history import history
    from multiback.checkpoint.loading.load import load, load_best, load_last, restore

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
    "average",
    "history",
    "load",
    "load_best",
    "load_last",
    "register_direction",
    "restore",
    "threshold_of",
]

_HOMES = {
    "averaging": ("average",),
    "callback": ("ModelCheckpoint",),
    "checkpointer": ("Checkpointer",),
    "choosing.direction": ("register_direction",),
    "loading.find": ("threshold_of",),
    "loading.history": ("history",),
    "loading.load": ("load", "load_best", "load_last", "restore"),
    "choosing.monitor": ("Monitor",),
    "choosing.slots": ("All", "Best", "Every", "Last", "Pareto", "Slot"),
}


def __getattr__(name: str) -> _Any:
    """Load a name of `__all__` from the file that defines it."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(_importlib.import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is there and what would be loaded."""
    return sorted({*globals(), *__all__})
