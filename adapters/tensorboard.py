"""A run's scores and checkpoints in TensorBoard."""

import os
import time as clock
from collections.abc import Mapping
from typing import Any

from multiback.errors import MissingPackageError
from multiback.store import Checkpoint

__all__ = ["TensorBoard"]


class TensorBoard:
    """Write event files for TensorBoard; TensorFlow is not needed.

    Scalars have the metrics' names, and `checkpoint/saved` is 1 at each step whose
    checkpoint was kept. The text `checkpoint/best` names the best. The axis counts
    optimizer steps, or epochs where steps were not counted.

    Args:
        log_dir: The folder of all runs; each run gets its own folder in it.

    Raises:
        MissingPackageError: TensorBoard is not installed.

    Examples:
        >>> import multiback as mb
        >>> from multiback.adapters.loggers import LogRun
        >>> checkpoint = mb.ModelCheckpoint("runs/tumour", monitor="val_loss")
        >>> callbacks = [checkpoint, LogRun(checkpoint, TensorBoard("logs"))]
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        self._log_dir = os.fspath(log_dir)
        self._events: Any = None
        try:
            from tensorboard.compat.proto import (
                event_pb2,
                summary_pb2,
                tensor_pb2,
                types_pb2,
            )
            from tensorboard.plugins.text import metadata
            from tensorboard.summary.writer import event_file_writer
        except ImportError as error:
            raise MissingPackageError(
                "TensorBoard(...) needs tensorboard, which cannot be imported "
                f'({error}). Install it with:\npip install "multiback[tensorboard]"'
            ) from error
        self._writer = event_file_writer.EventFileWriter
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._tensor, self._string = tensor_pb2.TensorProto, types_pb2.DT_STRING
        self._text_metadata = metadata.create_summary_metadata

    def begin(self, run_id: str) -> None:
        """Open the run's event file."""
        self._events = self._writer(os.path.join(self._log_dir, run_id))  # noqa: PTH118 - may be a URL

    def measured(
        self, metrics: Mapping[str, float], *, epoch: int, step: int, time: float
    ) -> None:
        """Write a scalar for each metric."""
        values = [
            self._summary.Value(tag=name, simple_value=value)
            for name, value in {**metrics, "epoch": epoch}.items()
        ]
        self._write(values, step or epoch, time)

    def saved(self, checkpoint: Checkpoint) -> None:
        """Mark the step."""
        value = self._summary.Value(tag="checkpoint/saved", simple_value=1.0)
        self._write([value], checkpoint.step or checkpoint.epoch, checkpoint.created)

    def chosen(self, checkpoint: Checkpoint) -> None:
        """Log the best checkpoint and its scores."""
        scores = checkpoint.extra.get("scores", {})
        text = f"{checkpoint.location}: " + ", ".join(
            f"{name} = {score:g}" for name, score in scores.items()
        )
        value = self._summary.Value(
            tag="checkpoint/best",
            metadata=self._text_metadata(display_name="best", description=""),
            tensor=self._tensor(dtype=self._string, string_val=[text.encode()]),
        )
        self._write([value], checkpoint.step or checkpoint.epoch, clock.time())

    def _write(self, values: list[Any], step: int, time: float) -> None:
        summary = self._summary(value=values)
        self._events.add_event(self._event(wall_time=time, step=step, summary=summary))

    def finish(self) -> None:
        """Close the event file."""
        self._events.close()
