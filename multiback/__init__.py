"""Right metrics and safe best-checkpoints for Keras 3, on every backend.

A name is loaded when it is first used, and with it Keras, which takes seconds. Where
Keras is loaded, so are the metrics: it finds them by itself in a `.keras` file.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from multiback.keras_import import register_metrics as _register_metrics

if _TYPE_CHECKING:
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
        average,
        history,
        load,
        load_best,
        load_last,
        register_direction,
        restore,
        threshold_of,
    )
    from multiback.show.curves import plot

__version__ = "0.1.0"

__all__ = [
    "All",
    "Best",
    "Checkpointer",
    "Every",
    "Last",
    "ModelCheckpoint",
    "Monitor",
    "Pareto",
    "average",
    "data",
    "errors",
    "history",
    "load",
    "load_best",
    "load_last",
    "metrics",
    "plot",
    "register_direction",
    "restore",
    "threshold_of",
]


def __getattr__(name: str) -> _Any:
    """Load a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}.{_meant(name)}"
        )
    if name in ("data", "errors", "metrics"):
        return _importlib.import_module(f"{__name__}.{name}")
    home = "show.curves" if name == "plot" else "checkpoint"
    value = getattr(_importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def _meant(name: str) -> str:
    """Return multiback's name for another library's name, or ""."""
    from multiback.other_names import translated  # noqa: PLC0415 - an error

    return translated(name)


def __dir__() -> list[str]:
    """List all public names, loaded or not."""
    return sorted({*globals(), *__all__})


_register_metrics()
