"""Facts of a trainer and a run directory: whether training ends, and what is best."""

import os
from typing import Any

from multiback.checkpoint.loading.documents import recorded_scores_of
from multiback.checkpoint.loading.find import checkpoints_of, rank
from multiback.store import open_checkpoint


def has_validation(trainer: Any) -> bool:
    """Return whether there are validation batches; not known before the first one."""
    batches = trainer.num_val_batches
    if isinstance(batches, list | tuple):
        batches = not batches or sum(batches)
    return bool(trainer.enable_validation and batches)


def is_ending(trainer: Any) -> bool:
    """Return whether training ends with the epoch that ends now."""
    epochs, steps = trainer.max_epochs, trainer.max_steps
    return bool(
        trainer.should_stop
        or (epochs is not None and 0 <= epochs <= trainer.current_epoch + 1)
        or (steps is not None and 0 <= steps <= trainer.global_step)
    )


def place_of(trainer: Any) -> str:
    """Return the run directory of a trainer that names none: its logger's folder."""
    if not trainer.loggers:
        return os.path.join(trainer.default_root_dir, "checkpoints")  # noqa: PTH118 - may be a URL
    logger = trainer.loggers[0]
    number = logger.version
    version = number if isinstance(number, str) else f"version_{number}"
    place = logger.save_dir or trainer.default_root_dir
    return os.path.join(place, str(logger.name), version)  # noqa: PTH118 - see above


def facts_of(path: str, k: int | None) -> dict[str, Any]:
    """Return the facts of a run, read from its directory; its best path may be "".

    `k` of the best are kept for their score; None for all.
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
