"""Write one checkpoint of a model, or of a mapping of arrays."""

import functools
import importlib.metadata
import platform
import tempfile
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from multiback.state import Description, describe, snapshot, write_keras_file
from multiback.store import Checkpoint, Runs

KERAS_FILE = "model.keras"
_NONE: Mapping[str, np.ndarray] = {}


def versions() -> dict[str, str]:
    """Return the versions that a checkpoint depends on."""
    found = {"python": platform.python_version(), "keras": keras.__version__}
    backend = keras.backend.backend()
    for name in ("multiback", "numpy", backend, f"{backend}-cpu"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(
    directory: Runs,
    name: str,
    model: Any,
    *,
    weights_only: bool,
    trainer: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] = _NONE,
    **fields: Any,
) -> tuple[Checkpoint, list[str]]:
    """Commit what the model holds now.

    Args:
        directory: Where to.
        name: The name to give it.
        model: A built Keras model, a mapping, or a function that returns one.
        weights_only: Leave out the optimizer and the metrics.
        trainer: Further facts for whoever resumes; JSON.
        arrays: Further arrays for whoever resumes.
        **fields: As for `RunDirectory.commit`.

    Returns:
        The checkpoint, and in sentences what will not load again without help.
    """
    if isinstance(model, types.FunctionType | types.MethodType | functools.partial):
        model = model()
    state = snapshot(model, weights_only=weights_only)
    description = Description(None)
    with tempfile.TemporaryDirectory(prefix="multiback-") as scratch:
        files: dict[str, Path] = {}
        if isinstance(model, keras.Model):
            description = describe(model)
            if description.needs_keras_file:
                files[KERAS_FILE] = Path(scratch, KERAS_FILE)
                write_keras_file(model, files[KERAS_FILE])
        checkpoint = directory.commit(
            name,
            tensors={**state.arrays, **arrays},
            documents={
                "variables": state.index,
                "trainer": {**trainer, "learning_rate": description.learning_rate},
            },
            extra_files=files,
            backend=keras.backend.backend(),
            versions=versions(),
            architecture=description.config,
            **fields,
        )
    return checkpoint, description.problems
