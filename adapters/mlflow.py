"""A run's scores and checkpoints in MLflow."""

import os
import re
from collections.abc import Mapping
from typing import Any

from multiback.adapters.loggers import architecture_file
from multiback.errors import MissingPackageError
from multiback.store import Checkpoint, is_remote

__all__ = ["MLflow"]

# As MLflow's own errors list them; on Windows without the colon.
_REFUSED = re.compile(r"[^\w.\- /]" if os.name == "nt" else r"[^\w.\- /:]")
_LONGEST = 250


def _allowed(name: str) -> str:
    """Write "_" for what MLflow refuses in a name, which it may treat as a path.

    >>> _allowed("f1@0.5"), _allowed("val//f1"), _allowed("../f1")
    ('f1_0.5', 'val/_/f1', '__/f1')
    """
    parts = _REFUSED.sub("_", name).split("/")
    whole = (part if part.strip(".") else "_" * max(len(part), 1) for part in parts)
    return "/".join(whole)[:_LONGEST].rstrip("/")


class MLflow:
    """Log to an MLflow tracking server, or to files of this machine.

    Each run is a run in MLflow, under the same name. Metrics have the names of the
    logs, with "_" for what MLflow refuses in one: "f1@0.5" is "f1_0.5".
    The tag `multiback.kept` names the epochs whose checkpoints were kept, and
    `multiback.best` is the best checkpoint's path; its scores are metrics `best/...`.
    The artifact `best` is a run directory that holds the best checkpoint:
    `multiback.load_best(downloaded)` loads it. A checkpoint at a URL is named and not
    copied.

    Args:
        experiment: The experiment's name; it is created if missing.
        tracking_uri: Where to log to; MLflow's own default if not given.
        artifact: Copy the best checkpoint to MLflow.

    Raises:
        MissingPackageError: MLflow is not installed.

    Attributes:
        run_id: MLflow's id of the run; empty before it begins.

    Examples:
        >>> import multiback as mb
        >>> from multiback.adapters.loggers import LogRun
        >>> checkpoint = mb.ModelCheckpoint("runs/tumour", monitor="val_loss")
        >>> callbacks = [checkpoint, LogRun(checkpoint, MLflow("tumours"))]
    """

    def __init__(
        self,
        experiment: str = "Default",
        tracking_uri: str | None = None,
        *,
        artifact: bool = True,
    ) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise MissingPackageError(
                f"MLflow(...) needs mlflow, which cannot be imported ({error}). "
                'Install it with:\npip install "multiback[mlflow]"'
            ) from error
        self._client: Any = mlflow.MlflowClient(tracking_uri)
        self._metric: Any = mlflow.entities.Metric
        self._experiment = experiment
        self._artifact = artifact
        self._kept: list[int] = []
        self.run_id = ""

    def begin(self, run_id: str) -> None:
        """Begin a run of the same name."""
        found = self._client.get_experiment_by_name(self._experiment)
        experiment = (
            self._client.create_experiment(self._experiment)
            if found is None
            else found.experiment_id
        )
        tags = {"multiback.run": run_id}
        run = self._client.create_run(experiment, run_name=run_id, tags=tags)
        self.run_id, self._kept = run.info.run_id, []

    def measured(
        self, metrics: Mapping[str, float], *, epoch: int, step: int, time: float
    ) -> None:
        """Log the metrics of one moment."""
        rows = {**metrics, "epoch": float(epoch)}
        self._log(rows, step or epoch, time)

    def _log(self, metrics: Mapping[str, float], step: int, time: float) -> None:
        when = int(1000 * time)
        rows = [
            self._metric(_allowed(name), x, when, step) for name, x in metrics.items()
        ]
        self._client.log_batch(self.run_id, metrics=rows)

    def saved(self, checkpoint: Checkpoint) -> None:
        """Add the epoch to the kept epochs."""
        self._kept.append(checkpoint.epoch)
        kept = ", ".join(map(str, self._kept))
        self._client.set_tag(self.run_id, "multiback.kept", kept)

    def chosen(self, checkpoint: Checkpoint) -> None:
        """Log the best checkpoint, and copy it."""
        self._client.set_tag(self.run_id, "multiback.best", checkpoint.location)
        best = {f"best/{name}": x for name, x in checkpoint.metrics.items()}
        step = checkpoint.step or checkpoint.epoch
        self._log(best, step, checkpoint.created)
        if self._artifact and not is_remote(checkpoint.location):
            folder = f"best/checkpoints/{checkpoint.name}"
            self._client.log_artifacts(self.run_id, checkpoint.location, folder)
            if (architecture := architecture_file(checkpoint)) is not None:
                self._client.log_artifact(self.run_id, str(architecture), "best")

    def finish(self) -> None:
        """End the run."""
        self._client.set_terminated(self.run_id)
