"""What happened in a run, from its history and its checkpoints. No Keras here.

A decision is made again from the recorded numbers, so a report needs nothing but the
run directory.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.monitor import Monitor, split_label
from multiback.checkpoint.choosing.ranking import Entry, ranked
from multiback.checkpoint.choosing.smoothing import smoothed
from multiback.checkpoint.loading.documents import is_measurement, recorded_scores_of
from multiback.errors import MonitorError, NoCheckpointError
from multiback.store import Checkpoint, Place, open_run_directory

Outcome = Literal["first", "better", "tie", "worse", "nan", "missing"]
# A pause this many times as long as the usual epoch is shown.
_PAUSE = 5.0
_SHORTEST_PAUSE = 60.0


@dataclasses.dataclass(frozen=True)
class Epoch:
    """One measurement of the history.

    Attributes:
        epoch: Epochs completed.
        step: Steps completed.
        time: Seconds since 1970.
        metrics: What was logged; numbers, and lists of numbers.
        redone: How often it had been measured before, in a part that was lost.
        pause: Seconds since the epoch before, where that is unusually long; else 0.
    """

    epoch: int
    step: int
    time: float
    metrics: Mapping[str, Any]
    redone: int = 0
    pause: float = 0.0

    @property
    def numbers(self) -> dict[str, float]:
        """The metrics that are single numbers."""
        return {
            name: float(value)
            for name, value in self.metrics.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


@dataclasses.dataclass(frozen=True)
class Decision:
    """The effect of one epoch's score on the best.

    Attributes:
        epoch: Epochs completed.
        score: The score; None where there was none.
        outcome: How it compares with the best before it.
        sentence: The same for a person.
    """

    epoch: int
    score: float | None
    outcome: Outcome
    sentence: str


@dataclasses.dataclass(frozen=True)
class Story:
    """One run.

    Attributes:
        location: The run directory.
        run_id: The run.
        monitor: What decides which checkpoint is best; None where nothing does.
        mode: Which way is better.
        epochs: The measurements that count, by epoch and step.
        decisions: One for each measurement; empty without a monitor.
        kept: The checkpoints on the disk, oldest first.
        best: The best one of these; None where none has a score.
        skipped: Directories that could not be read, each with the reason.
    """

    location: str
    run_id: str
    monitor: str | None
    mode: Mode | None
    epochs: Sequence[Epoch]
    decisions: Sequence[Decision]
    kept: Sequence[Checkpoint]
    best: Checkpoint | None
    skipped: Sequence[tuple[str, str]] = ()

    @property
    def names(self) -> list[str]:
        """The metrics that are single numbers, the monitored one first."""
        found = dict.fromkeys(name for one in self.epochs for name in one.numbers)
        first = [self.monitor] if self.monitor in found else []
        return list(dict.fromkeys([*first, *found]))

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """Return the epochs at which a metric is a number, and its values."""
        points = [(e.epoch, e.numbers[name]) for e in self.epochs if name in e.numbers]
        return [epoch for epoch, _ in points], [value for _, value in points]


def read_story(directory: Place, run: str | None = None) -> Story:
    """Read one run of a directory or URL; the run that began last by default."""
    runs = open_run_directory(directory)
    known = runs.run_ids()
    run_id = run if run is not None else known[0] if known else None
    if run_id is None or run_id not in known:
        raise NoCheckpointError(
            f"{runs.location} holds no run"
            + (f" {run!r}. Its runs are: {', '.join(known)}." if known else ".")
            + " Pass the directory that was given to ModelCheckpoint."
        )
    kept = runs.checkpoints(run_id)
    epochs = _lived([one for one in runs.history(run_id) if is_measurement(one)])
    judged = recorded_scores_of(kept[-1]) if kept else None
    label = judged.ranking[0] if judged and judged.ranking else None
    mode = judged.modes.get(label) if judged and label is not None else None
    return Story(
        location=runs.location,
        run_id=run_id,
        monitor=label,
        mode=mode,
        epochs=epochs,
        decisions=[]
        if label is None or mode is None or judged is None
        else decide(epochs, label, mode, near=judged.within > 0),
        kept=kept,
        best=_best(kept, label),
        skipped=[(str(path), reason) for path, reason in runs.skipped],
    )


def read_stories(directory: Place) -> list[Story]:
    """Read every run of a directory, the latest start first."""
    known = open_run_directory(directory).run_ids()
    return [read_story(directory, one) for one in known or [None]]  # type: ignore[list-item]  # None raises


def _lived(records: Sequence[Mapping[str, Any]]) -> list[Epoch]:
    """Drop epochs that a resumed run repeated; note the repeats and their pauses."""
    lived: list[Epoch] = []
    lost: dict[int, int] = {}
    for one in records:
        place = one["epoch"], one["step"]
        while lived and (lived[-1].epoch, lived[-1].step) >= place:
            gone = lived.pop()
            lost[gone.epoch] = gone.redone + 1
        time = one.get("time")
        lived.append(
            Epoch(
                epoch=one["epoch"],
                step=one["step"],
                time=float(time) if isinstance(time, int | float) else math.nan,
                metrics=one["metrics"],
                redone=lost.get(one["epoch"], 0),
            )
        )
    return _with_pauses(lived)


def _with_pauses(epochs: Sequence[Epoch]) -> list[Epoch]:
    lengths = [
        later.time - earlier.time for earlier, later in itertools.pairwise(epochs)
    ]
    usual = sorted(lengths)[len(lengths) // 2] if lengths else math.nan
    least = max(_SHORTEST_PAUSE, _PAUSE * usual)
    pauses = [0.0, *(length if length > least else 0.0 for length in lengths)]
    return [
        dataclasses.replace(one, pause=pause)
        for one, pause in zip(epochs, pauses, strict=False)
    ]


def decide(
    epochs: Sequence[Epoch], label: str, mode: Mode, *, near: bool = False
) -> list[Decision]:
    """Compare each measurement with the best before it.

    Args:
        epochs: The measurements.
        label: The monitor's label, as a manifest records it.
        mode: Which way is better.
        near: `within=` decides between scores that are near each other, by what is not
            in the history: then no epoch replaces another by its score alone.

    Examples:
        >>> scores = [0.5, 0.7, 0.7, 0.6]
        >>> made = [Epoch(i + 1, i, 0.0, {"f1": f}) for i, f in enumerate(scores)]
        >>> for decision in decide(made, "f1", "max"):
        ...     print(decision.sentence)
        Epoch 1 is the first with a score: f1 is 0.5000.
        Epoch 2 replaced epoch 1: f1 is 0.7000 > 0.5000.
        Epoch 3 is as good as epoch 2: f1 is 0.7000, and a tie keeps the earlier one.
        Epoch 4 is worse than epoch 2: f1 is 0.6000 < 0.7000.
    """
    monitor = _monitor(label, mode)
    decisions: list[Decision] = []
    best: tuple[int, float] | None = None
    curve: list[float] = []
    for one in epochs:
        score = None if monitor is None else _measure(monitor, one)
        if monitor is not None and monitor.smooth is not None and score is not None:
            score, curve = smoothed(curve, score, monitor.smooth)
        decision = _decision(one.epoch, score, best, label, mode, near=near)
        decisions.append(decision)
        if decision.outcome in ("first", "better") and score is not None:
            best = one.epoch, score
    return decisions


def _monitor(label: str, mode: Mode) -> Monitor | None:
    """Make a monitor from its label; None if it was a function."""
    quantity, smooth, where = split_label(label)
    try:
        return Monitor(quantity, mode, where=where, smooth=smooth)
    except MonitorError:
        return None


def _measure(monitor: Monitor, one: Epoch) -> float | None:
    try:
        return monitor.measure(one.numbers)
    except (ArithmeticError, MonitorError):
        return None


def _decision(
    epoch: int,
    score: float | None,
    best: tuple[int, float] | None,
    label: str,
    mode: Mode,
    *,
    near: bool,
) -> Decision:
    if score is None:
        return Decision(epoch, None, "missing", f"Epoch {epoch} has no {label}.")
    if math.isnan(score):
        sentence = f"Epoch {epoch} cannot be best: {label} is NaN."
        return Decision(epoch, score, "nan", sentence)
    if best is None:
        sentence = f"Epoch {epoch} is the first with a score: {label} is {score:.4f}."
        return Decision(epoch, score, "first", sentence)
    before, value = best
    now, then = different(score, value)
    if score == value:
        end = "." if near else ", and a tie keeps the earlier one."
        sentence = f"Epoch {epoch} is as good as epoch {before}: {label} is {now}{end}"
        return Decision(epoch, score, "tie", sentence)
    sign = ">" if score > value else "<"
    if (score > value) == (mode == "max"):
        did = "has a better score than" if near else "replaced"
        sentence = f"Epoch {epoch} {did} epoch {before}: {label} is "
        return Decision(epoch, score, "better", f"{sentence}{now} {sign} {then}.")
    sentence = f"Epoch {epoch} is worse than epoch {before}: {label} is "
    return Decision(epoch, score, "worse", f"{sentence}{now} {sign} {then}.")


def different(a: float, b: float) -> tuple[str, str]:
    """Write two numbers with enough digits to distinguish them.

    >>> different(0.5, 0.7), different(0.91234567, 0.91234569)
    (('0.5000', '0.7000'), ('0.91234567', '0.91234569'))
    """
    for digits in range(4, 17):
        texts = f"{a:.{digits}f}", f"{b:.{digits}f}"
        if texts[0] != texts[1] or a == b:
            return texts
    return repr(a), repr(b)


def _best(kept: Sequence[Checkpoint], label: str | None) -> Checkpoint | None:
    """Return the best checkpoint on the disk, as the run itself decides."""
    if label is None or not kept:
        return None
    recorded = [recorded_scores_of(one) for one in kept]
    entries = [
        Entry(order, ranking_scores=each.ranking_scores, errors=each.errors)
        for order, each in enumerate(recorded)
    ]
    labels = [label, *recorded[-1].ranking[1:]]
    best = ranked(entries, labels, recorded[-1].within)
    return kept[best[0].order] if best else None
