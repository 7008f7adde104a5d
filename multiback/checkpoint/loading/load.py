"""Load a checkpoint: the best of a run, the last, or the one at a path."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import keras

from multiback.checkpoint.arguments import check_flags, expanded
from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.loading.documents import (
    KERAS_FILE,
    keras_file,
    trainer_facts,
    variables_of,
)
from multiback.checkpoint.loading.find import (
    ALL,
    LATEST,
    PathLike,
    better_run,
    checkpoint_at,
    checkpoints_of,
    first_intact,
    rank,
)
from multiback.checkpoint.loading.restore import ModelState, restore_from, warn_of
from multiback.errors import (
    ArgumentError,
    CheckpointWarning,
    CorruptCheckpointError,
    NoCheckpointError,
    StateError,
)
from multiback.state import (
    RestoreReport,
    rebuild,
    rebuild_from_keras_file,
    tree,
    without_frozen_slots,
)
from multiback.state.bounds import Room, check_bounds, check_holes
from multiback.state.tree import is_tree
from multiback.store import (
    Checkpoint,
    is_remote,
    is_run_directory,
    open_checkpoint,
)
from multiback.warn import warn


def load_best(
    dirpath: PathLike,
    monitor: str | Monitor | None = None,
    *,
    mode: Mode | Literal["auto"] = "auto",
    run: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    bounded: bool = True,
) -> Any:
    """Load the best checkpoint of a run, under any backend.

    Args:
        dirpath: The run directory, or its URL.
        monitor: A recorded metric, an expression of some, or a `Monitor`, such as one
            with `where=`, to be best by; by default the run's monitor.
        mode: "max", "min" or "auto", for such a monitor.
        run: A run's id; "all" for the best of every run that recorded the monitor;
            "latest", the default, for the run that started last.
        custom_objects: Your own classes and functions by name, as Keras takes
            them.
        compile: Compile the model as it was, optimizer state included.
        safe_mode: Refuse lambdas, which are code inside the file.
        bounded: Refuse an architecture whose layers are larger than any saved weight,
            files and variables of 16 times the bytes that the checkpoint takes on the
            disk, and metrics of more than 2 GiB: a forged file could ask for any
            memory. Memory that your own classes allocate outside of Keras's variables
            is not bounded.

    Returns:
        The model; or, where no model was saved, the mapping of arrays.

    Raises:
        ArgumentError: `dirpath` or `mode` is not usable.
        NoCheckpointError: There is no checkpoint, or no checkpoint has a score.
        MonitorError: The monitor is not among the recorded metrics.
        CorruptCheckpointError: No checkpoint is intact.
        StateError: The model cannot be rebuilt; the message says what it needs.
    """
    check_flags(compile=compile, safe_mode=safe_mode, bounded=bounded)
    dirpath = expanded("dirpath=", dirpath)
    ordered = rank(checkpoints_of(dirpath, run), monitor, mode)
    latest = run in (None, LATEST)
    if latest and (better := better_run(dirpath, ordered[0], monitor, mode)):
        text = (
            f"The run {better[0]} is better by {better[1]!r} than the run "
            f'{ordered[0].run_id}, which was loaded. Pass run="all" for the best '
            "of all runs."
        )
        warn(text, CheckpointWarning)
    return first_intact(
        ordered,
        lambda one: _load(
            one, custom_objects, compile=compile, safe_mode=safe_mode, bounded=bounded
        ),
    )


def load_last(
    dirpath: PathLike,
    *,
    run: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    bounded: bool = True,
) -> Any:
    """Load the newest checkpoint of a run; see `load_best`.

    Args:
        dirpath: The run directory.
        run: A run's id, "all" or "latest", the default.
        custom_objects: As for `load_best`.
        compile: As for `load_best`.
        safe_mode: As for `load_best`.
        bounded: As for `load_best`.
    """
    check_flags(compile=compile, safe_mode=safe_mode, bounded=bounded)
    ordered = checkpoints_of(dirpath, run)[::-1]
    return first_intact(
        ordered,
        lambda one: _load(
            one, custom_objects, compile=compile, safe_mode=safe_mode, bounded=bounded
        ),
    )


def load(
    path: PathLike,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    bounded: bool = True,
) -> Any:
    """Load one checkpoint, such as `ModelCheckpoint.best_model_path`.

    Args:
        path: The checkpoint's directory, or short RUN/epoch=012: the beginning of a
            name that no other checkpoint of the run has; or a file such as
            RUN/best.keras, which Keras reads.
        custom_objects: As for `load_best`.
        compile: As for `load_best`.
        safe_mode: As for `load_best`.
        bounded: As for `load_best`.
    """
    check_flags(compile=compile, safe_mode=safe_mode, bounded=bounded)
    if isinstance(path, str | os.PathLike):
        file = Path(os.fsdecode(path)).expanduser()
        if file.suffix == ".keras" and file.is_file():
            return keras.saving.load_model(
                file, custom_objects, compile=compile, safe_mode=safe_mode
            )
    return _load(
        _opened(path),
        custom_objects,
        compile=compile,
        safe_mode=safe_mode,
        bounded=bounded,
    )


def _opened(path: PathLike) -> Checkpoint:
    """Open one checkpoint; raise a clear error for a whole run directory."""
    path = expanded("path=", path)
    if is_run_directory(path):
        raise NoCheckpointError(
            f"{os.fspath(path)} is a run directory, not one checkpoint. Use "
            "multiback.load_best or load_last, or pass a folder of its checkpoints/."
        )
    if not is_remote(path) and not os.path.exists(path):  # noqa: PTH110 - str or path
        text = f"There is no checkpoint at {os.fspath(path)}."
        if is_run_directory(os.path.dirname(os.fsdecode(path))):  # noqa: PTH120 - as above
            try:
                return checkpoint_at(path)
            except NoCheckpointError as error:
                raise NoCheckpointError(f"{text} {error}") from None
        raise NoCheckpointError(text)
    return open_checkpoint(path)


def _load(
    checkpoint: Checkpoint,
    custom_objects: Mapping[str, Any] | None,
    *,
    compile: bool,
    safe_mode: bool,
    bounded: bool,
) -> Any:
    index = variables_of(checkpoint)
    room = None
    if bounded:
        size, taken = checkpoint.stored_bytes()
        check_holes(size, taken)
        room = Room(taken)
    if any(entry["group"] == "tree" for entry in index):
        return tree(checkpoint.tensors(), index)
    config = checkpoint.architecture_document()
    if config is None:
        raise StateError(
            f"{checkpoint.location} holds no architecture: the model's class had no "
            "usable get_config. Build the model yourself, call it on a batch, then "
            "multiback.restore(model, path)."
        )
    if bounded:
        check_bounds(config if compile else {**config, "compile_config": None}, index)
    settings: dict[str, Any] = {
        "custom_objects": custom_objects,
        "compile": compile,
        "safe_mode": safe_mode,
        "learning_rate": trainer_facts(checkpoint).get("learning_rate"),
        "room": room,
    }
    if KERAS_FILE in checkpoint.files:
        # Keras reads it as a file, so verify it first.
        checkpoint.verify()
        with keras_file(checkpoint) as file:
            model = rebuild_from_keras_file(file, config, **settings)
    else:
        model = rebuild(config, **settings)
    fitting = without_frozen_slots(model, index)
    try:
        report = ModelState(
            model,
            checkpoint,
            fitting,
            optimizer=compile,
            own_state=KERAS_FILE not in checkpoint.files,
        ).restore(model)
    except StateError as error:
        raise StateError(
            f"{error}\n{type(model).__name__} was made from its config, and its "
            "variables are not those that were saved, as where build() or call() "
            "makes layers without building them. Make the model yourself, call it on a "
            "batch, then multiback.restore(model, path); for later runs, let build() "
            "build them."
        ) from error
    warn_of(report)
    saved_compiled = any(entry["group"] == "optimizer" for entry in index)
    if compile and saved_compiled and not model.compiled:
        cause = (
            f"{type(model).__name__} has a compile() of its own, and Keras calls none "
            "at a load"
            if config.get("compile_config")
            else "a function in compile() could not be saved"
        )
        warn(
            f"{checkpoint.name} comes uncompiled: {cause}; call compile() as before, "
            "then multiback.restore(model, path).",
            CheckpointWarning,
        )
    return model


def candidates(path: PathLike, which: str, run: str | None) -> list[Checkpoint]:
    """Return the checkpoint at a path; or those of a run directory, in order."""
    if which not in ("best", "last"):
        raise ArgumentError(f'which= wants "best" or "last", not {which!r}.')
    path = expanded("path=", path)
    if not is_run_directory(path):
        return [_opened(path)]
    found = checkpoints_of(path, run)
    return rank(found, None, "auto") if which == "best" else found[::-1]


def restore(
    model: keras.Model | Mapping[str, Any],
    path: PathLike,
    *,
    which: Literal["best", "last"] = "best",
    run: str | None = None,
    optimizer: bool = True,
    strict: bool = True,
    rounding: bool = False,
    bounded: bool = True,
) -> Any:
    """Put a checkpoint's state into a model that you built.

    Everything is restored: variables, optimizers, and layer state outside of variables,
    such as vocabularies. Everything left out is in the report, with a warning.

    Args:
        model: A built Keras model with the same variables; or, for a checkpoint
            of a mapping, a mapping of the same structure. Models and optimizers in it
            take their state; its other values are not used.
        path: A checkpoint's directory, or a run directory.
        which: Which checkpoint of a run directory: "best" or "last".
        run: Which run of a run directory; the latest by default.
        optimizer: Restore the optimizers' state too. One whose variables differ from
            the saved ones is left as it is, with a warning.
        strict: Raise where the weights differ. False: take what both have in the same
            shape, and list the rest in the report, as for a new head.
        rounding: Round floats to a narrower dtype of the model: float32 weights into a
            bfloat16 model.
        bounded: Refuse files of more than 16 times the bytes that they take on the
            disk: a forged file could ask for any memory.

    Returns:
        For a model, a `RestoreReport` of the restored parts; for a mapping, the arrays
        in its structure.

    Raises:
        ArgumentError: `model` is neither a model nor a mapping, or `path` is not a
            path.
        StateError: A weight is missing, extra or of another shape; the model is
            unchanged.
    """
    if not isinstance(model, keras.Model) and not is_tree(model):
        raise ArgumentError(
            "model= wants a built keras.Model, or a mapping of names to arrays, not "
            f"{model!r:.80}: restore(model, path)."
        )
    check_flags(optimizer=optimizer, strict=strict, rounding=rounding, bounded=bounded)
    ordered = candidates(path, which, run)
    misfits: list[Checkpoint] = []

    def fitting(one: Checkpoint) -> Any:
        try:
            if bounded:
                check_holes(*one.stored_bytes())
            return restore_checkpoint(
                model, one, optimizer=optimizer, strict=strict, rounding=rounding
            )
        except StateError as error:
            if run != ALL:
                raise
            misfits.append(one)
            raise CorruptCheckpointError(str(error)) from error

    with warnings.catch_warnings():
        if run == ALL:
            warnings.filterwarnings("ignore", message="Passed over")
        restored = first_intact(ordered, fitting)
    if misfits:
        warn(
            f"{len(misfits)} better checkpoints of other runs do not fit the model.",
            CheckpointWarning,
        )
    return restored


def restore_checkpoint(
    model: keras.Model | Mapping[str, Any], checkpoint: Checkpoint, **how: bool
) -> RestoreReport | Any:
    """Restore one opened checkpoint's state into a model or a mapping's structure."""
    return restore_from(model, checkpoint, variables_of(checkpoint), **how)
