"""The scores of a checkpoint, as its manifest keeps them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from multiback.checkpoint.choosing.direction import Mode


@dataclasses.dataclass(frozen=True)
class RecordedScores:
    """The scores of one checkpoint and how to compare them.

    Attributes:
        scores: By monitor label; no entry where it was not measured, fails its
            condition or does not beat the others by enough.
        modes: Which way is better, by label.
        ranking: The labels that decide what is best, in turn; empty without a monitor.
        intervals: By monitor label "lower", "upper", "standard_error" and "level" of a
            score, where its metric has them.
        within: How many standard errors below the highest score are near enough for
            the other labels to decide; 0 for none.
    """

    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    modes: Mapping[str, Mode] = dataclasses.field(default_factory=dict)
    ranking: Sequence[str] = ()
    intervals: Mapping[str, Mapping[str, float]] = dataclasses.field(
        default_factory=dict
    )
    within: float = 0.0

    @classmethod
    def of(cls, extra: Mapping[str, Any]) -> "RecordedScores":
        """Read it from a manifest's extra fields."""
        return cls(
            scores={k: float(v) for k, v in extra.get("scores", {}).items()},
            modes=extra.get("modes", {}),
            ranking=tuple(extra.get("ranking", ())),
            intervals=extra.get("intervals", {}),
            within=float(extra.get("within", 0.0)),
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields for a manifest."""
        return {
            "scores": dict(self.scores),
            "modes": dict(self.modes),
            "ranking": list(self.ranking),
            **({"intervals": dict(self.intervals)} if self.intervals else {}),
            **({"within": self.within} if self.within else {}),
        }

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors of the scores that have one."""
        return {k: float(each["standard_error"]) for k, each in self.intervals.items()}

    @property
    def ranking_scores(self) -> dict[str, float]:
        """The scores, turned so that more is better; NaN is never best.

        >>> nan = float("nan")
        >>> modes = {"loss": "min", "f1": "max"}
        >>> read = RecordedScores({"loss": 0.25, "f1": nan}, modes)
        >>> read.ranking_scores
        {'loss': -0.25}
        """
        return {
            label: score if self.modes[label] == "max" else -score
            for label, score in self.scores.items()
            if label in self.modes and not math.isnan(score)
        }
