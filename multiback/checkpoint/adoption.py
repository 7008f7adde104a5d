"""Take over what an earlier part of a run has saved."""

import dataclasses
from collections.abc import Collection

from multiback.checkpoint.choosing.recorded_scores import Judgement
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.choosing.slots import Entry
from multiback.checkpoint.loading.documents import judgement_of, recorded_values
from multiback.checkpoint.saving.kept import Shelf
from multiback.store import Checkpoint


def adopt(shelf: Shelf, scorer: Scorer, checkpoint: Checkpoint, order: int) -> None:
    """Put a checkpoint onto the shelf, with the scores that it was judged by.

    Args:
        shelf: Where it belongs.
        scorer: Takes over its names, and which way is better.
        checkpoint: Of the same run.
        order: Its place among all that are saved.
    """
    scorer.remember(recorded_values(checkpoint))
    judgement = judgement_of(checkpoint)
    for label, mode in judgement.modes.items():
        scorer.modes.setdefault(label, mode)
    entry = Entry(
        order=order,
        epoch=checkpoint.epoch,
        step=checkpoint.step,
        created=checkpoint.created,
        goodness=judgement.goodness,
        boundary=bool(checkpoint.extra.get("boundary", True)),
        asked=bool(checkpoint.extra.get("asked", False)),
    )
    shelf.add(entry, checkpoint)


def judge_anew(shelf: Shelf, scorer: Scorer, adopted: Collection[Checkpoint]) -> None:
    """Judge what was adopted by monitors that are new.

    Args:
        shelf: Where they are.
        scorer: Knows the monitors, and by now which way is better.
        adopted: What was adopted.
    """
    for entry, checkpoint in shelf.rows:
        if checkpoint in adopted:
            scores = dict(judgement_of(checkpoint).scores)
            for monitor in scorer.monitors:
                # Functions may need more than what was kept.
                known = monitor.label in judgement_of(checkpoint).modes
                if not known and isinstance(monitor.quantity, str):
                    score = monitor.measure(recorded_values(checkpoint))
                    scores |= {} if score is None else {monitor.label: score}
            goodness = Judgement(scores, scorer.modes).goodness
            shelf.add(dataclasses.replace(entry, goodness=goodness), checkpoint)
