"""`multiback export`: one file that can be read without multiback."""

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

import multiback.metrics  # noqa: F401 - registers what a model may hold
from multiback.checkpoint import load
from multiback.checkpoint.loading.export import (
    WEIGHTS,
    put,
    temporary_beside,
    write_model,
)
from multiback.cli.commands.show import variables
from multiback.errors import ArgumentError, MissingPackageError, StateError
from multiback.store import Checkpoint, Files
from multiback.store.format.tensor_file import Array, write_tensors

KERAS = ".keras"
SAFETENSORS = ".safetensors"
_WANTED = f"{KERAS}, {WEIGHTS} or {SAFETENSORS}"


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    modules: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Write a checkpoint as one file, in the format of the file's ending.

    The file appears complete or not at all. `.keras` holds a whole model without how it
    was compiled, which plain `keras.saving.load_model` reads under any backend;
    `.weights.h5` is for `model.load_weights`; `.safetensors` has the weights by their
    paths. `modules` are the user's, imported first; with `force` a file that is there
    is replaced. Return the absolute path.
    """
    ending = next(
        (e for e in (KERAS, WEIGHTS, SAFETENSORS) if out.name.endswith(e)), ""
    )
    if not ending or out.name == ending:
        raise ArgumentError(f"out must end in {_WANTED}, but is {str(out)!r}.")
    if out.exists() and not force:
        raise ArgumentError(
            f"{out} must not exist, but does. Choose another name, or pass --force."
        )
    if not out.resolve().parent.is_dir():
        raise ArgumentError(f"{out.resolve().parent} must be a directory. Create it.")
    out = out.resolve()
    if ending != SAFETENSORS:
        write_model(_model(checkpoint, ending, modules), out)
        return out
    temporary = temporary_beside(out)
    try:
        write_tensors(Files(), temporary, weights(checkpoint))
        put(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return out


def weights(checkpoint: Checkpoint) -> dict[str, Array]:
    """Return a model's weights by path, or a tree's arrays by name.

    Only multiback can use the state of optimizer, metrics and random generators.
    """
    arrays = checkpoint.tensors()
    named: dict[str, Array] = {}
    index = variables(checkpoint)
    if not index:
        return arrays
    for entry in index:
        if entry["group"] not in ("weights", "tree"):
            continue
        key, path = entry["key"], entry["path"]
        # Keras does not promise that paths differ.
        named[path if path not in named else f"{path} ({key})"] = arrays[key]
    return named


def _model(checkpoint: Checkpoint, ending: str, modules: Sequence[str]) -> keras.Model:
    """Load the model."""
    model = load(checkpoint.location, custom_objects=objects_in(modules), compile=False)
    if not isinstance(model, keras.Model):
        raise StateError(
            f"{checkpoint.location} holds arrays and no Keras model, so it cannot "
            f"become a {ending} file. Export it to a name that ends in {SAFETENSORS}."
        )
    return model


def objects_in(modules: Sequence[str]) -> Mapping[str, Any]:
    """Import modules and return their classes and functions by name."""
    if modules:
        # As `python -m` does: a script's own modules are in its directory.
        sys.path.insert(0, str(Path.cwd()))
    objects: dict[str, Any] = {}
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise MissingPackageError(
                f"--import {name} must name a module that Python can import from "
                f"here, but: {error}. Go to its directory, or install it."
            ) from error
        objects |= {
            key: value
            for key, value in vars(module).items()
            if inspect.isclass(value) or inspect.isfunction(value)
        }
    return objects
