"""Right metrics and safe best-checkpoints for Keras 3, on every backend.

Everything is loaded at once, because loading registers the metrics with Keras: a
`.keras` file that holds one loads after `import multiback` alone. Only the `multiback`
command, most of whose work needs no Keras, loads a name when it first uses it.
"""

import importlib as _importlib
import sys as _sys
from pathlib import PurePath as _PurePath
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING or _PurePath(_sys.argv[0] if _sys.argv else "").stem != "multiback":
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
        threshold_of,
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
    "threshold_of",
]


def __getattr__(name: str) -> _Any:
    """Load a name that the command has not needed before."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("errors", "metrics"):
        return _importlib.import_module(f"{__name__}.{name}")
    return getattr(_importlib.import_module(f"{__name__}.checkpoint"), name)
