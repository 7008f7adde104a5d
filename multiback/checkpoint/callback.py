"""The Keras callback: when to call the `Checkpointer`, and which names to expect."""

import contextlib
import datetime as dt
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import keras

from multiback import keras_private
from multiback.checkpoint.arguments import (
    Quantity,
    Resume,
    check_flags,
    two_of_a_directory,
)
from multiback.checkpoint.checkpointer import Checkpointer
from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.choosing.slots import Slot, check_number
from multiback.checkpoint.choosing.triggers import Triggers
from multiback.checkpoint.fit.data_position import DataPosition, Seekable
from multiback.checkpoint.fit.ema import EmaCheck
from multiback.checkpoint.fit.log_names import (
    check_intervals,
    check_names,
    intervals_of,
    names_of_training,
    thresholds_of,
    writes_own_logs,
)
from multiback.checkpoint.fit.logits import check_logits
from multiback.checkpoint.fit.lost_inputs import lost_inputs
from multiback.checkpoint.fit.other_callbacks import around, check_order, late_logs
from multiback.checkpoint.fit.resuming import ResumeState
from multiback.checkpoint.fit.signals import StopSignals
from multiback.checkpoint.fit.unusable import check_values
from multiback.checkpoint.fit.validation import PREFIX, awaited, validation_fault
from multiback.checkpoint.loading.export import export_best as write_best
from multiback.checkpoint.loading.find import first_intact
from multiback.checkpoint.loading.load import restore_checkpoint
from multiback.checkpoint.other_names import KnownArguments
from multiback.checkpoint.saving.background import OnSaveError
from multiback.checkpoint.saving.snapshots import Extras, SavePoint
from multiback.distributed import Format
from multiback.errors import (
    ArgumentError,
    MonitorError,
    MultibackError,
    StateError,
    StoreError,
    UnusableValuesWarning,
)
from multiback.state import describe
from multiback.store import Checkpoint


class ModelCheckpoint(KnownArguments, keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Keep the checkpoints of `fit` that are best by a metric that you name.

    A name that does not exist raises at once, with the nearest names: before the first
    step on JAX and torch, after it on TensorFlow. It never overwrites a checkpoint. A
    name that is absent this epoch, as under `validation_freq=2`, is skipped; NaN is
    never best; of equals the earliest stays.

    Each `fit` is a run of its own, unless `resume` says otherwise, and never
    touches what another run wrote into the same directory.

    Keras calls no callback on an error or on Ctrl-C. Train inside
    `with checkpoint: model.fit(...)` and then the state is saved first; SIGINT and
    SIGTERM let the step end, save, and leave, and a second one leaves at once. From
    another shell, `touch RUN/save-now` asks for a checkpoint, as `save()` does; at a
    URL, an object of that name, which is looked for every 15 seconds.

    Checkpoints are written in the background. Attributes that refer to them, such as
    `best_model_path`, wait for a pending write, so their paths exist; `wait()` waits
    too. When `fit` returns, and at the end of a `with` block, everything is on the
    disk. A checkpoint that could not be written is an error of the next step, and at
    the latest of the end of `fit`.

    Keras hands `sample_weight` and `class_weight` to `weighted_metrics=` only, and on
    JAX it hands metrics no mask in `fit`. If that loses weights or masks, a warning
    follows when training begins; only `multiback.adapters.torchmetrics.auditing.audit`
    can check the weights of a loader or a generator.

    Args:
        dirpath: The run directory, or its URL, such as "s3://bucket/runs/tumour". It is
            needed: a run is found again by its directory.
        monitor: What to be best by: a log name such as "val_f1_score", an
            expression of log names, a function of the logs, or a `Monitor`. None
            keeps the last only.
        mode: "max", "min", or "auto" to ask the metric behind the name. The slots of
            `keep` have their own.
        save_top_k: How many of the best to keep; -1 keeps every checkpoint.
        save_last: Keep the newest too, whatever its score; also where training ends
            with an epoch that is not scored. None: True without `keep`.
        every_n_epochs: Score after every so many epochs.
        every_n_train_steps: Save in the middle of an epoch too, after each so many
            batches, however many steps the optimizer makes of one. Such a checkpoint
            has no score: the metrics then belong to an unfinished epoch. `Last` and
            `Every` hold it.
        train_time_interval: Save in the middle of an epoch too, once so long a time
            has passed since the last checkpoint.
        keep: Slots in place of `save_top_k` and `save_last`.
        filename: Template for names, such as "{epoch:03d}-{val_f1:.4f}".
        auto_insert_metric_name: Write `epoch=003` for `{epoch:03d}`.
        save_weights_only: Leave out the optimizer and the metrics.
        resume: "never", "auto" or "must": continue the directory's latest run at the
            end of its last epoch, or in the middle of one with `data=`: best, weights,
            optimizer, epochs, history and global random generators. The path of a
            checkpoint starts a new run from there.
        resume_optimizer: Resume the optimizers' state too. One whose variables differ
            from the saved ones, as after a layer was unfrozen, starts fresh either way,
            with a warning.
        strict: Raise where the weights differ from those that are resumed. False: take
            what both have in the same shape, and warn of the rest, as for a new head.
        learning_rate: "saved" resumes the saved one, and warns where the model was
            compiled with another than then; "compiled" keeps the model's.
        save_on_background: Write while training continues; it waits only for one copy
            of the state. False: it waits until the checkpoint is on the disk.
        buffers: How many copies of the state to hold in memory while writing. With 2 a
            state is copied while the last is still being written; 1 takes half the
            memory, and waits.
        on_save_error: "raise" what a disk refused, at the next step; "warn" to continue
            without that checkpoint. The earlier ones are intact either way.
        restore_best: When training ends, put the best checkpoint's weights into the
            model: those that were scored. With `use_ema` these are the raw weights;
            the averages, where `SwapEMAWeights(swap_on_epoch=True)` stands in front.
        export_best: When training ends, write the best model to RUN/best.keras too,
            which plain `keras.saving.load_model` reads under any backend, without
            multiback: without how it was compiled.
        callbacks: Callbacks whose state is saved and resumed too. In `fit` they stand
            before this one. EarlyStopping, ReduceLROnPlateau, SwapEMAWeights and
            callbacks with `get_state` and `set_state` that stand before it are kept
            without being named.
        data: The `mb.data.Resumable` or `mb.data.ResumableLoader` that `fit` is given:
            a run then resumes from a checkpoint of the middle of an epoch too, bit for
            bit. Without it a run resumes at the end of its last whole epoch: with plain
            arrays exactly, after `keras.utils.set_random_seed` and without
            `steps_per_epoch`, under which Keras restarts the data; with `tf.data`
            exactly if the pipeline's order in an epoch does not depend on earlier
            reads.
        prefixes: What stands before the names of validation sets, for example
            `("val_", "test_clean_")` where another callback evaluates on a second.
        format: How the state is written: "safetensors", by one process; or by each
            process its part, with torch.distributed.checkpoint ("dcp") or with Orbax
            on JAX ("orbax"). Every format is read on any number of processes.
        distributed: In a training of several processes, started by
            `torch.distributed` or `jax.distributed`, each calls `fit` with this
            callback, rank 0 decides by its own logs, and an error on one is an error
            on all. False where only one process has it.
        verbose: 1 or "auto" prints where a resumed run continues, and a line for each
            epoch: what improved, which condition does not hold, what was saved.

    Raises:
        ArgumentError: An argument is not usable. In `fit`: two of these share a
            directory, and one of them resumes.
        MonitorError: In `fit`: the monitor is not in the logs, is not a number, or its
            direction is unknown.
        StoreError: In `fit`: a checkpoint could not be written; earlier ones are
            intact.

    Examples:
        >>> import keras, numpy as np, tempfile, multiback as mb
        >>> last = keras.layers.Dense(1, "sigmoid")
        >>> model = keras.Sequential([keras.Input((2,)), last])
        >>> model.compile("adam", "binary_crossentropy", metrics=[mb.metrics.F1Score()])
        >>> x, y = np.eye(2), np.array([0, 1])
        >>> folder = tempfile.TemporaryDirectory()
        >>> checkpoint = mb.ModelCheckpoint(folder.name, monitor="val_f1_score")
        >>> more = {"validation_data": (x, y), "callbacks": [checkpoint]}
        >>> history = model.fit(x, y, epochs=2, verbose=0, **more)
        >>> best = mb.load_best(folder.name)
        >>> checkpoint.best_model_score == max(history.history["val_f1_score"])
        True
        >>> folder.cleanup()
    """

    def __init__(
        self,
        dirpath: str | os.PathLike[str] | None = None,
        monitor: Quantity = None,
        *,
        mode: Mode | Literal["auto"] = "auto",
        save_top_k: int = 1,
        save_last: bool | None = None,
        every_n_epochs: int = 1,
        every_n_train_steps: int | None = None,
        train_time_interval: dt.timedelta | None = None,
        keep: Sequence[Slot] | None = None,
        filename: str | None = None,
        auto_insert_metric_name: bool = True,
        save_weights_only: bool = False,
        resume: Resume = "never",
        resume_optimizer: bool = True,
        strict: bool = True,
        learning_rate: Literal["saved", "compiled"] = "saved",
        save_on_background: bool = True,
        buffers: int = 2,
        on_save_error: OnSaveError = "raise",
        restore_best: bool = False,
        export_best: bool = True,
        callbacks: Sequence[Any] = (),
        data: Seekable | None = None,
        prefixes: Sequence[str] = ("val_",),
        format: Format = "safetensors",
        distributed: bool = True,
        verbose: int | Literal["auto"] = 0,
    ) -> None:
        super().__init__()
        check_number("every_n_epochs=", every_n_epochs, 1)
        check_flags(
            restore_best=restore_best,
            export_best=export_best,
            resume_optimizer=resume_optimizer,
            strict=strict,
        )
        if learning_rate not in ("saved", "compiled"):
            raise ArgumentError(
                f'learning_rate= wants "saved" or "compiled", not {learning_rate!r}.'
            )
        # As in Keras, where "auto" is 1.
        lines = 1 if verbose == "auto" else verbose
        self._verbose = int(lines) if isinstance(lines, bool) else lines
        check_number("verbose=", self._verbose, 0)
        self._restore_best = restore_best
        self._export_best = export_best
        self._checkpointer = Checkpointer(
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
            save_on_background=save_on_background,
            buffers=buffers,
            on_save_error=on_save_error,
            prefixes=prefixes,
            format=format,
            distributed=distributed,
        )
        if restore_best and self._checkpointer.best_label is None:
            raise ArgumentError(
                "restore_best=True wants a monitor=, or a Best in keep=, to know what "
                "is best. Pass one, or leave restore_best= out."
            )
        self._triggers = Triggers(
            every_n_train_steps,
            train_time_interval,
            self._checkpointer.directory.save_request,
        )
        self._signals = StopSignals()
        self._weights = EmaCheck()
        self._resumption = ResumeState(
            self._checkpointer,
            callbacks,
            DataPosition(data),
            optimizer=resume_optimizer,
            strict=strict,
            saved_rate=learning_rate == "saved",
        )
        self._checkpointer.extras = self._extras
        self._checkpointer.every_n_epochs = every_n_epochs
        # Keras resets them before the next epoch, and their results are recorded.
        self._checkpointer.keeps_metrics = False
        self._logs: Mapping[str, Any] = {}
        self._checked = False
        self._training = False
        # Batches of this epoch; of the run; not trained again, of a resumed epoch.
        self._batch = self._batches = self._skipped = 0
        self._first_batches = 0
        self._counted = True
        # Whether the last epoch was neither scored nor saved.
        self._unsaved = False
        self._awaited: list[str] = []

    def check(self, model: keras.Model, batch: tuple[Any, ...]) -> None:
        """Check everything that could fail later, without training.

        Args:
            model: The compiled model.
            batch: `(x, y)` or `(x, y, sample_weight)`: a few samples. The model's
                weights stay as they are.

        Raises:
            MonitorError: A monitored name will not be in the logs, or nothing says
                which way is better.
            ArgumentError: `batch` is not such a tuple, or a metric cannot use a label
                or a score in it.
        """
        if not isinstance(batch, tuple) or len(batch) not in (2, 3):
            raise ArgumentError(
                "batch= wants a tuple (x, y) or (x, y, sample_weight), not "
                f"{type(batch).__name__}."
            )
        with warnings.catch_warnings():
            # It is an error below.
            warnings.simplefilter("ignore", UnusableValuesWarning)
            model.evaluate(*batch[:2], None, 0, *batch[2:])
        self._checkpointer.scorer.reset()
        check_values(model)
        self._check_names(model)
        self._checkpointer.tell(describe(model).problems)

    def _check_names(self, model: keras.Model) -> None:
        try:
            problems = check_names(model, self._checkpointer.scorer)
            if problems is not None:
                problems += check_logits(model)
                wanted = self._checkpointer.monitored_within
                check_intervals(model, self._checkpointer.scorer, wanted)
        except MultibackError:
            # Keras calls no more hooks after an error, so end the writer thread here.
            self._checkpointer.end()
            raise
        self._checked = problems is not None
        self._checkpointer.tell(problems or [])

    def _check_validation(self, model: keras.Model) -> None:
        """Raise where `fit` was given no validation that a monitor waits for."""
        fit = keras_private.fit_arguments()
        monitored = self._checkpointer.scorer.early_names()
        self._awaited = []
        if writes_own_logs(model) or not fit:
            self._awaited = awaited(monitored, ())
        elif fault := validation_fault(monitored, names_of_training(model), fit):
            raise MonitorError(fault)

    def save(self) -> None:
        """Ask for a checkpoint that stays: after the step that is being made.

        Outside of `fit` the model is saved at once.
        """
        if self._training:
            self._triggers.asked = True
        elif self.model is not None:
            self._checkpointer.save(self.model)
            self._checkpointer.wait()

    def wait(self) -> Checkpoint | None:
        """Wait until everything that was saved is on the disk.

        Returns:
            The newest checkpoint of the run.

        Raises:
            StoreError: A checkpoint could not be written; earlier ones are intact.
        """
        return self._checkpointer.wait()

    def __enter__(self) -> Self:
        """Take SIGINT and SIGTERM over, in the main thread."""
        self._signals.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Save what an error has left; handle a signal that came at the very end."""
        self._signals.holding = False
        training, self._training = self._training, False
        ours = isinstance(error, MonitorError | StoreError)
        # With several processes, one cannot know whether the others reach this point.
        alone = self._checkpointer.processes.is_alone
        if training and alone and not ours and not self._signals.hurried:
            with self._checkpointer.rescuing():
                if error and not self._counted and _has_ended_a_batch(error):
                    # A callback in front of this one raised before it could count.
                    self._count(self._batch + self._batches_a_call)
                self._rescue(self.model)
        if error is None:
            self._checkpointer.wait()
        elif not self._signals.hurried:
            with self._checkpointer.rescuing():
                self._checkpointer.wait()
        self._checkpointer.end()
        if self._signals.received is not None:
            self._signals.leave(self._farewell())
        self._signals.restore()

    def _rescue(self, model: keras.Model) -> None:
        """Save the state that an error has left, if it is not saved yet."""
        if self._batches == self._first_batches:
            return
        if keras.backend.backend() == "jax" and getattr(
            model.optimizer, "use_ema", False
        ):
            # JAX's `fit` puts the averages over the weights, even on an error.
            self._checkpointer.tell(
                ["With use_ema, the state at an error is not saved."]
            )
            return
        self._checkpointer.save(
            model, step=self._batches, batch=self._batch, asked=False
        )

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        """Check the names, begin the run, and resume its state."""
        self._training = self._unsaved = False
        self._find_others()
        self._checkpointer.scorer.reset()
        self._check_validation(self.model)
        self._check_names(self.model)
        self._checkpointer.tell(lost_inputs(self.model))
        self._resumption.find_callbacks(keras_private.fit_callbacks(), self)
        # A subclassed model may be built only by its first batch.
        with contextlib.suppress(StateError):
            self._checkpointer.tell(describe(self.model).problems)
        epochs = int(self.params.get("epochs") or 0)
        self._checkpointer.tell(
            self._resumption.position.problems(self.params.get("steps"))
        )
        self._resumption.begin(self.model, self._checkpointer.start(), epochs)
        continues = self._resumption.sentence()
        if continues and self._verbose and self._checkpointer.processes.is_writer:
            print(continues)  # noqa: T201 - asked for
        # Keras counts the batches of a resumed epoch from 0.
        self._batch = self._skipped = self._resumption.batch
        self._batches = self._first_batches = self._resumption.batches
        self._batches_a_call = getattr(self.model, "steps_per_execution", 1)
        self._triggers.start(self._batches, time.monotonic())
        self._weights.begin(self.model)
        self._training = self._signals.holding = True

    def set_params(self, params: Any) -> None:
        """Check that the callbacks whose state is saved stand in front."""
        super().set_params(params)
        check_order(self._resumption.other_callbacks, params)

    def _extras(self, save_point: SavePoint) -> Extras:
        return self._resumption.extras(
            self.model, self._logs, self._batches, save_point
        )

    def on_epoch_begin(
        self,
        epoch: int,
        logs: Mapping[str, Any] | None = None,  # noqa: ARG002 - Keras's signature
    ) -> None:
        """Restore the rest of the state; the next `fit` uses its own first epoch."""
        self._resumption.end(self.model)
        self._resumption.position.begin_epoch(epoch)
        self._checkpointer.epoch = epoch
        self._logs = {}

    def on_train_batch_begin(
        self,
        batch: int,
        logs: Mapping[str, Any] | None = None,  # noqa: ARG002 - Keras's signature
    ) -> None:
        """Save the state after the last batch, if it is due.

        Only here, never after a batch: there JAX's state may be deleted, and torch's
        belongs to another step. Use `self.model` only to save: on JAX it is slow.
        """
        self._checkpointer.surface()
        self._resumption.begin_batches()
        self._count(batch + self._skipped)
        self._counted = False
        if self._agreed(lambda: self._triggers.due(self._batches, time.monotonic())):
            self._save(self.model)
        if self._signals.received is not None:
            self._leave()
        if not self._checked and batch > 0:
            # Only once: TensorFlow has built its metrics by now, or never will.
            self._check_names(self.model)
            self._checked = True

    def _agreed(self, due: Callable[[], bool]) -> bool:
        """Take from rank 0 whether a save is due, and whether a user asked for it."""
        is_due, self._triggers.asked, self._signals.received = (
            self._checkpointer.processes.decide(
                lambda: (due(), self._triggers.asked, self._signals.received)
            )
        )
        return is_due

    def _save(self, model: keras.Model, *, always: bool = False) -> None:
        """Save in the middle of an epoch."""
        asked = self._triggers.asked
        self._checkpointer.save(
            model,
            step=self._batches,
            batch=self._batch,
            asked=asked,
            always=always or asked,
        )
        self._triggers.saved(time.monotonic())

    def on_train_batch_end(
        self,
        batch: int,
        logs: Mapping[str, Any] | None = None,  # noqa: ARG002 - Keras's signature
    ) -> None:
        """Count the batch: an error may come before the next one begins."""
        self._count(batch + 1 + self._skipped)
        self._counted = True

    def _count(self, done: int) -> None:
        """Note how many batches of this epoch are done."""
        # `steps_per_execution` numbers the last call as if it were complete.
        done = min(done, self.params.get("steps") or done)
        self._batches += done - self._batch
        self._batch = done

    def _leave(self) -> None:
        """Save and end the training after a signal."""
        self._save(self.model, always=True)
        self._checkpointer.wait()
        self._training = self._signals.holding = False
        self._signals.leave(self._farewell())

    def _farewell(self) -> str:
        """Return what was saved where, and how to continue."""
        saved = self._checkpointer.last_model_path
        what = f"Saved {saved}." if saved else "Nothing was saved yet."
        return (
            f"{what} To continue, run the same program with "
            f'ModelCheckpoint({self.dirpath!r}, ..., resume="auto").'
        )

    def on_test_batch_begin(
        self,
        batch: int,  # noqa: ARG002 - Keras's signature
        logs: Mapping[str, Any] | None = None,  # noqa: ARG002 - Keras's signature
    ) -> None:
        """End a validation too, after a signal."""
        if self._weights.wanted:
            self._weights.note(self.model)
        alone = self._checkpointer.processes.is_alone
        if self._training and alone and self._signals.received is not None:
            self._leave()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Score the epoch, and save if a slot wants it."""
        model = self.model
        if not self._checked:
            self._check_names(model)
        self._checkpointer.tell(self._weights.problems(model))
        self._logs = logs or {}
        prefix = PREFIX if any(name.startswith(PREFIX) for name in self._logs) else ""
        if self._awaited and not prefix:
            text = (
                f"{self._awaited[0]!r} is monitored, and the epoch logged nothing of a "
                "validation. Pass validation_data= to fit(), unless validation_freq= "
                "is the reason."
            )
            self._checkpointer.tell([text])
        self._awaited = []
        self._batch = self._skipped = 0
        at = {"epoch": epoch + 1, "step": self._batches}
        self._unsaved = (epoch + 1) % self._checkpointer.every_n_epochs != 0
        if not self._unsaved:
            before = self._checkpointer.kept.leader()
            try:
                saved = self._checkpointer.step(
                    model,
                    logs or {},
                    **at,
                    thresholds=thresholds_of(model, prefix),
                    intervals=intervals_of(
                        model, prefix, self._checkpointer.scorer.single_names()
                    ),
                )
            except MonitorError as error:
                if behind := late_logs(keras_private.fit_callbacks(), self):
                    raise MonitorError(f"{error} {behind}") from error
                raise
            if self._verbose and self._checkpointer.processes.is_writer:
                decided = self._decision(epoch + 1, before, logs or {}, saved=saved)
                print(f"\n{decided}")  # noqa: T201 - asked for
        else:
            self._checkpointer.record(model, logs or {}, **at)
            saved = None
            epochs = int(self.params.get("epochs") or 0)
            self._save_end(model, ends=0 < epochs <= epoch + 1 or model.stop_training)
        self._agreed(lambda: False)
        if self._triggers.asked or self._signals.received is not None:
            self._checkpointer.save(
                model, step=self._batches, asked=self._triggers.asked
            )
        if saved or self._triggers.asked:
            self._triggers.saved(time.monotonic())
        if self._signals.received is not None:
            self._checkpointer.wait()
            self._training = self._signals.holding = False
            self._signals.leave(self._farewell())

    def _save_end(self, model: keras.Model, *, ends: bool) -> None:
        """Save an epoch without a score with which training ends, if a slot wants it.

        `save_last` holds the newest state, and not only the newest scored one.
        """
        if self._unsaved and ends:
            self._unsaved = False
            self._checkpointer.save(
                model, step=self._batches, asked=False, always=False
            )

    def _decision(
        self,
        epoch: int,
        before: Entry | None,
        logs: Mapping[str, Any],
        *,
        saved: bool,
    ) -> str:
        """Describe what an epoch's logs decided."""
        after = self._checkpointer.kept.leader()
        label, worst = self._checkpointer.best_label, "saved" if saved else "not saved"
        if label is None:
            return f"Epoch {epoch}: {worst}."
        unmet = self._checkpointer.scorer.unmet(label, logs)
        if unmet is not None:
            worst = f"{unmet}; {worst}"
        if after is None:
            return f"Epoch {epoch}: {label} has no best value yet; {worst}."
        score = self._checkpointer.score_of(after)
        # By its number: a resume scores existing checkpoints again, as new records.
        if before is not None and after.order == before.order:
            return f"Epoch {epoch}: {label} did not improve from {score:.5g}; {worst}."
        was = (
            "" if before is None else f" from {self._checkpointer.score_of(before):.5g}"
        )
        return f"Epoch {epoch}: {label} improved{was} to {score:.5g}; saved."

    def _find_others(self) -> None:
        """Leave links and best.keras to an earlier `ModelCheckpoint` of this `fit`.

        Raise where one of several in a directory resumes: all would continue one run.
        """
        in_front, behind = (
            [
                one
                for one in part
                if isinstance(one, ModelCheckpoint) and one.dirpath == self.dirpath
            ]
            for part in around(keras_private.fit_callbacks(), self)
        )
        self._checkpointer.kept.points = not in_front
        others = [*in_front, *behind]
        if others and any(one._checkpointer.continues for one in (self, *others)):  # noqa: SLF001 - of this class
            raise two_of_a_directory(self.dirpath)
        if in_front:
            text = (
                "Two ModelCheckpoints write into one directory, each a run of its "
                "own. One with keep=[Best(a), Best(b)] makes one run of them."
            )
            self._checkpointer.tell([text])

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        """End the run."""
        self._training = self._signals.holding = False
        model = self.model
        self._resumption.end(model)
        # A callback behind this one has stopped the training. With `use_ema` Keras has
        # put the averages over the weights by now.
        self._save_end(model, ends=not getattr(model.optimizer, "use_ema", False))
        behind = late_logs(keras_private.fit_callbacks(), self)
        self._checkpointer.finish(model, because=behind)
        if self._restore_best:
            self._put_best_back(model)
        kept = self._checkpointer.kept
        best = [checkpoint for _, checkpoint in kept.ranked()]
        # An earlier fit of this object wrote the file, if its best is better.
        ours = bool(best) and best[0].run_id == self.run_id and kept.points
        if ours and self._export_best and self._checkpointer.processes.is_writer:
            with self._checkpointer.processes.apart():
                self._checkpointer.tell(
                    write_best(self._checkpointer.directory, best, model)
                )

    def _put_best_back(self, model: keras.Model) -> None:
        """Give the model the weights of this run's best intact checkpoint."""
        best = [checkpoint for _, checkpoint in self._checkpointer.kept.ranked_here()]
        if best:
            first_intact(best, lambda one: restore_checkpoint(model, one))
        else:
            text = "restore_best=True found no best checkpoint; the model is the last."
            self._checkpointer.tell([text])

    def _repr_html_(self) -> str:
        shown: str = self._checkpointer._repr_html_()
        return shown.replace("Checkpointer", type(self).__name__, 1)

    @property
    def dirpath(self) -> str:
        """The run directory."""
        return self._checkpointer.dirpath

    @property
    def run_id(self) -> str:
        """The id of the run; empty before it starts."""
        return self._checkpointer.run_id

    @property
    def best_model_path(self) -> str:
        """The best checkpoint's directory; empty before the first one."""
        return self._checkpointer.best_model_path

    @property
    def best_model_score(self) -> float | None:
        """The best checkpoint's score."""
        return self._checkpointer.best_model_score

    @property
    def best_threshold(self) -> float | list[float] | None:
        """The threshold that the best checkpoint's score was reached with.

        None where the monitored metric chooses no threshold;
        `multiback.threshold_of(path)` reads it from a directory.
        """
        return self._checkpointer.best_threshold

    @property
    def best_k_models(self) -> dict[str, float]:
        """The score of each checkpoint that has one, by path, best first."""
        return self._checkpointer.best_k_models

    @property
    def last_model_path(self) -> str:
        """The newest checkpoint's directory; empty before the first one."""
        return self._checkpointer.last_model_path


def _has_ended_a_batch(error: BaseException) -> bool:
    """Return whether `on_train_batch_end` raised: then the batch was trained."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "on_train_batch_end":
            return True
        trace = trace.tb_next
    return False
