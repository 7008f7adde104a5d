"""Send a run's scores, checkpoints and best checkpoint to a logger.

A logger receives the content of a run directory, so runs of `fit`, of your own loops
and of Lightning are logged alike, during the training or long afterwards, and training
does not depend on it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras

from multiback.checkpoint.choosing.log_values import numbers_of
from multiback.checkpoint.loading.find import rank
from multiback.checkpoint.loading.history import measurements
from multiback.errors import ArgumentError, MonitorError, NoCheckpointError
from multiback.store import Checkpoint, open_run_directory

__all__ = ["LogRun", "Logger", "log_run"]


class Logger(Protocol):
    """The interface of a logger; write one for your own service."""

    def begin(self, run_id: str) -> None:
        """Begin a run; called before all other methods."""

    def measured(
        self, metrics: Mapping[str, float], *, epoch: int, step: int, time: float
    ) -> None:
        """Log the numbers of one moment, saved or not."""

    def saved(self, checkpoint: Checkpoint) -> None:
        """Log that a checkpoint was saved and is still kept."""

    def chosen(self, checkpoint: Checkpoint) -> None:
        """Log the run's best checkpoint; called at the end, if there is one."""

    def finish(self) -> None:
        """End the run."""


def architecture_file(checkpoint: Checkpoint) -> Path | None:
    """Return the file that a copy of the checkpoint needs beside its folder."""
    if checkpoint.architecture is None:
        return None
    return Path(checkpoint.location).parent.parent / checkpoint.architecture


class Reader:
    """Send loggers what is new in a run directory, of the latest run by default."""

    def __init__(
        self,
        dirpath: str | os.PathLike[str],
        loggers: Sequence[Logger],
        run: str | None = None,
    ) -> None:
        self._dirpath = dirpath
        self._loggers = loggers
        self._run = run
        self._moment = (-1, -1)
        self._told: set[Checkpoint] = set()
        self._began = False

    def update(self) -> list[Checkpoint]:
        """Log what is new; return the run's checkpoints."""
        rows = measurements(self._dirpath, run=self._run)
        if not rows:
            return []
        if self._run is None:
            self._run = rows[0]["run_id"]
        fresh = [one for one in rows if (one["epoch"], one["step"]) > self._moment]
        found = open_run_directory(self._dirpath).checkpoints(self._run)
        for logger in self._loggers:
            if not self._began:
                logger.begin(self._run)
            for one in fresh:
                moment = {name: one[name] for name in ("epoch", "step", "time")}
                logger.measured(numbers_of(one["metrics"]), **moment)
            for checkpoint in found:
                if checkpoint not in self._told:
                    logger.saved(checkpoint)
        self._began = True
        self._moment = rows[-1]["epoch"], rows[-1]["step"]
        self._told.update(found)
        return found

    def finish(self) -> None:
        """Log the rest, and the best checkpoint."""
        found = self.update()
        best = None
        if found:
            try:
                best = rank(found, None, "auto")[0]
            except (MonitorError, NoCheckpointError):
                best = None  # The run had no monitor, or no checkpoint has a score.
        for logger in self._loggers:
            if best is not None:
                logger.chosen(best)
            if self._began:
                logger.finish()


def log_run(
    dirpath: str | os.PathLike[str], *loggers: Logger, run: str | None = None
) -> None:
    """Send a whole run to loggers, once it has ended.

    Args:
        dirpath: The run directory, or its URL.
        *loggers: Such as `multiback.adapters.mlflow.MLflow()`.
        run: A run's id; the run that began last by default.

    Raises:
        NoCheckpointError: The run has no measurement.

    Examples:
        >>> import tempfile, numpy as np
        >>> from multiback import Checkpointer
        >>> class Print:
        ...     def begin(self, run_id): pass
        ...     def measured(self, metrics, *, epoch, step, time): print(epoch, metrics)
        ...     def saved(self, checkpoint): print("kept", checkpoint.epoch)
        ...     def chosen(self, checkpoint): print("best", checkpoint.metrics)
        ...     def finish(self): pass
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Checkpointer(folder.name, "f1", mode="max", save_last=False) as ckpt:
        ...     for f1 in (0.5, 0.9):
        ...         saved = ckpt.step({"w": np.ones(2)}, {"f1": f1})
        >>> log_run(folder.name, Print())
        1 {'f1': 0.5}
        2 {'f1': 0.9}
        kept 2
        best {'f1': 0.9}
        >>> folder.cleanup()
    """
    if not measurements(dirpath, run=run):
        raise NoCheckpointError(
            f"{os.fspath(dirpath)} holds no measurement"
            + (f" of the run {run!r}" if run is not None else "")
            + ". Pass the directory that was given to ModelCheckpoint."
        )
    Reader(dirpath, loggers, run).finish()


class LogRun(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Send a run to loggers while `fit` makes it.

    A checkpoint is logged once it is on the disk: one that is written in the background
    may be logged an epoch later.

    Args:
        checkpoint: The `multiback.ModelCheckpoint`, which stands before this callback.
        *loggers: Such as `multiback.adapters.tensorboard.TensorBoard("logs")`.

    Raises:
        ArgumentError: In `fit`: the `ModelCheckpoint` does not stand before it.

    Examples:
        >>> import multiback as mb
        >>> checkpoint = mb.ModelCheckpoint("runs/tumour", monitor="val_loss")
        >>> callbacks = [checkpoint, LogRun(checkpoint)]
    """

    def __init__(self, checkpoint: Any, *loggers: Logger) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._loggers = loggers
        self._reader: Reader | None = None

    def set_params(self, params: Any) -> None:
        """Raise unless the `ModelCheckpoint` stands before this callback.

        Keras hands the same parameters to one callback after the other. In front, the
        run that it follows would be the one before.
        """
        super().set_params(params)
        if self._checkpoint.params is not params:
            raise ArgumentError(
                "LogRun follows a ModelCheckpoint that does not stand before it in "
                "fit(callbacks=[...]). Put the ModelCheckpoint before LogRun."
            )

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Follow the new run."""
        del logs
        self._reader = Reader(
            self._checkpoint.dirpath, self._loggers, self._checkpoint.run_id
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log what is new."""
        del epoch, logs
        if self._reader is not None:
            self._reader.update()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Log the rest."""
        del logs
        if self._reader is not None:
            self._reader.finish()
