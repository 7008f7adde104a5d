"""Load a checkpoint: the best of a run, the last, or the one at a path."""

import contextlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import keras

from multiback.checkpoint.arguments import check_path, is_run_directory
from multiback.checkpoint.direction import Mode, check_mode
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
    StoreError,
)
from multiback.state import (
    RestoreReport,
    rebuild,
    rebuild_from_keras_file,
    restore_tree,
    tree,
    without_frozen_slots,
)
from multiback.state import restore as restore_state
from multiback.store import Checkpoint, RunDirectory, open_checkpoint

PathLike = str | os.PathLike[str]
T = TypeVar("T")


def checkpoints_of(dirpath: PathLike, run: str | None) -> list[Checkpoint]:
    """Return a run's checkpoints, oldest first; the latest run's by default.

    Raises:
        NoCheckpointError: There are none.
    """
    check_path("dirpath=", dirpath)
    directory = RunDirectory(dirpath)
    run = directory.latest_run() if run is None else run
    found = directory.checkpoints(run) if run is not None else []
    skipped = [f"{path}: {why}" for path, why in directory.skipped]
    if not found:
        raise NoCheckpointError(
            f"{directory.path} holds no committed checkpoint"
            + (f" of the run {run!r}" if run is not None else "")
            + "".join(f"\n  passed over {each}" for each in skipped)
            + ". "
            + _what_to_pass(directory)
        )
    for each in skipped:
        warnings.warn(f"Passed over {each}", stacklevel=3)
    return found


def _what_to_pass(directory: RunDirectory) -> str:
    """Say what to do where a directory has not the checkpoint that was asked for."""
    with contextlib.suppress(StoreError):
        open_checkpoint(directory.path)
        return "It is one checkpoint itself: use multiback.load(path)."
    if not directory.path.exists():
        return (
            "There is no such directory. Pass the one that was given to "
            "ModelCheckpoint."
        )
    runs = dict.fromkeys(one.run_id for one in directory.checkpoints())
    if runs:
        return f"Its runs, oldest first, are: {', '.join(map(repr, runs))}."
    return "Pass the directory that was given to ModelCheckpoint."


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
        ArgumentError: `mode` is another word, or contradicts what the run was
            judged by.
        MonitorError: The run had no monitor, or the name was never recorded.
        NoCheckpointError: None has a score.
    """
    check_mode(mode)
    newest = Judgement.of(found[-1].extra)
    labels = list(newest.ranking) if monitor is None else [monitor]
    if not labels:
        raise MonitorError(
            f"The run {found[-1].run_id!r} was not judged by anything. Pass monitor= "
            "with a recorded metric, one of "
            f"{', '.join(sorted(found[-1].metrics)) or '(none)'}; or use load_last."
        )
    judged_by = newest.modes.get(labels[0])
    if monitor is None and mode not in ("auto", judged_by):
        raise ArgumentError(
            f"The run was judged by {labels[0]!r}, of which {judged_by!r} is best, "
            f"and mode= says {mode!r}. Leave mode= out, or pass monitor= with it."
        )
    if monitor is None or (
        monitor in newest.modes and mode in ("auto", newest.modes[monitor])
    ):
        judged = [Judgement.of(checkpoint.extra) for checkpoint in found]
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
        ArgumentError: `dirpath` or `mode` is not usable.
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
    return _load(_opened(path), custom_objects, compile=compile, safe_mode=safe_mode)


def _opened(path: PathLike) -> Checkpoint:
    """Open one checkpoint; say so where it is a whole run directory."""
    check_path("path=", path)
    if is_run_directory(path):
        raise NoCheckpointError(
            f"{os.fspath(path)} is a run directory, not one checkpoint. Use "
            "multiback.load_best or load_last, or pass a folder of its checkpoints/."
        )
    if not os.path.exists(path):  # noqa: PTH110 - str or path
        raise NoCheckpointError(f"There is no checkpoint at {os.fspath(path)}.")
    return open_checkpoint(path)


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
    index = checkpoint.document("variables")
    if any(entry["group"] == "tree" for entry in index):
        return tree(arrays, index)
    config = checkpoint.architecture_document()
    if config is None:
        raise StateError(
            f"{checkpoint.path} holds no architecture: the model's class had no usable "
            "get_config. Build the model yourself, call it on a batch, then "
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
    restore_state(model, arrays, without_frozen_slots(model, index), optimizer=compile)
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
    check_path("dirpath=", dirpath)
    records = RunDirectory(dirpath).history(run)
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
        ArgumentError: `model` is no model and no mapping, or `path` no path.
        StateError: Something is missing, extra or of another shape; the model is
            unchanged.
    """
    if which not in ("best", "last"):
        raise ArgumentError(f'which= wants "best" or "last", not {which!r}.')
    if not isinstance(model, keras.Model | Mapping | list | tuple):
        raise ArgumentError(
            "model= wants a built keras.Model, or a mapping of names to arrays, not "
            f"{model!r:.80}: restore(model, path)."
        )
    check_path("path=", path)
    ordered = [] if is_run_directory(path) else [_opened(path)]
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
    index = checkpoint.document("variables")
    if isinstance(model, keras.Model):
        return restore_state(model, arrays, index, optimizer=optimizer)
    return restore_tree(model, arrays, index)
