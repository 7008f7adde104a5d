"""Describe one checkpoint of a model, or of a mapping of arrays, for the store."""

import dataclasses
import functools
import importlib.metadata
import platform
import shutil
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from multiback.checkpoint.loading.documents import KERAS_FILE
from multiback.distributed.formats import StateWriter, Write
from multiback.state import (
    Description,
    describe,
    host_view,
    is_sharded,
    page_locked_for,
    snapshot,
    values,
    write_keras_file,
)
from multiback.state.own_state import ways_of_own_state
from multiback.state.tree import keras_objects
from multiback.state.variables import optimizers_of
from multiback.store import Request
from multiback.store.disk.files import store_errors

# JSON and arrays for a resume.
Extras = tuple[Mapping[str, Any], Mapping[str, np.ndarray]]
NOTHING: Extras = ({}, {})
Allocate = Callable[[Mapping[str, Any]], Mapping[str, np.ndarray]]
# Takes a number of bytes.
Memory = Callable[[int], np.ndarray]
Buffers = Callable[[Mapping[str, Any], Memory | None], Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class SavePoint:
    """When something is saved.

    Attributes:
        epoch: Epochs completed.
        step: Batches trained on; in a user's own loop, the number that it gave.
        batch: Batches completed in the current epoch; None at its end.
        asked: The user asked for it.
    """

    epoch: int
    step: int
    batch: int | None = None
    asked: bool = False


def steps_of(source: Any) -> int:
    """Return how many steps a model's optimizer has made; 0 without one.

    If the compiled optimizer makes no steps, or a tree has several models and
    optimizers, the largest number of steps.
    """
    made = iterations_of(source)
    return made.get("optimizer") or max(made.values(), default=0)


def iterations_of(source: Any) -> dict[str, int]:
    """Return how many steps each optimizer of a model or a tree has made."""
    if isinstance(source, keras.Model):
        found = optimizers_of(source)
        return {way or "optimizer": _iterations(each) for way, each in found}
    if isinstance(source, keras.optimizers.Optimizer):
        return {"": _iterations(source)}
    if isinstance(source, Mapping):
        branches = list(source.items())
    elif isinstance(source, list | tuple):
        branches = list(enumerate(source))
    else:
        return {}
    return {
        f"{name}/{way}".rstrip("/"): made
        for name, branch in branches
        for way, made in iterations_of(branch).items()
    }


def _iterations(optimizer: Any) -> int:
    # With gradient accumulation it is computed, and not a variable.
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


@functools.cache
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


@dataclasses.dataclass(frozen=True)
class Draft:
    """A checkpoint that can be written while training continues.

    Attributes:
        request: What to write: copies, on the host.
        problems: In sentences, what will not load without help.
        cleanup: Call it once the request was written, or was dropped.
    """

    request: Request
    problems: list[str]
    cleanup: Callable[[], None]


def draft(
    name: str,
    model: Any,
    *,
    weights_only: bool,
    metric_states: bool,
    trainer: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    into: Buffers,
    scratch: Callable[[], Path],
    state_writer: StateWriter | None = None,
    is_writer: bool = True,
    **fields: Any,
) -> Draft:
    """Copy the current state of the model.

    Args:
        name: The name to give it.
        model: A built Keras model, a tree of arrays, or a function that returns one.
        weights_only: Leave out the optimizer and the metrics.
        metric_states: Whether to keep the variables of `model.metrics`.
        trainer: More facts for a resume; JSON.
        arrays: More arrays for a resume; copied too.
        into: A function that returns arrays to fill. Its arguments are their dtypes and
            shapes, and an allocator unless plain memory is wanted.
        scratch: Returns a new path for temporary files, in the run directory.
        state_writer: The writer of the model's own arrays; None for the store itself.
        is_writer: Whether this process writes more than its part. If not, it copies
            only its part.
        **fields: As for `Request`.

    Raises:
        StoreError: A file beside the state could not be written.
    """
    if isinstance(model, types.FunctionType | types.MethodType | functools.partial):
        model = model()
    further = {key: np.asarray(array) for key, array in arrays.items()}
    kinds = {key: (array.dtype, array.shape) for key, array in further.items()}
    memory: dict[str, np.ndarray] = {}
    is_model = isinstance(model, keras.Model)
    kind = (
        page_locked_for(model.variables) if is_model and state_writer is None else None
    )

    def allocate(asked: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
        memory.update(into({**asked, **kinds}, kind))
        return memory

    index, write = _copied(
        model,
        weights_only=weights_only,
        metrics=metric_states,
        into=allocate,
        state_writer=state_writer,
        is_writer=is_writer,
    )
    for key, array in further.items():
        np.copyto(memory[key], array)
    description = Description(None)
    files: dict[str, Path] = {}
    folder: Path | None = None

    def cleanup() -> None:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    try:
        if is_model and is_writer:
            description = describe(model)
            if description.needs_keras_file:
                # Only the live model can write it, so not in the background.
                folder = scratch()
                files[KERAS_FILE] = folder / KERAS_FILE
                with store_errors("write", files[KERAS_FILE]):
                    folder.mkdir()
                    write_keras_file(model, files[KERAS_FILE])
        lost = [] if is_model else _own_state_lost(model)
        request = Request(
            name,
            tensors=memory,
            labels={
                one["key"]: one["path"] for one in index if one["path"] != one["key"]
            },
            documents={
                "variables": index,
                "trainer": {
                    **trainer,
                    "learning_rate": description.learning_rate,
                    "own_state": description.own_state,
                    "state_in_config": description.state_in_config,
                    "iterations": iterations_of(model),
                },
            },
            extra_files=files,
            backend=keras.backend.backend(),
            versions=versions(),
            architecture=description.config,
            write_state=write,
            **fields,
        )
    except BaseException:
        cleanup()
        raise
    return Draft(request, description.problems + lost, cleanup)


def _own_state_lost(tree: Any) -> list[str]:
    """Return the models of a tree with state that only a model's checkpoint keeps."""
    return [
        f"The model at {'/'.join(map(str, at))!r} has state outside of its variables "
        f"(layer {way!r}), which a mapping does not keep. Save that model alone too."
        for at, one in keras_objects(tree)
        if isinstance(one, keras.Model)
        for way in ways_of_own_state(one)[:1]
    ]


def _copied(
    model: Any,
    *,
    weights_only: bool,
    metrics: bool,
    into: Allocate,
    state_writer: StateWriter | None,
    is_writer: bool,
) -> tuple[list[dict[str, Any]], Write | None]:
    """Copy the state; return its index, and the writer of a state writer's part."""
    if state_writer is None and is_writer:
        return snapshot(
            model, weights_only=weights_only, metrics=metrics, into=into
        ).index, None
    live, index = values(model, weights_only=weights_only, metrics=metrics)
    if state_writer is None:
        into({})
        for each in live.values():
            if is_sharded(each):
                # The writer asks all processes for it at this point.
                host_view(each)
        return index, None
    taken, write = state_writer.stage(live)
    rest = {key: host_view(one) for key, one in live.items() if key not in taken}
    memory = into({key: (array.dtype, array.shape) for key, array in rest.items()})
    for key, array in rest.items():
        np.copyto(memory[key], array)
    return index, write
