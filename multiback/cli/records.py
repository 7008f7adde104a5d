"""Checkpoints as the commands find and describe them."""

from typing import Any

from multiback.checkpoint.finding import checkpoints_of
from multiback.errors import ArgumentError, CorruptCheckpointError
from multiback.store import (
    Checkpoint,
    Place,
    Runs,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)

Record = dict[str, Any]


def one_checkpoint(path: Place) -> Checkpoint:
    """Open the checkpoint that an argument means.

    Args:
        path: A checkpoint, or a link to one such as `runs/tumour/best`.

    Raises:
        ArgumentError: It is a run directory.
        NoCheckpointError: There is none.
    """
    if is_run_directory(path):
        raise ArgumentError(
            f"{path} is a run directory, and one checkpoint is wanted. Pass "
            f"{path}/checkpoints/NAME; `multiback ls {path}` lists the names, "
            f"and `multiback best {path}` prints the best one's path."
        )
    return open_checkpoint(path)


def the_run(directory: Place, run: str | None) -> tuple[Runs, list[Checkpoint]]:
    """Return a run directory and the checkpoints of one run, the latest by default.

    Raises:
        NoCheckpointError: There are none.
    """
    return open_run_directory(directory), checkpoints_of(directory, run)


def record(checkpoint: Checkpoint) -> Record:
    """Describe a checkpoint in plain values, for programs."""
    return {
        "path": checkpoint.location,
        "name": checkpoint.name,
        "run_id": checkpoint.run_id,
        "sequence": checkpoint.sequence,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "created": checkpoint.created,
        "size": checkpoint.size,
        "backend": checkpoint.backend,
        "versions": dict(checkpoint.versions),
        "metrics": dict(checkpoint.metrics),
        "scores": recorded_scores(checkpoint),
        "architecture": checkpoint.architecture,
        "format": checkpoint.state_format,
    }


def recorded_scores(checkpoint: Checkpoint) -> dict[str, float]:
    """Return what a checkpoint was judged by when it was saved, by label.

    Raises:
        CorruptCheckpointError: They are no numbers: something else wrote them.
    """
    scores = checkpoint.extra.get("scores", {})
    try:
        return {label: float(score) for label, score in scores.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CorruptCheckpointError(
            f"{checkpoint.location} must have numbers as scores, but has "
            f"{scores!r:.80}. Write it with ModelCheckpoint or Checkpointer."
        ) from error
