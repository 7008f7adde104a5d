"""Send a run to loggers while a Lightning trainer makes it."""

from collections.abc import Mapping, Sequence
from typing import Any

from multiback.adapters.lightning.library import pl
from multiback.adapters.loggers import Logger, Reader
from multiback.store import Checkpoint

_Base: Any = pl.Callback


class LogRun(_Base):  # type: ignore[misc]  # An optional library
    """Send loggers what a trainer's ModelCheckpoint measured, kept and chose.

    Without loggers the trainer's own are used, which have the scores from Lightning
    already: `checkpoint/saved` at each step whose checkpoint was kept, and in the end
    `best/...` with the best checkpoint's scores and its path as a hyperparameter.
    Lightning calls checkpoint callbacks last, so a checkpoint is logged an epoch later.
    After an error, `log_run(dirpath, ...)` logs the saved checkpoints.

    Args:
        checkpoint: The `multiback.adapters.lightning.ModelCheckpoint` of the trainer.
        *loggers: Such as `multiback.adapters.mlflow.MLflow()`, as for Keras's
            `multiback.adapters.loggers.LogRun`.

    Examples:
        >>> from multiback.adapters.lightning import ModelCheckpoint
        >>> checkpoint = ModelCheckpoint("runs/tumour", monitor="val_loss")
        >>> callbacks = [checkpoint, LogRun(checkpoint)]
    """

    def __init__(self, checkpoint: Any, *loggers: Logger) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._loggers = loggers
        self._reader: Reader | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Follow the new run; only global rank zero has it."""
        del pl_module
        self._reader = None
        if trainer.is_global_zero and self._checkpoint.run_id:
            loggers = self._loggers or (_OwnLoggers(trainer.loggers),)
            self._reader = Reader(
                self._checkpoint.dirpath, loggers, self._checkpoint.run_id
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log what is new."""
        del trainer, pl_module
        if self._reader is not None:
            self._reader.update()

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the rest: by now everything is on the disk."""
        del trainer, pl_module
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.finish()

    def on_exception(
        self, trainer: Any, pl_module: Any, exception: BaseException
    ) -> None:
        """Log earlier saves, and finish the runs that the loggers began."""
        del exception
        self.on_fit_end(trainer, pl_module)


class _OwnLoggers:
    """Lightning's loggers, with the values that Lightning does not log."""

    def __init__(self, loggers: Sequence[Any]) -> None:
        self._loggers = loggers

    def _log(self, metrics: Mapping[str, float], checkpoint: Checkpoint) -> None:
        for logger in self._loggers:
            logger.log_metrics(dict(metrics), step=checkpoint.step)

    def _name(self, key: str, value: str) -> None:
        for logger in self._loggers:
            logger.log_hyperparams({key: value})

    def begin(self, run_id: str) -> None:
        """Log our run's name."""
        self._name("multiback/run", run_id)

    def measured(
        self, metrics: Mapping[str, float], *, epoch: int, step: int, time: float
    ) -> None:
        """Do nothing: Lightning has logged it."""

    def saved(self, checkpoint: Checkpoint) -> None:
        """Mark the step."""
        self._log({"checkpoint/saved": float(checkpoint.epoch)}, checkpoint)

    def chosen(self, checkpoint: Checkpoint) -> None:
        """Log the best checkpoint and its scores."""
        scores = {f"best/{name}": x for name, x in checkpoint.metrics.items()}
        self._log(scores, checkpoint)
        self._name("multiback/best", checkpoint.location)

    def finish(self) -> None:
        """Do nothing: the trainer finishes its loggers."""
