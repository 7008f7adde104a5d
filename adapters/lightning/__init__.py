"""PyTorch Lightning: its trainer's checkpoints kept by ours, and its own files read.

    ModelCheckpoint        the callback for a Trainer         callback.py
    restore                a module's weights out of a run    restoring.py
    load_from_checkpoint   the module too                     restoring.py
    LogRun                 a run sent to loggers              logs.py

What Lightning's own ModelCheckpoint wrote is read by `directory` (which files, and
what Lightning calls best), `file` (one of them), `archive` (its zip, within bounds)
and `pickled` (its pickle, as data); `multiback ls` shows it.

`resuming` puts a trainer's own state back, `storable` turns states into trees of
arrays, and `library` imports Lightning. A name is loaded when it is asked for: files
that Lightning wrote are read where it is not installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiback.adapters.lightning.callback import ModelCheckpoint
    from multiback.adapters.lightning.logs import LogRun
    from multiback.adapters.lightning.restoring import load_from_checkpoint, restore

__all__ = ["LogRun", "ModelCheckpoint", "load_from_checkpoint", "restore"]

_WHERE = {
    "LogRun": "logs",
    "ModelCheckpoint": "callback",
    "load_from_checkpoint": "restoring",
    "restore": "restoring",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its file."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
