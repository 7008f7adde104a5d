"""Find checkpoints: of a run, the best, the first intact one.

No Keras here: the command line lists and ranks without it.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from multiback.checkpoint.arguments import expanded
from multiback.checkpoint.choosing.direction import Mode, check_mode, find_direction
from multiback.checkpoint.choosing.monitor import Logs, Monitor, split_label
from multiback.checkpoint.choosing.names import canonical_name, find_name, missing_name
from multiback.checkpoint.choosing.ranking import Entry, ranked
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.choosing.slots import as_monitor
from multiback.checkpoint.loading.documents import (
    Judged,
    recorded_directions,
    recorded_earlier_scores,
    recorded_scores_of,
    recorded_threshold,
    recorded_values,
    variables_of,
)
from multiback.errors import (
    ArgumentError,
    CheckpointWarning,
    CorruptCheckpointError,
    MonitorError,
    NoCheckpointError,
    StoreError,
    cleaned,
)
from multiback.progress import progress_bar
from multiback.store import (
    Checkpoint,
    Runs,
    is_remote,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)
from multiback.store.background.writer import wait_for
from multiback.warn import warn

PathLike = str | os.PathLike[str]
# By what to judge; None for the run's own monitor.
Wanted = str | Callable[[Logs], float | None] | Monitor | None
T = TypeVar("T")
# Words for `run=`, beside the ids.
ALL, LATEST = "all", "latest"
# How many names an error lists.
_SHOWN = 50


def checkpoints_of(dirpath: PathLike, run: str | None) -> list[Checkpoint]:
    """Return the checkpoints of a run, or of "all", oldest first.

    None and "latest" are the run that started last among those that have a checkpoint.
    """
    dirpath = expanded("dirpath=", dirpath)
    directory = open_run_directory(dirpath)
    # This process may be writing one right now.
    wait_for(directory.path)
    if run == ALL:
        found = directory.checkpoints()
    else:
        run = directory.latest_run() if run in (None, LATEST) else run
        found = directory.checkpoints(run) if run is not None else []
    skipped = [f"{path}: {why}" for path, why in directory.skipped]
    if not found:
        raise NoCheckpointError(
            f"{directory.location} holds no committed checkpoint"
            + (f" of the run {run!r}" if run not in (None, ALL) else "")
            + "".join(f"\n  passed over {each}" for each in skipped)
            + ". "
            + _what_to_pass(directory)
        )
    for each in skipped:
        warn(cleaned(f"Passed over {each}"), CheckpointWarning)
    return found


def _what_to_pass(directory: Runs) -> str:
    """Return advice for a directory without the requested checkpoint."""
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


def checkpoint_at(path: PathLike) -> Checkpoint:
    """Open one checkpoint by its path, or by a short one: RUN/best, RUN/epoch=012.

    A path is a checkpoint's directory or URL; or a run directory and "best", "last", a
    checkpoint's name, or the beginning of a name that no other has.
    """
    path = expanded("path=", path)
    if is_run_directory(path):
        raise NoCheckpointError(
            f"{os.fspath(path)} is a run directory, and one checkpoint is wanted. Add "
            "/best, /last or the beginning of a checkpoint's name."
        )
    text = os.fsdecode(path)
    folder, name = os.path.split(text.rstrip("/"))
    # A link such as `best` is opened as it is.
    is_short = is_remote(path) or not os.path.lexists(text)
    if not folder or not is_short or not is_run_directory(folder):
        return open_checkpoint(path)
    if name in ("best", "last"):
        found = checkpoints_of(folder, LATEST)
        return found[-1] if name == "last" else rank(found, None, "auto")[0]
    found = checkpoints_of(folder, ALL)
    exact = [one for one in found if one.name == name]
    near = exact or [one for one in found if one.name.startswith(name)]
    if len(near) == 1:
        return near[0]
    names = ", ".join(one.name for one in (near or found)[:_SHOWN])
    what = "is none of" if not near else "could be each of"
    raise NoCheckpointError(
        f"{name!r} {what} the checkpoints {names}. Give one name, or enough of its "
        "beginning."
    )


def rank(
    found: Sequence[Checkpoint], monitor: Wanted, mode: Mode | Literal["auto"]
) -> list[Checkpoint]:
    """Sort checkpoints, best first; drop those without a score.

    Given are those of one run or of several, oldest first; without a monitor, the runs'
    own one counts. A `mode` that contradicts the run's own direction raises.
    """
    labels, entries, within = _scored(found, monitor, mode)
    best = ranked(entries, labels, within)
    if not best:
        raise NoCheckpointError(
            f"No checkpoint of the run {found[-1].run_id!r} has a score for "
            f"{labels[0]!r}: it was absent or NaN, or its condition was false. Pass "
            'another monitor=, or run="all" for those of other runs, or use load_last.'
        )
    return [found[entry.order] for entry in best]


def _scored(
    found: Sequence[Checkpoint], monitor: Wanted, mode: Mode | Literal["auto"]
) -> tuple[list[str], list[Entry], float]:
    """Return what decides, an entry for each checkpoint, and how near is near."""
    check_mode(mode)
    within = 0.0
    if monitor is None:
        labels, judged = _as_judged(found, mode)
        within = recorded_scores_of(found[-1]).within
    else:
        monitor = as_monitor(monitor, mode)
        labels, judged = [monitor.label], _rescored(found, monitor)
    entries = [
        Entry(i, ranking_scores=each.ranking_scores, errors=each.errors)
        for i, each in enumerate(judged)
    ]
    return labels, entries, within


def _as_judged(
    found: Sequence[Checkpoint], mode: Mode | Literal["auto"]
) -> tuple[list[str], list[RecordedScores]]:
    """Return the runs' own monitors and recorded scores."""
    newest = recorded_scores_of(found[-1])
    labels = list(newest.ranking)
    if not labels:
        recorded = ", ".join(sorted(found[-1].metrics))
        raise MonitorError(
            f"The run {found[-1].run_id!r} was not judged by anything. Use load_last, "
            'or restore(which="last")'
            + (
                f"; or pass load_best monitor= with one of {recorded}."
                if recorded
                else "."
            )
        )
    judged_by = newest.modes.get(labels[0])
    if mode not in ("auto", judged_by):
        raise ArgumentError(
            f"The run was judged by {labels[0]!r} with mode={judged_by!r}, "
            f"and mode= says {mode!r}. Leave mode= out, or pass monitor= with it."
        )
    recordings = [recorded_scores_of(checkpoint) for checkpoint in found]
    monitors = {
        checkpoint.run_id: _criteria(recorded)
        for checkpoint, recorded in zip(found, recordings, strict=True)
    }
    if len(set(monitors.values())) > 1:
        listed = "; ".join(
            f"{run!r} by {', '.join(f'{x} ({y})' for x, y in each) or 'nothing'}"
            for run, each in monitors.items()
        )
        raise MonitorError(
            f"The runs were judged by different things: {listed}. Pass monitor= to "
            "compare them by one, or run= with an id."
        )
    earlier = recorded_earlier_scores(found[-1])
    return labels, [
        _as_newest(checkpoint, recorded, newest, earlier.get(checkpoint.name, {}))
        for checkpoint, recorded in zip(found, recordings, strict=True)
    ]


def _as_newest(
    checkpoint: Checkpoint,
    recorded: RecordedScores,
    newest: RecordedScores,
    earlier: Mapping[str, float],
) -> RecordedScores:
    """Score a checkpoint by what decides for the newest one.

    `earlier` are scores that were computed when the run was resumed.
    """
    is_same = _criteria(recorded) == _criteria(newest)
    # Else another monitor decided before the run was resumed.
    own_labels = recorded.ranking if is_same else newest.ranking
    names = dict(zip(newest.ranking, own_labels, strict=True))
    scores = {
        label: recorded.scores[own]
        for label, own in names.items()
        if own in recorded.scores
    }
    for label, own in names.items():
        if not is_same and own not in recorded.modes:
            score = _measured_again(label, recorded_values(checkpoint))
            scores |= {} if score is None else {label: score}
    return RecordedScores(
        {**scores, **{k: v for k, v in earlier.items() if k in newest.modes}},
        newest.modes,
        intervals={
            label: recorded.intervals[own]
            for label, own in names.items()
            if own in recorded.intervals
        },
    )


def _measured_again(label: str, values: Mapping[str, Any]) -> float | None:
    """Score recorded logs by a monitor's label; None where it needs more than them."""
    quantity, smooth, where = split_label(label)
    if smooth is not None:
        return None
    with contextlib.suppress(ArgumentError, MonitorError):
        return Monitor(quantity, where=where).measure(values)
    return None


def _criteria(recorded: RecordedScores) -> tuple[tuple[str, str], ...]:
    """Return the deciding names, without the numbers that Keras adds to names."""
    return tuple(
        (canonical_name(label), recorded.modes.get(label, ""))
        for label in recorded.ranking
    )


def _rescored(found: Sequence[Checkpoint], monitor: Monitor) -> list[RecordedScores]:
    """Score checkpoints by their recorded metrics.

    Checkpoints that did not record the name, or recorded the opposite direction, have
    no score.
    """
    label = monitor.label
    wanted: Mode | None = None if monitor.mode == "auto" else monitor.mode
    scores: list[RecordedScores] = []
    available: set[str] = set()
    known = False
    for checkpoint in reversed(found):
        own, values = recorded_scores_of(checkpoint), recorded_values(checkpoint)
        available |= {*values}
        recorded = own.modes.get(label)
        is_own = recorded is not None and wanted in (None, recorded)
        if not is_own and monitor.missing(values):
            scores.append(RecordedScores())
            continue
        known = True
        if not is_own and monitor.smooth is not None:
            raise MonitorError(
                f"smooth= goes by a curve over all epochs, and only the run's own "
                f"monitor recorded its curve. Leave it out, or train with {label!r}."
            )
        if not is_own and (fault := monitor.fault(values)):
            raise MonitorError(fault)
        direction = recorded if is_own else known_direction(checkpoint, monitor)
        wanted = wanted or direction or Scorer([monitor]).mode(monitor)
        score = own.scores.get(label) if is_own else _measured(monitor, values)
        fits = monitor.mode != "auto" or direction in (None, wanted)
        # Under the given text, which the caller ranks by.
        scores.append(
            RecordedScores({label: score}, {label: wanted})
            if score is not None and fits
            else RecordedScores()
        )
    if not known:
        missing = monitor.missing(available)
        raise MonitorError(missing_name(missing[0] if missing else label, available))
    return scores[::-1]


def _measured(monitor: Monitor, values: Mapping[str, Any]) -> float | None:
    """Measure recorded values; None where a function reads a name they do not have."""
    try:
        return monitor.measure(values)
    except KeyError:
        return None


def known_direction(checkpoint: Judged, monitor: Monitor) -> Mode | None:
    """Return which way is better, as known during training; or None."""
    directions = recorded_directions(checkpoint)

    def of_name(name: str) -> Mode | None:
        found = find_name(name, directions)
        if found is not None:
            return directions[found]
        return find_direction(name.removeprefix("val_"))

    return monitor.direction(of_name)


def better_run(
    dirpath: PathLike,
    best: Checkpoint,
    monitor: Wanted,
    mode: Mode | Literal["auto"],
) -> tuple[str, str] | None:
    """Find another run with a better checkpoint: its id, and what it is better by.

    Compared are runs with the same monitor, or by `monitor`, with variables of the same
    shapes.
    """
    runs = open_run_directory(dirpath)
    if len(runs.run_ids()) < 2:  # noqa: PLR2004 - no other run
        return None
    everything = runs.checkpoints()
    criteria = _criteria(recorded_scores_of(best))
    rivals = [
        one
        for one in everything
        if one == best
        or (
            one.run_id != best.run_id
            and (monitor is not None or _criteria(recorded_scores_of(one)) == criteria)
        )
    ]
    # The best is last: it decides which way is better.
    rivals.sort(key=lambda one: one == best)
    with contextlib.suppress(MonitorError, ArgumentError, StoreError):
        labels, entries, _ = _scored(rivals, monitor, mode)
        own = entries[-1].ranking_scores
        for entry in ranked(entries, labels):
            if entry.ranking_scores[labels[0]] <= own.get(labels[0], float("-inf")):
                return None
            rival = rivals[entry.order]
            if _shapes(rival) == _shapes(best):
                return rival.run_id, labels[0]
    return None


def _shapes(checkpoint: Checkpoint) -> list[Any]:
    """Return the shapes and dtypes of a model's weights, in their order."""
    return [
        (each.get("shape"), each.get("dtype"))
        for each in variables_of(checkpoint)
        if each["group"] != "optimizer" and each["group"] != "metrics"
    ]


def first_intact(ordered: Sequence[Checkpoint], read: Callable[[Checkpoint], T]) -> T:
    """Read the first intact checkpoint, and warn which were skipped."""
    for checkpoint in ordered:
        try:
            with progress_bar(f"Loading {cleaned(checkpoint.name)}"):
                return read(checkpoint)
        except CorruptCheckpointError as error:
            damage = error
            warn(f"Passed over {checkpoint.name}: {error}", CheckpointWarning)
    raise damage


def threshold_of(
    path: PathLike, monitor: str | None = None, *, run: str | None = None
) -> Any:
    """Return the threshold with which a checkpoint reached its score.

    Metrics such as `RecallAtPrecision` choose a threshold on the validation data. Use
    it with the loaded model: `model.predict(x) > threshold_of(run)`.

    Args:
        path: A checkpoint's directory; or a run directory, for its best checkpoint.
        monitor: The metric's name in the logs; by default the run's monitor.
        run: Which run of a run directory; the latest by default.

    Returns:
        A float; or a list, for a metric of several classes or labels.

    Raises:
        ArgumentError: No threshold was recorded.
        NoCheckpointError: There is no such checkpoint.
    """
    path = expanded("path=", path)
    if is_run_directory(path):
        checkpoint = rank(checkpoints_of(path, run), monitor, "auto")[0]
    else:
        checkpoint = open_checkpoint(path)
    found = recorded_threshold(checkpoint, monitor)
    if found is None:
        raise ArgumentError(
            f"{checkpoint.location} has no threshold of {monitor or 'its monitor'!r}. "
            "Monitor a metric that chooses one, such as RecallAtPrecision."
        )
    return found
