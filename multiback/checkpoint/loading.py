"""Load a checkpoint: the best of a run, the last, or the one at a path."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import keras

from multiback.checkpoint.direction import Mode
from multiback.checkpoint.documents import (
    is_measurement,
    judgement_of,
    trainer_facts,
    variables_of,
)
from multiback.checkpoint.judgement import Judgement
from multiback.checkpoint.monitor import Monitor
from multiback.checkpoint.names import missing_name
from multiback.checkpoint.retention import Entry, ranked
from multiback.checkpoint.scores import Scorer
from multiback.checkpoint.writing import KERAS_FILE
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
from multiback.store import (
    Checkpoint,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)

PathLike = str | os.PathLike[str]
T = TypeVar("T")


def checkpoints_of(dirpath: PathLike, run: str | None) -> list[Checkpoint]:
    """Return a run's checkpoints, oldest first; the latest run's by default.

    Raises:
        NoCheckpointError: There are none.
    """
    directory = open_run_directory(dirpath)
    run = directory.latest_run() if run is None else run
    found = directory.checkpoints(run) if run is not None else []
    skipped = [f"{path}: {why}" for path, why in directory.skipped]
    if not found:
        raise NoCheckpointError(
            f"{directory.location} holds no committed checkpoint"
            + (f" of the run {run!r}" if run is not None else "")
            + "".join(f"\n  passed over {each}" for each in skipped)
            + ". Pass the directory that was given to ModelCheckpoint."
        )
    for each in skipped:
        warnings.warn(f"Passed over {each}", stacklevel=3)
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
        NoCheckpointError: None has a score.
    """
    newest = judgement_of(found[-1])
    labels = list(newest.ranking) if monitor is None else [monitor]
    if not labels:
        raise MonitorError(
            f"The run {found[-1].run_id!r} was not judged by anything. Pass monitor= "
            "with a recorded metric, one of "
            f"{', '.join(sorted(found[-1].metrics)) or '(none)'}; or use load_last."
        )
    if monitor is None or (
        monitor in newest.modes and mode in ("auto", newest.modes[monitor])
    ):
        judged = [judgement_of(checkpoint) for checkpoint in found]
    else:
        judged = _judged_anew(found, Monitor(monitor, mode))
    entries = [Entry(i, goodness=each.goodness) for i, each in enumerate(judged)]
    best = ranked(entries, labels)
    if not best:
        raise NoCheckpointError(
            f"No checkpoint of the run {found[-1].run_id!r} has a score for "
            f"{labels[0]!r} that can be best (it was absent or NaN). Use load_last."
        )
    return [found[entry.order] for entry in best]


def _judged_anew(found: Sequence[Checkpoint], monitor: Monitor) -> list[Judgement]:
    """Score checkpoints by the metrics that were recorded with them."""
    available = {name for checkpoint in found for name in checkpoint.metrics}
    for name in monitor.missing(available):
        raise MonitorError(missing_name(name, available))
    scorer = Scorer([monitor])
    modes = {monitor.label: scorer.mode(monitor)}
    scores = [monitor.measure(checkpoint.metrics) for checkpoint in found]
    # Under the text that was given, which is what the caller ranks by.
    return [
        Judgement({} if score is None else {monitor.label: score}, modes)
        for score in scores
    ]


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
        dirpath: The run directory, or its URL.
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
    ordered = rank(checkpoints_of(dirpath, run), monitor, mode)
    return first_intact(
        ordered,
        lambda one: _load(one, custom_objects, compile=compile, safe_mode=safe_mode),
    )


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
    ordered = checkpoints_of(dirpath, run)[::-1]
    return first_intact(
        ordered,
        lambda one: _load(one, custom_objects, compile=compile, safe_mode=safe_mode),
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


def first_intact(ordered: Sequence[Checkpoint], read: Callable[[Checkpoint], T]) -> T:
    """Read the first checkpoint that is intact, saying which were passed over.

    Raises:
        CorruptCheckpointError: None is.
    """
    for checkpoint in ordered:
        try:
            return read(checkpoint)
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
    index = variables_of(checkpoint)
    if any(entry["group"] == "tree" for entry in index):
        return tree(arrays, index)
    config = checkpoint.architecture_document()
    if config is None:
        raise StateError(
            f"{checkpoint.location} holds no architecture: the model could not be "
            "written down when it was saved. Build it yourself, then call "
            "multiback.restore(model, path)."
        )
    settings: dict[str, Any] = {
        "custom_objects": custom_objects,
        "compile": compile,
        "safe_mode": safe_mode,
        "learning_rate": trainer_facts(checkpoint).get("learning_rate"),
    }
    if KERAS_FILE in checkpoint.files:
        # Read as a file by Keras, so verify it first.
        checkpoint.verify()
        with checkpoint.local_file(KERAS_FILE) as file:
            model = rebuild_from_keras_file(file, config, **settings)
    else:
        model = rebuild(config, **settings)
    restore_state(model, arrays, index, optimizer=compile)
    saved_compiled = any(entry["group"] == "optimizer" for entry in index)
    if compile and saved_compiled and not model.compiled:
        warnings.warn(
            f"{checkpoint.name} does not say how the model was compiled, so it comes "
            "uncompiled: a function in compile() could not be written down. Call "
            "compile() as before, then multiback.restore(model, path).",
            stacklevel=4,
        )
    return model


def history(dirpath: PathLike, *, run: str | None = None) -> list[dict[str, Any]]:
    """Read every metric of every epoch of a run, saved or not.

    Args:
        dirpath: The run directory.
        run: A run's id; the run that began last by default, even if it has no
            checkpoint yet.

    Returns:
        One record a measurement with "run_id", "epoch", "step", "time" and
        "metrics", by epoch and step. Where a run was resumed, what was done before
        and lost does not stand there.
    """
    records = list(filter(is_measurement, open_run_directory(dirpath).history(run)))
    if run is None and records:
        records = [one for one in records if one["run_id"] == records[-1]["run_id"]]
    lived: list[dict[str, Any]] = []
    for record in records:
        moment = record["epoch"], record["step"]
        while lived and (lived[-1]["epoch"], lived[-1]["step"]) >= moment:
            # A resumed run has done it again, or not come there any more.
            lived.pop()
        lived.append(record)
    return lived


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
    ordered = [open_checkpoint(path)] if not is_run_directory(path) else []
    if not ordered:
        found = checkpoints_of(path, run)
        ordered = rank(found, None, "auto") if which == "best" else found[::-1]
    return first_intact(
        ordered, lambda one: restore_checkpoint(model, one, optimizer=optimizer)
    )


def restore_checkpoint(
    model: keras.Model | Mapping[str, Any],
    checkpoint: Checkpoint,
    *,
    optimizer: bool = True,
) -> RestoreReport | Any:
    """Put one opened checkpoint's state into a model or a mapping's structure."""
    arrays = checkpoint.tensors()
    index = variables_of(checkpoint)
    if isinstance(model, keras.Model):
        return restore_state(model, arrays, index, optimizer=optimizer)
    return restore_tree(model, arrays, index)
