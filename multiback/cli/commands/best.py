"""`multiback best`: which checkpoint is best, by its recorded metrics."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.choosing.names import missing_name
from multiback.checkpoint.choosing.ranking import Entry, ranked
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.loading.documents import recorded_scores_of, recorded_values
from multiback.checkpoint.loading.find import LATEST, better_run, known_direction
from multiback.cli.lightning_files import Listed
from multiback.cli.output import count_text, interval_text
from multiback.cli.records import (
    Record,
    listed_run,
    not_told_apart,
    record,
    recorded_scores,
)
from multiback.errors import MonitorError, NoCheckpointError, cleaned
from multiback.store import Checkpoint, Place

AnyMode = Mode | Literal["auto"]


def best_record(
    directory: Place,
    by: str | None = None,
    *,
    where: str | None = None,
    mode: AnyMode = "auto",
    run: str | None = None,
) -> Record:
    """Describe the best checkpoint of a run, with the score that makes it best.

    `by` is a recorded metric or an expression of some, `where` a condition on recorded
    metrics; by default the run's own. A run may be "all" or "latest", the default.
    """
    found = listed_run(directory, run)
    recorded = recorded_scores_of(found[-1])
    ranking = recorded.ranking
    label = by or (ranking[0] if ranking else None)
    if label is None:
        raise MonitorError(
            f"The run {found[-1].run_id!r} was not judged by anything. Pass --by with "
            f"a recorded metric: {', '.join(sorted(found[-1].metrics)) or '(none)'}."
        )
    if where is not None:
        label = label.partition(" where ")[0]
    monitor = Monitor(label, mode, where)
    monitors, within = [monitor], 0.0
    if by is None and where is None:  # As the run itself decides.
        monitors += [Monitor(other) for other in ranking[1:]]
        within = recorded.within
    entries = entries_of(found, monitors)
    best = ranked(entries, [each.label for each in monitors], within)
    if not best:
        raise NoCheckpointError(
            f"No checkpoint of the run {found[-1].run_id!r} in {directory} has a score "
            f"for {monitor.label!r}: it was absent or NaN, or the condition was false. "
            f"Use another --by or --where; `multiback ls {directory} --json` shows "
            "what was recorded."
        )
    chosen = found[best[0].order]
    asked = None if by is None and where is None else monitor
    rival = None
    if isinstance(chosen, Checkpoint) and run in (None, LATEST):
        rival = better_run(directory, chosen, asked, mode)
    return {
        **record(chosen),
        "by": label,
        "where": where,
        "score": _measure(monitor, chosen),
        "cannot_be_told_apart": not_told_apart(chosen, found, monitor.label),
        "better_run": rival[0] if rival else None,
    }


def best_view(found: Record) -> list[str]:
    """Return sentences about other checkpoints that are as good, or better."""
    sentences = []
    if rival := found["better_run"]:
        sentences.append(
            f"The run {cleaned(rival)} has a better {found['by']}; this is the best of "
            f"{cleaned(found['run_id'])}. --run all looks in every run."
        )
    names = found["cannot_be_told_apart"]
    if not names:
        return sentences
    ends = found["intervals"][found["by"]]
    shown = interval_text(found["score"], (ends["upper"] - ends["lower"]) / 2.0)
    sentences.append(
        f"Its {found['by']} is {shown}: {count_text(len(names), 'checkpoint')} cannot "
        f"be told apart from it by that: {', '.join(names)}."
    )
    return sentences


def entries_of(
    found: Sequence[Listed],
    monitors: Sequence[Monitor],
    advice: str = "Pass --mode max or --mode min.",
) -> list[Entry]:
    """Score checkpoints of one run; an entry's order is its place in `found`.

    They are oldest first; no two monitors have one label. The advice is for a monitor
    whose direction is unknown.
    """
    available = {name for one in found for name in _values(one)}
    modes: dict[str, Mode] = {}
    recorded = recorded_scores_of(found[-1]).modes
    for monitor in monitors:
        # Perhaps no checkpoint meets the run's own condition: then none has a score.
        missing = [] if monitor.label in recorded else monitor.missing(available)
        for name in missing:
            raise MonitorError(missing_name(name, available))
        mode = _mode_of(monitor, found)
        if mode is None:
            raise MonitorError(
                f"Nothing says whether more or less of {monitor.label!r} is better. "
                f"{advice}"
            )
        modes[monitor.label] = mode
    entries = []
    for order, one in enumerate(found):
        scores = {m.label: _measure(m, one) for m in monitors}
        known = {label: score for label, score in scores.items() if score is not None}
        ranking_scores = RecordedScores(known, modes).ranking_scores
        errors = recorded_scores_of(one).errors
        entries.append(
            Entry(
                order,
                one.epoch,
                one.step,
                one.created,
                ranking_scores,
                errors=errors,
            )
        )
    return entries


def _mode_of(monitor: Monitor, found: Sequence[Listed]) -> Mode | None:
    """Return which way is better, as `load_best` finds it; None if nothing says."""
    if monitor.mode != "auto":
        return monitor.mode
    recorded = recorded_scores_of(found[-1]).modes
    for label in (monitor.label, dataclasses.replace(monitor, where=None).label):
        if label in recorded:
            return recorded[label]
    known = (known_direction(one, monitor) for one in reversed(found))
    return next((mode for mode in known if mode is not None), None)


def _values(one: Listed) -> dict[str, Any]:
    """Return all recorded values; a score may be a function's, and not a metric."""
    return {**recorded_scores(one), **recorded_values(one)}


def _measure(monitor: Monitor, one: Listed) -> float | None:
    """Score a checkpoint as the run did, or again for another monitor."""
    modes = recorded_scores_of(one).modes
    own = monitor.label in modes and monitor.mode in ("auto", modes[monitor.label])
    if own and monitor.where is None:
        # With the run's own condition: the same answer as load_best.
        return recorded_scores(one).get(monitor.label)
    return monitor.measure(_values(one))
