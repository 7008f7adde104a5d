"""Order the checkpoints of a run, best first."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the slots know of one checkpoint.

    Attributes:
        order: Later checkpoints have larger numbers; no two have the same.
        epoch: Epochs completed.
        step: Batches trained on, or the number that the user's own loop gave.
        created: Seconds since 1970.
        ranking_scores: By monitor label, more is better; no entry where it was not
            measured, is NaN or fails its condition.
        boundary: Saved at the end of an epoch, not in the middle of one.
        asked: Saved because the user asked for it.
        errors: The standard error of a score, by monitor label, where it is known.
    """

    order: int
    epoch: int = 0
    step: int = 0
    created: float = 0.0
    ranking_scores: Mapping[str, float] = dataclasses.field(
        default_factory=dict, hash=False
    )
    boundary: bool = True
    asked: bool = False
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)


def ranked(
    entries: Sequence[Entry], labels: Sequence[str], within: float = 0.0
) -> list[Entry]:
    """Return the entries that have the first score, best first.

    The other scores decide between equals, then the earliest is better; with `within`
    also between those so many standard errors below, see `near_the_best`.
    """
    scored = [entry for entry in entries if labels[0] in entry.ranking_scores]
    ordered = sorted(scored, key=lambda one: _key(one, labels), reverse=True)
    front = near_the_best(entries, labels, within) if within else []
    orders = {entry.order for entry in front}
    return [*front, *(entry for entry in ordered if entry.order not in orders)]


def near_the_best(
    entries: Sequence[Entry], labels: Sequence[str], within: float
) -> list[Entry]:
    """Return the entries that the data cannot tell from the best, preferred first.

    Those that another one beats, by the first score and by the other rule, are left
    out; so the last has the highest score. `within` is a number of standard errors of
    the highest score.
    """
    scored = [entry for entry in entries if labels[0] in entry.ranking_scores]
    if not scored:
        return []
    leader = max(scored, key=lambda one: _key(one, labels))
    margin = within * leader.errors.get(labels[0], 0.0)
    lowest = leader.ranking_scores[labels[0]] - margin
    near = [one for one in scored if one.ranking_scores[labels[0]] >= lowest]
    front: list[Entry] = []
    for one in sorted(near, key=lambda one: _key(one, labels[1:]), reverse=True):
        score = one.ranking_scores[labels[0]]
        if not front or score > front[-1].ranking_scores[labels[0]]:
            front.append(one)
    return front


def _key(entry: Entry, labels: Sequence[str]) -> tuple[float, ...]:
    """Return what entries are ordered by, larger is better."""
    scores = (entry.ranking_scores.get(label, float("-inf")) for label in labels)
    return (*scores, -entry.order)
