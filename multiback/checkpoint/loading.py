"""Load a checkpoint: the best of a run, the last, or the one at a path."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from multiback.checkpoint.checkpointer import KERAS_FILE, scores_of
from multiback.checkpoint.direction import Mode
from multiback.checkpoint.monitor import Monitor
from multiback.checkpoint.names import missing_name
from multiback.checkpoint.retention import Best, Entry
from multiback.checkpoint.scores import Scorer
from multiback.errors import (
    ArgumentError,
    CorruptCheckpointError,
    MonitorError,
    NoCheckpointError,
    StateError,
)
from multiback.state import (
    RestoreReport,
    rebuild,
    rebuild_from_keras_file,
    restore_tree,
    tree,
)
from multiback.state import restore as restore_state
from multiback.store import Checkpoint, RunDirectory, open_checkpoint

PathLike = str | os.PathLike[str]


def checkpoints_of(dirpath: PathLike, run: str | None) -> list[Checkpoint]:
    """Return a run's checkpoints, oldest first; the latest run's by default.

    Raises:
        NoCheckpointError: There are none.
    """
    directory = RunDirectory(dirpath)
    run = directory.latest_run() if run is None else run
    found = directory.checkpoints(run) if run is not None else []
    if not found:
        skipped = "".join(f"\n  {path}: {why}" for path, why in directory.skipped)
        raise NoCheckpointError(
            f"{directory.path} holds no committed checkpoint"
            + (f" of the run {run!r}" if run is not None else "")
            + (f"; passed over:{skipped}" if skipped else ".")
            + " Pass the directory that was given to ModelCheckpoint."
        )
    return found


def rank(
    found: Sequence[Checkpoint], monitor: str | None, mode: Mode | Literal["auto"]
) -> list[Checkpoint]:
    """Sort checkpoints, best first; those without a score are left out.

    Args:
        found: Checkpoints of one run, oldest first.
        monitor: A metric's name or an expression; None for what the run was
            judged by.
        mode: "max", "min" or "auto".

    Raises:
        MonitorError: The run had no monitor, or the name was never recorded.
    """
    newest = found[-1].extra
    label = newest.get("monitor") if monitor is None else monitor
    if label is None:
        raise MonitorError(
            f"The run {found[-1].run_id!r} was not judged by anything. Pass monitor= "
            "with a recorded metric, one of "
            f"{', '.join(sorted(found[-1].metrics)) or '(none)'}; or use load_last."
        )
    recorded = newest.get("modes", {})
    if label in recorded and mode in ("auto", recorded[label]):
        asked = Monitor(label, recorded[label])
        scores = [scores_of(checkpoint).get(label) for checkpoint in found]
    else:
        asked = Monitor(label, mode)
        available = {name for checkpoint in found for name in checkpoint.metrics}
        for name in asked.missing(available):
            raise MonitorError(missing_name(name, available))
        scores = [asked.measure(checkpoint.metrics) for checkpoint in found]
    scorer = Scorer([asked])
    scorer.mode(asked)
    entries = [
        Entry(order=order, goodness=scorer.goodness({asked.label: score}))
        for order, score in enumerate(scores)
        if score is not None
    ]
    return [found[entry.order] for entry in Best(asked).ranked(entries)]


def load_best(
    dirpath: PathLike,
    monitor: str | None = None,
    *,
    mode: Mode | Literal["auto"] = "auto",
    run: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load the best checkpoint of a run, under whichever backend Keras has now.

    Args:
        dirpath: The run directory.
        monitor: A recorded metric, or an expression of some, to be best by; by
            default what the run was judged by.
        mode: "max", "min" or "auto", for such a monitor.
        run: A run's id; the latest run by default.
        custom_objects: Your own classes and functions by name, as Keras takes
            them.
        compile: Compile the model as it was, optimizer state included.
        safe_mode: Refuse lambdas, which are code inside the file.

    Returns:
        The model; or, where no model was saved, the mapping of arrays.

    Raises:
        NoCheckpointError: There is no checkpoint, or none with a score.
        MonitorError: The monitor is not among the recorded metrics.
        CorruptCheckpointError: No checkpoint is intact.
        StateError: The model cannot be rebuilt; the message says what it needs.
    """
    found = checkpoints_of(dirpath, run)
    ranked = rank(found, monitor, mode)
    if not ranked:
        raise NoCheckpointError(
            f"No checkpoint of the run {found[-1].run_id!r} in {dirpath} has a score "
            "that can be best (it was absent or NaN). Use load_last."
        )
    return _first_intact(ranked, custom_objects, compile=compile, safe_mode=safe_mode)


def load_last(
    dirpath: PathLike,
    *,
    run: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load the newest checkpoint of a run; see `load_best`.

    Args:
        dirpath: The run directory.
        run: A run's id; the latest run by default.
        custom_objects: As for `load_best`.
        compile: As for `load_best`.
        safe_mode: As for `load_best`.
    """
    found = checkpoints_of(dirpath, run)
    return _first_intact(
        found[::-1], custom_objects, compile=compile, safe_mode=safe_mode
    )


def load(
    path: PathLike,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load one checkpoint, such as `ModelCheckpoint.best_model_path`.

    Args:
        path: The checkpoint's directory.
        custom_objects: As for `load_best`.
        compile: As for `load_best`.
        safe_mode: As for `load_best`.
    """
    return _load(
        open_checkpoint(path), custom_objects, compile=compile, safe_mode=safe_mode
    )


def _first_intact(
    ordered: Sequence[Checkpoint],
    custom_objects: Mapping[str, Any] | None,
    *,
    compile: bool,
    safe_mode: bool,
) -> Any:
    """Load the first checkpoint that is intact, saying which were passed over."""
    for checkpoint in ordered:
        try:
            return _load(
                checkpoint, custom_objects, compile=compile, safe_mode=safe_mode
            )
        except CorruptCheckpointError as error:
            damage = error
            warnings.warn(f"Passed over {checkpoint.name}: {error}", stacklevel=3)
    raise damage


def _load(
    checkpoint: Checkpoint,
    custom_objects: Mapping[str, Any] | None,
    *,
    compile: bool,
    safe_mode: bool,
) -> Any:
    arrays = checkpoint.tensors()
    index = checkpoint.document("variables")
    if any(entry["group"] == "tree" for entry in index):
        return tree(arrays, index)
    config = checkpoint.architecture_document()
    if config is None:
        raise StateError(
            f"{checkpoint.path} holds no architecture: the model could not be written "
            "down when it was saved. Build it yourself, then call "
            "multiback.restore(model, path)."
        )
    settings = {
        "custom_objects": custom_objects,
        "compile": compile,
        "safe_mode": safe_mode,
        "learning_rate": checkpoint.document("trainer").get("learning_rate"),
    }
    if KERAS_FILE in checkpoint.files:
        # Read as a file by Keras, so verify it first.
        checkpoint.verify()
        model = rebuild_from_keras_file(
            checkpoint.path / KERAS_FILE, config, **settings
        )
    else:
        model = rebuild(config, **settings)
    restore_state(model, arrays, index, optimizer=compile)
    return model


def restore(
    model: keras.Model | Mapping[str, Any],
    path: PathLike,
    *,
    which: Literal["best", "last"] = "best",
    run: str | None = None,
    optimizer: bool = True,
) -> Any:
    """Put a checkpoint's state into a model that you built, all of it or nothing.

    Args:
        model: A built Keras model with the same variables; or, for a checkpoint
            of a mapping, a mapping of the same structure.
        path: A checkpoint's directory, or a run directory.
        which: Which checkpoint of a run directory: "best" or "last".
        run: Which run of a run directory; the latest by default.
        optimizer: Restore the optimizer's state too.

    Returns:
        For a model, a `RestoreReport` of what was restored; for a mapping, the
        arrays in its structure.

    Raises:
        StateError: Something is missing, extra or of another shape; the model is
            unchanged.
    """
    if which not in ("best", "last"):
        raise ArgumentError(f'which= wants "best" or "last", not {which!r}.')
    if Path(path, "checkpoints").is_dir():
        found = checkpoints_of(path, run)
        checkpoint = rank(found, None, "auto")[0] if which == "best" else found[-1]
    else:
        checkpoint = open_checkpoint(path)
    return restore_checkpoint(model, checkpoint, optimizer=optimizer)


def restore_checkpoint(
    model: keras.Model | Mapping[str, Any],
    checkpoint: Checkpoint,
    *,
    optimizer: bool = True,
) -> RestoreReport | Any:
    """Put one opened checkpoint's state into a model or a mapping's structure."""
    arrays = checkpoint.tensors()
    index = checkpoint.document("variables")
    if isinstance(model, keras.Model):
        return restore_state(model, arrays, index, optimizer=optimizer)
    return restore_tree(model, arrays, index)
