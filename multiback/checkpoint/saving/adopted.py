"""The checkpoints of a run that is continued, and their scores by its monitors of now.

A monitor may have changed since. What it can be applied to is scored again, from the
recorded logs; what cannot be scored stays on the disk, with a warning.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.loading.documents import recorded_scores_of, recorded_values
from multiback.checkpoint.saving.kept import KeptCheckpoints
from multiback.store import Checkpoint

# A score or None, and why there can be none or "".
Answer = Sequence[Any]


class Adopted:
    """Score the checkpoints that a continued run has already.

    Args:
        kept: Where they are added.
        scorer: Takes over their names and directions.

    Attributes:
        checkpoints: All of them, oldest first.
    """

    def __init__(self, kept: KeptCheckpoints, scorer: Scorer) -> None:
        self._kept, self._scorer = kept, scorer
        self.checkpoints: Sequence[Checkpoint] = ()
        self._by_functions: dict[str, dict[str, float]] = {}
        self._waiting: list[Checkpoint] = []

    def adopt(self, checkpoints: Sequence[Checkpoint], before: int) -> None:
        """Add the checkpoints of a run with the scores that they recorded.

        Their orders follow `before`. Those that do not know a monitor stay until they
        are scored.
        """
        self.checkpoints = checkpoints
        self._waiting = list(checkpoints)
        self._by_functions = {}
        for order, checkpoint in enumerate(checkpoints, before + 1):
            recorded = recorded_scores_of(checkpoint)
            self._scorer.remember(recorded_values(checkpoint))
            for label, mode in recorded.modes.items():
                self._scorer.modes.setdefault(label, mode)
            entry = Entry(
                order=order,
                epoch=checkpoint.epoch,
                step=checkpoint.step,
                created=checkpoint.created,
                ranking_scores=recorded.ranking_scores,
                boundary=bool(checkpoint.extra.get("boundary", True)),
                asked=bool(checkpoint.extra.get("asked", False)),
                errors=recorded.errors,
            )
            self._kept.add(entry, checkpoint)
            if recorded.scores and self._kept.deciding - {*recorded.modes}:
                self._kept.spared |= {order}

    def rescore(self, decide: Callable[[Callable[[], Any]], Any]) -> list[str]:
        """Score those that wait by the monitors whose directions are known by now.

        Rank 0 decides. Return in a sentence which cannot be scored.
        """
        rows = [row for row in self._kept.rows if row[1] in self._waiting]
        if not rows:
            return []
        answers = decide(lambda: [self._answers(one) for _, one in rows])
        unknown: dict[str, list[str]] = {}
        spared, self._waiting = set(self._kept.spared), []
        for (entry, checkpoint), answer in zip(rows, answers, strict=True):
            recorded = recorded_scores_of(checkpoint)
            scores = {**recorded.scores}
            for label, (score, _) in answer.items():
                scores.pop(label, None)
                scores |= {} if score is None else {label: score}
            self._note_functions(checkpoint, scores)
            ranking_scores = RecordedScores(scores, self._scorer.modes).ranking_scores
            again = dataclasses.replace(entry, ranking_scores=ranking_scores)
            self._kept.add(again, checkpoint)
            faults = [
                answer[label][1]
                for label in sorted(self._kept.deciding)
                if label in answer and answer[label][1]
            ]
            if faults and entry.order in spared:
                unknown.setdefault(faults[0], []).append(checkpoint.name)
            elif self._kept.deciding <= {*self._scorer.modes}:
                spared.discard(entry.order)
            else:
                self._waiting.append(checkpoint)
        self._kept.spared = spared
        return [_unscored(names, why) for why, names in unknown.items()]

    def fields(self) -> dict[str, Any]:
        """Return the fields for a manifest: scores that a reader cannot compute."""
        return {"earlier_scores": self._by_functions} if self._by_functions else {}

    def _note_functions(
        self, checkpoint: Checkpoint, scores: Mapping[str, float]
    ) -> None:
        """Note the scores by functions, which a reader does not have."""
        found = {
            monitor.label: scores[monitor.label]
            for monitor in self._scorer.monitors
            if callable(monitor.quantity) and monitor.label in scores
        }
        if found:
            self._by_functions[checkpoint.name] = found

    def _answers(self, checkpoint: Checkpoint) -> dict[str, Answer]:
        """Score a checkpoint by the monitors for which it has no valid score."""
        recorded, values = recorded_scores_of(checkpoint), recorded_values(checkpoint)
        found: dict[str, Answer] = {}
        for monitor in self._scorer.monitors:
            label = monitor.label
            if label not in recorded.modes:
                found[label] = _answer(monitor, values)
            elif callable(monitor.quantity) and label in recorded.scores:
                # Another function may have the name by now.
                answer = _answer(monitor, values)
                found |= {} if answer[1] else {label: answer}
        return found


def _answer(monitor: Monitor, values: Mapping[str, Any]) -> Answer:
    """Apply a monitor to recorded logs."""
    if monitor.smooth is not None:
        return None, f"{monitor.label!r} has no curve of the epochs before"
    if missing := monitor.missing(values):
        return None, f"{missing[0]!r} was not recorded"
    try:
        return monitor.measure(values), ""
    except KeyError as error:
        return None, f"{error} was not recorded"
    except Exception as error:  # noqa: BLE001 - a user's function, on logs of another program
        return None, f"{monitor.label!r} failed: {error}"


def _unscored(names: Sequence[str], why: str) -> str:
    """Return the warning of checkpoints that cannot be scored."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"Kept {names[0]:.60}{more}, which the monitor cannot score: {why:.60}. Resume "
        "with the earlier monitor, or delete by `multiback prune`."
    )
