"""Write one file that plain Keras reads, completely or not at all."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from multiback.checkpoint.loading.find import first_intact
from multiback.checkpoint.loading.load import load
from multiback.errors import MultibackError, StoreError
from multiback.keras_private import layers_of
from multiback.state import custom_classes, write_keras_file
from multiback.store import Checkpoint, Files, Runs
from multiback.store.disk.files import store_errors, sync_directory
from multiback.store.disk.removal import TEMPORARY

WEIGHTS = ".weights.h5"
BEST = "best.keras"

# Keras's errors hold whole configs.
_LONGEST = 90


def temporary_beside(out: Path) -> Path:
    """Return a name in the same directory; a killed process leaves it as garbage."""
    return out.with_name(f"{TEMPORARY}{secrets.token_hex(8)}-{out.name}")


def put(temporary: Path, out: Path) -> None:
    """Rename the finished file, durably."""
    files = Files()
    if out.is_dir():
        raise StoreError(f"{out} must be a file, but is a directory. Choose another.")
    with store_errors("replace", out):
        files.replace(temporary, out)
    sync_directory(files, out.parent)


def write_model(model: keras.Model, out: Path) -> None:
    """Write a model's file: `.weights.h5`, or `.keras` without how it was compiled.

    The path is absolute; an existing file is replaced once the new one is complete.
    """
    temporary = temporary_beside(out)
    try:
        with store_errors("write", out):
            if out.name.endswith(WEIGHTS):
                model.save_weights(temporary)
            else:
                write_keras_file(model, temporary)
        with store_errors("fsync", out):
            descriptor = os.open(temporary, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        put(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)


def export_best(
    directory: Runs, ordered: Sequence[Checkpoint], live: keras.Model
) -> list[str]:
    """Write RUN/best.keras, and return the problems: the checkpoint exists in any case.

    The live model knows the classes of its layers.
    """
    if ordered[0].architecture is None:
        # Reported when training began: the model cannot be serialised.
        return []
    known = custom_classes(live)

    def read(checkpoint: Checkpoint) -> Any:
        return load(checkpoint.location, custom_objects=known, compile=False)

    merged = [
        f"{BEST} predicts slightly otherwise than the checkpoint: Keras rounds LoRA "
        f"into the quantized kernel of {layer.name!r}. multiback.load_best is exact."
        for layer in layers_of(live)
        if getattr(layer, "lora_enabled", False)
        and getattr(layer, "quantization_mode", None)
    ]
    try:
        write_model(first_intact(ordered, read), directory.path / BEST)
        directory.publish(BEST)
    except (MultibackError, OSError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:_LONGEST]
        problem = (
            f"{BEST} could not be written ({reason}): load the best with "
            "multiback.load_best(dirpath), or pass export_best=False."
        )
        return [problem]
    return merged[:1]
