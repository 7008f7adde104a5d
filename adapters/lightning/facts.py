"""Facts of a trainer and a run directory: whether training ends, and what is best."""

from collections.abc import Sequence
from typing import Any

from multiback.checkpoint.loading.documents import recorded_scores_of
from multiback.checkpoint.loading.find import checkpoints_of, rank
from multiback.store import open_checkpoint


def is_zero(batches: float | Sequence[int | float]) -> bool:
    """Return whether there is no validation batch; not known before the first one."""
    if isinstance(batches, list | tuple):
        return bool(batches) and not sum(batches)
    return not batches


def is_ending(trainer: Any) -> bool:
    """Return whether training ends with the epoch that ends now."""
    epochs, steps = trainer.max_epochs, trainer.max_steps
    return bool(
        trainer.should_stop
        or (epochs is not None and 0 <= epochs <= trainer.current_epoch + 1)
        or (steps is not None and 0 <= steps <= trainer.global_step)
    )


def facts_of(path: str, k: int | None) -> dict[str, Any]:
    """Return the facts of a run's checkpoints, read from its directory.

    Args:
        path: Its best checkpoint, or "".
        k: How many of the best are kept for their score; None for all.
    """
    scores: dict[str, float] = {}
    last = ""
    if path:
        best = open_checkpoint(path)
        found = checkpoints_of(best.path.parents[1], best.run_id)
        last = found[-1].location
        if ranking := recorded_scores_of(best).ranking:
            scores = {
                one.location: recorded_scores_of(one).scores[ranking[0]]
                for one in rank(found, None, "auto")[:k]
            }
    return {
        "best_model_path": path,
        "best_model_score": next(iter(scores.values()), None),
        "best_k_models": scores,
        "last_model_path": last,
    }
