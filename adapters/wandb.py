"""A run's scores and checkpoints in Weights & Biases."""

from collections.abc import Mapping
from typing import Any

from multiback.adapters.loggers import architecture_file
from multiback.errors import MissingPackageError
from multiback.store import Checkpoint, is_remote

__all__ = ["WandB"]


class WandB:
    """Log to Weights & Biases, online or offline.

    Each run is a run in Weights & Biases, under the same name. Metrics have the names
    of the logs, with `epoch` and `step` beside them; the summary holds `best/...`,
    `best_path` and the epochs whose checkpoints were kept. The best checkpoint becomes
    an artifact of the type "model", a run directory that holds it alone:
    `multiback.load_best(downloaded)` loads it. A checkpoint at a URL is named and not
    copied.

    Args:
        project: The project's name.
        artifact: Copy the best checkpoint.
        **arguments: More arguments of `wandb.init`, such as `mode="offline"`.

    Raises:
        MissingPackageError: wandb is not installed.

    Examples:
        >>> import multiback as mb
        >>> from multiback.adapters.loggers import LogRun
        >>> checkpoint = mb.ModelCheckpoint("runs/tumour", monitor="val_loss")
        >>> logger = WandB("tumours", mode="offline")
        >>> callbacks = [checkpoint, LogRun(checkpoint, logger)]
    """

    def __init__(
        self, project: str, *, artifact: bool = True, **arguments: Any
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingPackageError(
                f"WandB(...) needs wandb, which cannot be imported ({error}). "
                'Install it with:\npip install "multiback[wandb]"'
            ) from error
        self._wandb: Any = wandb
        self._arguments = {"project": project, **arguments}
        self._artifact = artifact
        self._run: Any = None
        self._kept: list[int] = []

    def begin(self, run_id: str) -> None:
        """Begin a run of the same name."""
        self._run = self._wandb.init(**{"name": run_id, **self._arguments})
        self._kept = []

    def measured(
        self, metrics: Mapping[str, float], *, epoch: int, step: int, time: float
    ) -> None:
        """Log the metrics of one moment."""
        moment = {"epoch": epoch, "step": step, "_timestamp": time}
        self._run.log({**metrics, **moment})

    def saved(self, checkpoint: Checkpoint) -> None:
        """Add the epoch to those that were kept."""
        self._kept.append(checkpoint.epoch)
        self._run.summary["kept_epochs"] = list(self._kept)

    def chosen(self, checkpoint: Checkpoint) -> None:
        """Log the best checkpoint, and copy it."""
        best = {f"best/{name}": x for name, x in checkpoint.metrics.items()}
        self._run.summary.update({**best, "best_path": checkpoint.location})
        if self._artifact and not is_remote(checkpoint.location):
            artifact = self._wandb.Artifact(f"best-{checkpoint.run_id}", type="model")
            folder = f"checkpoints/{checkpoint.name}"
            artifact.add_dir(checkpoint.location, name=folder)
            if (architecture := architecture_file(checkpoint)) is not None:
                artifact.add_file(str(architecture))
            self._run.log_artifact(artifact)

    def finish(self) -> None:
        """End the run."""
        self._run.finish()
