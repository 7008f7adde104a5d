"""The Keras callback: when to ask the engine, and which names to expect."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras

from multiback.checkpoint.checkpointer import Checkpointer, Resume
from multiback.checkpoint.direction import Mode
from multiback.checkpoint.keras_private import logged_metrics, set_first_epoch
from multiback.checkpoint.loading import first_intact, restore_checkpoint
from multiback.checkpoint.monitor import Logs, Monitor
from multiback.checkpoint.retention import Slot, check_number
from multiback.checkpoint.scores import split_logs
from multiback.errors import ArgumentError, StateError
from multiback.state import describe
from multiback.store import Checkpoint

_EARLY_HINT = (
    "If another callback adds the name to the logs, pass "
    "monitor=multiback.Monitor(name, mode=..., early=False)."
)


def _writes_own_logs(model: keras.Model) -> bool:
    """Tell whether the names in the logs are the model's own business."""
    return any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("train_step", "test_step", "get_metrics_result")
    )


class ModelCheckpoint(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Keep the checkpoints of `fit` that are best by a metric that you name.

    A name that does not exist raises at once, with the nearest names: before
    the first step on JAX and torch, after it on TensorFlow. It never overwrites a
    checkpoint. A name that is absent this epoch, as under `validation_freq=2`, is
    passed over; NaN is never best; of equals the earliest stays.

    Each `fit` is a run of its own, unless `resume` says otherwise, and never
    touches what another run wrote into the same directory.

    Args:
        dirpath: The run directory.
        monitor: What to be best by: a log name such as "val_f1_score", an
            expression of log names, a function of the logs, or a `Monitor`. None
            keeps the last only.
        mode: "max", "min", or "auto" to ask the metric behind the name.
        save_top_k: How many of the best to keep; -1 keeps every checkpoint.
        save_last: Keep the newest too, whatever its score.
        every_n_epochs: Judge after each so many epochs.
        keep: Slots in place of `save_top_k` and `save_last`.
        filename: Template for names, such as "{epoch:03d}-{val_f1:.4f}".
        auto_insert_metric_name: Write `epoch=003` for `{epoch:03d}`.
        save_weights_only: Leave out the optimizer and the metrics.
        resume: "never", "auto" or "must": continue the directory's latest run,
            with its best, its weights, its optimizer and its epochs.

    Raises:
        ArgumentError: An argument is not usable.
        MonitorError: In `fit`: the monitor is not in the logs, is no number, or
            nothing says which way is better.
        StoreError: In `fit`: a checkpoint could not be written; earlier ones are
            intact.

    Example:
    >>> import keras, numpy as np, tempfile, multiback as mb
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    >>> model.compile("adam", "binary_crossentropy", metrics=[mb.metrics.F1Score()])
    >>> x, y = np.eye(2), np.array([0, 1])
    >>> folder = tempfile.TemporaryDirectory()
    >>> checkpoint = mb.ModelCheckpoint(folder.name, monitor="val_f1_score")
    >>> history = model.fit(
    ...     x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=[checkpoint]
    ... )
    >>> best = mb.load_best(folder.name)
    >>> checkpoint.best_model_score == max(history.history["val_f1_score"])
    True
    >>> folder.cleanup()
    """

    def __init__(
        self,
        dirpath: str | os.PathLike[str],
        monitor: Monitor | str | Callable[[Logs], float | None] | None = None,
        *,
        mode: Mode | Literal["auto"] = "auto",
        save_top_k: int = 1,
        save_last: bool = True,
        every_n_epochs: int = 1,
        keep: Sequence[Slot] | None = None,
        filename: str | None = None,
        auto_insert_metric_name: bool = True,
        save_weights_only: bool = False,
        resume: Resume = "never",
    ) -> None:
        super().__init__()
        check_number("every_n_epochs=", every_n_epochs, 1)
        self._every_n_epochs = every_n_epochs
        self._engine = Checkpointer(
            dirpath,
            monitor,
            mode=mode,
            save_top_k=save_top_k,
            save_last=save_last,
            keep=keep,
            filename=filename,
            auto_insert_metric_name=auto_insert_metric_name,
            save_weights_only=save_weights_only,
            resume=resume,
        )
        self._checked = False
        self._resumed = False

    def check(self, model: keras.Model, batch: tuple[Any, ...]) -> None:
        """Try everything that could go wrong later, without training.

        Args:
            model: The compiled model.
            batch: `(x, y)` or `(x, y, sample_weight)`: a few samples. The model's
                weights stay as they are.

        Raises:
            MonitorError: A monitored name will not be in the logs, or nothing says
                which way is better.
            ArgumentError: `batch` is no such tuple.
        """
        if not isinstance(batch, tuple) or len(batch) not in (2, 3):
            raise ArgumentError(
                "batch= wants a tuple (x, y) or (x, y, sample_weight), not "
                f"{type(batch).__name__}."
            )
        model.evaluate(*batch[:2], None, 0, *batch[2:])
        self._engine.scorer.reset()
        self._check_names(model)
        self._engine.tell(describe(model).problems)

    def _check_names(self, model: keras.Model) -> None:
        """Check the names, unless Keras does not know them yet.

        Before its first batch, TensorFlow has not built the metrics.
        """
        try:
            rows = logged_metrics(model)
        except ValueError:
            return
        self._checked = True
        scorer = self._engine.scorer
        scorer.directions |= {name: mode for name, _, mode in rows if mode}
        if not _writes_own_logs(model):
            values, shapes = split_logs({name: value for name, value, _ in rows})
            scorer.check(values, shapes, _EARLY_HINT)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        """Check the names, begin the run, and resume what is to be resumed."""
        self._checked = False
        self._engine.scorer.reset()
        self._check_names(self.model)
        # A subclassed model may be built by its first batch only.
        with contextlib.suppress(StateError):
            self._engine.tell(describe(self.model).problems)
        earlier = self._engine.start()
        self._resumed = bool(earlier)
        if earlier:
            self._resume(earlier)

    def _resume(self, newest_first: Sequence[Checkpoint]) -> None:
        """Continue where the newest intact checkpoint was saved."""

        def put_back(checkpoint: Checkpoint) -> int:
            report = restore_checkpoint(self.model, checkpoint)
            self._engine.tell(report.notes)
            return checkpoint.epoch

        self._engine.epoch = first_intact(newest_first, put_back)
        set_first_epoch(self.model, self._engine.epoch)

    def on_epoch_begin(
        self,
        epoch: int,  # noqa: ARG002 - Keras's signature
        logs: Mapping[str, Any] | None = None,  # noqa: ARG002 - Keras's signature
    ) -> None:
        """Let the next `fit` begin where its caller says."""
        if self._resumed:
            set_first_epoch(self.model, None)
            self._resumed = False

    def on_train_batch_begin(
        self,
        batch: int,
        logs: Mapping[str, Any] | None = None,  # noqa: ARG002 - Keras's signature
    ) -> None:
        """Check the names after the first batch, where it was not possible before."""
        if not self._checked and batch > 0:
            self._check_names(self.model)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Judge the epoch."""
        if not self._checked:
            self._check_names(self.model)
        if (epoch + 1) % self._every_n_epochs == 0:
            self._engine.step(self.model, logs or {}, epoch=epoch + 1)
        else:
            self._engine.record(self.model, logs or {}, epoch=epoch + 1)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        """End the run."""
        set_first_epoch(self.model, None)
        self._engine.finish(self.model)

    @property
    def dirpath(self) -> str:
        """The run directory."""
        return self._engine.dirpath

    @property
    def run_id(self) -> str:
        """The id of the run; empty before it starts."""
        return self._engine.run_id

    @property
    def best_model_path(self) -> str:
        """The best checkpoint's directory; empty where there is none yet."""
        return self._engine.best_model_path

    @property
    def best_model_score(self) -> float | None:
        """The best checkpoint's score."""
        return self._engine.best_model_score

    @property
    def best_k_models(self) -> dict[str, float]:
        """The score of each checkpoint that has one, by path, best first."""
        return self._engine.best_k_models

    @property
    def last_model_path(self) -> str:
        """The newest checkpoint's directory; empty where there is none yet."""
        return self._engine.last_model_path
