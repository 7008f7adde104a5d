"""Checkpoints as the commands find and describe them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiback.checkpoint.loading.documents import recorded_scores_of
from multiback.checkpoint.loading.find import ALL, LATEST, checkpoint_at, checkpoints_of
from multiback.cli.lightning_files import (
    Listed,
    lightning_directory,
    lightning_file,
    refuse_lightning,
)
from multiback.cli.output import interval_text, score_text
from multiback.errors import ArgumentError, CorruptCheckpointError, NoCheckpointError
from multiback.store import (
    Checkpoint,
    Place,
    Runs,
    is_run_directory,
    open_run_directory,
)

if TYPE_CHECKING:
    from multiback.adapters.lightning.own_files.directory import LightningDirectory

Record = dict[str, Any]


def runs_in(directory: Place) -> "Runs | LightningDirectory":
    """Open a directory of checkpoints, of multiback or Lightning."""
    return lightning_directory(directory) or open_run_directory(directory)


def run_or_every(directory: Place, run: str | None) -> str | None:
    """Return the id of the run that `--run` names; None for every run."""
    if run == LATEST:
        return runs_in(directory).latest_run()
    return None if run == ALL else run


def one_listed(path: Place) -> Listed:
    """Open the checkpoint of an argument, of multiback or Lightning."""
    if lightning_directory(path) is not None:
        raise ArgumentError(
            f"{path} is a directory of Lightning's checkpoints, and one is wanted. "
            f"Pass one of the files; `multiback ls {path} --json` lists their paths."
        )
    return lightning_file(path) or one_checkpoint(path)


def one_checkpoint(path: Place) -> Checkpoint:
    """Open the checkpoint of an argument.

    It may be a link such as `runs/tumour/best`, or a run directory and the beginning of
    a checkpoint's name.
    """
    refuse_lightning(path)
    if is_run_directory(path):
        raise ArgumentError(
            f"{path} is a run directory, and one checkpoint is wanted. Pass "
            f"{path}/checkpoints/NAME; `multiback ls {path}` lists the names, "
            f"and `multiback best {path}` prints the best one's path."
        )
    return checkpoint_at(path)


def the_run(directory: Place, run: str | None) -> tuple[Runs, list[Checkpoint]]:
    """Return a run directory and the checkpoints of one run, the latest by default."""
    refuse_lightning(directory)
    return open_run_directory(directory), checkpoints_of(directory, run)


def listed_run(directory: Place, run: str | None) -> Sequence[Listed]:
    """Return one run's checkpoints, of multiback or Lightning; the latest if None."""
    theirs = lightning_directory(directory)
    if theirs is None:
        return the_run(directory, run)[1]
    found = theirs.checkpoints(theirs.latest_run() if run is None else run)
    if not found:
        raise NoCheckpointError(
            f"{directory} holds no checkpoint of Lightning's that can be read"
            + (f" in {run!r}" if run else "")
            + "".join(f"\n  passed over {path}: {why}" for path, why in theirs.skipped)
            + f"\n`multiback ls {directory}` lists what there is."
        )
    return found


def record(checkpoint: Listed) -> Record:
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
        "intervals": {k: dict(v) for k, v in intervals_of(checkpoint).items()},
        "architecture": checkpoint.architecture,
        "format": checkpoint.state_format,
    }


def marks(checkpoint: Listed) -> Record:
    """Return Lightning's labels for a file, or which checkpoint ours is a copy of."""
    if isinstance(checkpoint, Checkpoint):
        return {"copy_of": checkpoint.saved_as} if checkpoint.is_copy else {}
    return {"marks": list(checkpoint.marks)}


def is_checkpoint(place: Place) -> bool:
    """Return whether a path is one checkpoint, of multiback or Lightning."""
    path = Path(place)
    if "://" in str(place):
        return False
    return (path.suffix == ".ckpt" and path.is_file()) or (
        path / "manifest.json"
    ).is_file()


def intervals_of(checkpoint: Listed) -> Mapping[str, Mapping[str, float]]:
    """Return the intervals of a checkpoint's scores, by label."""
    return recorded_scores_of(checkpoint).intervals


def score_and_interval(checkpoint: Listed, label: str, score: float | None) -> str:
    """Return a score as text, with its interval where there is one."""
    found = intervals_of(checkpoint).get(label)
    if found is None or score is None:
        return score_text(score)
    return interval_text(score, (found["upper"] - found["lower"]) / 2.0)


def not_told_apart(best: Listed, others: Sequence[Listed], label: str) -> list[str]:
    """Return the names of the checkpoints that the data cannot tell from the best.

    Their scores lie in the interval of its score. The same rows may still tell them
    apart: `multiback compare` pairs them.
    """
    found = intervals_of(best).get(label)
    if found is None:
        return []
    scores = {one.name: recorded_scores(one).get(label) for one in others}
    return [
        name
        for name, score in scores.items()
        if name != best.name
        and score is not None
        and found["lower"] <= score <= found["upper"]
    ]


def peers_not_told_apart(checkpoint: Checkpoint) -> list[str]:
    """Return the names of its run's checkpoints that the data cannot tell from it."""
    label = next(iter(recorded_scores_of(checkpoint).ranking), None)
    run = str(checkpoint.location).replace("\\", "/").rsplit("/", 2)[0]
    if label is None or not is_run_directory(run):
        return []
    found = open_run_directory(run).checkpoints(checkpoint.run_id)
    return not_told_apart(checkpoint, found, label)


def recorded_scores(checkpoint: Listed) -> dict[str, float]:
    """Return a checkpoint's scores when it was saved, by label."""
    scores = checkpoint.extra.get("scores", {})
    try:
        return {label: float(score) for label, score in scores.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CorruptCheckpointError(
            f"{checkpoint.location} must have numbers as scores, but has "
            f"{scores!r:.80}. Write it with ModelCheckpoint or Checkpointer."
        ) from error
