"""Find checkpoints: those of a run, the best of them, the first that is intact.

No Keras here: the command line lists and ranks without it.
"""

import contextlib
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from multiback.checkpoint.arguments import check_path
from multiback.checkpoint.choosing.direction import Mode, check_mode
from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.choosing.names import missing_name
from multiback.checkpoint.choosing.recorded_scores import Judgement
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.choosing.slots import Entry, ranked
from multiback.checkpoint.loading.documents import (
    is_measurement,
    judgement_of,
    recorded_values,
)
from multiback.errors import (
    ArgumentError,
    CorruptCheckpointError,
    MonitorError,
    NoCheckpointError,
    StoreError,
)
from multiback.store import (
    Checkpoint,
    Runs,
    is_remote,
    open_checkpoint,
    open_run_directory,
)
from multiback.store.background.writer import wait_for

PathLike = str | os.PathLike[str]
T = TypeVar("T")


def checkpoints_of(dirpath: PathLike, run: str | None) -> list[Checkpoint]:
    """Return a run's checkpoints, oldest first; the latest run's by default.

    Raises:
        NoCheckpointError: There are none.
    """
    check_path("dirpath=", dirpath)
    directory = open_run_directory(dirpath)
    # This process may be writing one right now.
    wait_for(directory.path)
    run = directory.latest_run() if run is None else run
    found = directory.checkpoints(run) if run is not None else []
    skipped = [f"{path}: {why}" for path, why in directory.skipped]
    if not found:
        raise NoCheckpointError(
            f"{directory.location} holds no committed checkpoint"
            + (f" of the run {run!r}" if run is not None else "")
            + "".join(f"\n  passed over {each}" for each in skipped)
            + ". "
            + _what_to_pass(directory)
        )
    for each in skipped:
        warnings.warn(f"Passed over {each}", stacklevel=3)
    return found


def _what_to_pass(directory: Runs) -> str:
    """Say what to do where a directory has not the checkpoint that was asked for."""
    here = not is_remote(directory.location)
    with contextlib.suppress(ArgumentError, StoreError):
        open_checkpoint(directory.location)
        return "It is one checkpoint itself: use multiback.load(path)."
    if here and not directory.path.exists():
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
    newest = judgement_of(found[-1])
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
    available = {name for checkpoint in found for name in recorded_values(checkpoint)}
    for name in monitor.missing(available):
        raise MonitorError(missing_name(name, available))
    scorer = Scorer([monitor])
    modes = {monitor.label: scorer.mode(monitor)}
    scores = [monitor.measure(recorded_values(checkpoint)) for checkpoint in found]
    # Under the text that was given, which is what the caller ranks by.
    return [
        Judgement({} if score is None else {monitor.label: score}, modes)
        for score in scores
    ]


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


def history(dirpath: PathLike, *, run: str | None = None) -> list[dict[str, Any]]:
    """Read every metric of every epoch of a run, saved or not.

    `pandas.DataFrame(multiback.history(dirpath))` has one column a metric.

    Args:
        dirpath: The run directory.
        run: A run's id; the run that began last by default, even if it has no
            checkpoint yet.

    Returns:
        One flat record a measurement, by epoch and step: "run_id", "epoch", "step",
        "time" (seconds since 1970) and each metric under its own name; arrays are
        lists. A metric with one of those four names has
        "metrics/" before it. Of a run that was resumed, the epochs that were done
        again appear once.

    Raises:
        ArgumentError: There is no such run.

    Example:
    >>> import tempfile, multiback as mb
    >>> folder = tempfile.TemporaryDirectory()
    >>> with mb.Checkpointer(folder.name, "f1", mode="max") as checkpointer:
    ...     saved = checkpointer.step({"w": [1.0]}, {"f1": 0.5, "loss": 2.0})
    >>> [(row["epoch"], row["f1"], row["loss"]) for row in history(folder.name)]
    [(1, 0.5, 2.0)]
    >>> folder.cleanup()
    """
    fixed = ("run_id", "epoch", "step", "time")
    return [
        {
            **{name: one.get(name) for name in fixed},
            **{
                f"metrics/{name}" if name in fixed else name: value
                for name, value in one["metrics"].items()
            },
        }
        for one in measurements(dirpath, run=run)
    ]


def measurements(dirpath: PathLike, *, run: str | None) -> list[dict[str, Any]]:
    """Read a run's history as it was written, without what a resumed run did again.

    Args:
        dirpath: The run directory.
        run: A run's id; None for the run that began last.

    Returns:
        One record a measurement with "run_id", "epoch", "step", "time" and
        "metrics", by epoch and step.

    Raises:
        ArgumentError: There is no such run.
    """
    check_path("dirpath=", dirpath)
    runs = open_run_directory(dirpath)
    records = list(filter(is_measurement, runs.history(run)))
    if run is not None and not records and run not in (known := runs.run_ids()):
        raise ArgumentError(
            f"run= must be the id of a run in {dirpath}, but is {run!r}. There "
            + (f"are, the newest first: {', '.join(known)}." if known else "is none.")
        )
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
