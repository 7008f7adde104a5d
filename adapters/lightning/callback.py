"""The checkpoint callback of a Lightning trainer."""

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from multiback.adapters.lightning.facts import (
    facts_of,
    has_validation,
    is_ending,
    place_of,
)
from multiback.adapters.lightning.hyperparameters import plain
from multiback.adapters.lightning.library import pl
from multiback.adapters.lightning.ranks import check_trainer, on_rank_zero
from multiback.adapters.lightning.restoring import template_of
from multiback.adapters.lightning.resuming import plateaus_of, put_back
from multiback.adapters.lightning.schedule import Schedule
from multiback.adapters.lightning.state import state_of
from multiback.checkpoint import Best, Checkpointer, Slot
from multiback.checkpoint.arguments import two_of_a_directory
from multiback.checkpoint.other_names import KnownArguments
from multiback.errors import ArgumentError, MonitorError, StoreError

_Base: Any = pl.callbacks.Checkpoint


class ModelCheckpoint(KnownArguments, _Base):  # type: ignore[misc]  # An optional library
    """Keep the checkpoints of a `Trainer` that are best by a metric that you log.

    Give it to `Trainer(callbacks=[...])` in place of Lightning's own. Runs, slots and
    the command line are those of `multiback.ModelCheckpoint`: a name that was never
    logged raises with the nearest name, NaN is never best, of equals the earliest
    stays, and no run touches another run's files. `multiback.load_best(dirpath)` gives
    the saved tree, and `restore(module, dirpath)` puts the module's part of it back.

    It scores at the end of each validated epoch, or of every epoch without validation
    data; with `val_check_interval=` after each validation; and after steps or time, as
    you ask. There it takes only what training logged: a score that a validation logs
    waits for the next validation, and until then the state is kept as the last. Beside
    logged names, "epoch" (epochs completed) and "step" can be monitored. Where training
    ends otherwise (`max_steps`, `max_time`, an epoch without validation), that state is
    kept as the last, without a score. Sanity checking and `fast_dev_run` are skipped.
    An error or Ctrl-C saves the state first. Global rank zero decides and writes, by
    the numbers that it logged (`sync_dist=True` makes them equal on all ranks); its
    errors are raised on all ranks. Strategies that shard one model over processes
    (FSDP, DeepSpeed) are refused.

    A checkpoint holds the state of the module, its optimizers and schedulers, the
    progress of the loops, the state of other callbacks, such as EarlyStopping, and what
    `on_save_checkpoint` adds; and the hyperparameters that `save_hyperparameters()`
    noted, for `load_from_checkpoint`. With averaged weights (EMAWeightAveraging) it
    holds the weights that were scored. It does not hold the data module, a precision
    plugin's loss scale, nor random generators, so a shuffled order differs after
    resuming. Functions within a state are those that `configure_optimizers` makes
    again. Lightning logs float32.

    With `resume=` the trainer continues at the next epoch and step, as with
    `ckpt_path=`, which cannot be given too; a checkpoint from the middle of an epoch
    after `val_check_interval` continues there with a new pass over the data, as in
    Lightning. `Trainer.test(ckpt_path="best")` reads Lightning's files only: call
    `restore(module, dirpath)` and then `Trainer.test(module)`; and in place of
    `Module.load_from_checkpoint(path)` call `load_from_checkpoint(Module, path)`.

    Args:
        dirpath: The run directory, or its URL. None: the folder of the trainer's
            logger, such as lightning_logs/version_0; without a logger, `checkpoints` in
            the trainer's `default_root_dir`.
        monitor: What to be best by: a name given to `self.log`, an expression of
            names, a function of them, or a `multiback.Monitor`. None keeps the last.
        mode: "max" or "min"; "auto" knows common names such as "val_loss", and raises
            for others. The slots of `keep` have their own.
        save_top_k: How many of the best to keep; -1 keeps every checkpoint.
        save_last: Keep the newest too, whatever its score. None: True without `keep`.
        every_n_epochs: Score after every so many epochs; 0 for none. By default 1, and
            0 where steps or a time are given.
        every_n_train_steps: Score after every so many optimizer steps; None or 0 for
            none.
        train_time_interval: Score once so long a time has passed since this last did.
        save_on_train_epoch_end: True: score at the end of every epoch, validated or
            not. False: when a validation ends, before its epoch does. None: as said
            above.
        keep: Slots in place of `save_top_k` and `save_last`.
        filename: Template for names, such as "{epoch:03d}-{val_f1:.4f}".
        auto_insert_metric_name: Write `epoch=003` for `{epoch:03d}`.
        save_weights_only: The module's state only, and where the loops stood.
        save_on_exception: Save what an error has left.
        resume: "never", "auto", "must", or the path of a checkpoint, as for
            `multiback.ModelCheckpoint`.
        save_on_background: Write while training continues.
        buffers: How many copies of the state to hold in memory while writing.
        on_save_error: "raise" what a disk refused, or "warn" and continue.
        prefixes: What stands before the names of a validation set.

    Raises:
        ArgumentError: An argument is not usable; in `fit`, the strategy or the trainer,
            or two of these share a directory, and one of them resumes.
        MonitorError: In `fit`: the monitor was not logged, is not a number, or its
            direction is unknown.
        StateError: In `fit`: the checkpoint does not fit the module.
        StoreError: In `fit`: a checkpoint could not be written.

    Examples:
        >>> import lightning.pytorch as pl, multiback as mb
        >>> checkpoint = ModelCheckpoint("runs/tumour", monitor="val_f1", mode="max")
        >>> trainer = pl.Trainer(
        ...     callbacks=[checkpoint], accelerator="cpu", logger=False, barebones=False
        ... )
        >>> trainer.checkpoint_callback is checkpoint
        True
    """

    def __init__(
        self,
        dirpath: str | os.PathLike[str] | None = None,
        monitor: Any = None,
        *,
        mode: Literal["max", "min", "auto"] = "auto",
        save_top_k: int = 1,
        save_last: bool | None = None,
        every_n_epochs: int | None = None,
        every_n_train_steps: int | None = None,
        train_time_interval: dt.timedelta | None = None,
        save_on_train_epoch_end: bool | None = None,
        keep: Sequence[Slot] | None = None,
        filename: str | None = None,
        auto_insert_metric_name: bool = True,
        save_weights_only: bool = False,
        save_on_exception: bool = True,
        resume: Any = "never",
        save_on_background: bool = True,
        buffers: int = 2,
        on_save_error: Literal["raise", "warn"] = "raise",
        prefixes: Sequence[str] = ("val_", "val/"),
    ) -> None:
        super().__init__()
        self._schedule = Schedule(
            every_n_epochs,
            every_n_train_steps,
            train_time_interval,
            save_on_train_epoch_end,
        )
        if dirpath is None and resume in ("auto", "must"):
            raise ArgumentError(
                f"resume={resume!r} wants dirpath=: the folder of a logger is another "
                "one in each run."
            )
        self._weights_only = save_weights_only
        self._on_exception = save_on_exception
        self._options: dict[str, Any] = {
            "dirpath": dirpath,
            "monitor": monitor,
            "mode": mode,
            "save_top_k": save_top_k,
            "save_last": save_last,
            "keep": keep,
            "filename": filename,
            "auto_insert_metric_name": auto_insert_metric_name,
            "resume": resume,
            "save_on_background": save_on_background,
            "buffers": buffers,
            "on_save_error": on_save_error,
            "prefixes": prefixes,
            # Only rank zero calls it, and Lightning includes the other ranks.
            "distributed": False,
        }
        self._checkpointer = self._new_checkpointer()
        self._begun = 0
        self._fitting = False
        self._known: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the writer: another process makes its own."""
        return {
            name: one for name, one in vars(self).items() if name != "_checkpointer"
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with the original arguments."""
        self.__dict__.update(state)
        self._checkpointer = self._new_checkpointer()

    def _new_checkpointer(self) -> Checkpointer:
        """Return a writer; without a directory it only checks the arguments."""
        place = self._options["dirpath"]
        options = {**self._options, "dirpath": "." if place is None else place}
        checkpointer = Checkpointer(**options)
        checkpointer.scorer.hint = "Log it with self.log() in the LightningModule."
        checkpointer.no_validation = (
            "the Trainer got no validation data, or check_val_every_n_epoch= is too "
            "large"
        )
        return checkpointer

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Raise for unsupported settings, before training."""
        del pl_module
        if stage != "fit":
            return
        check_trainer(trainer)
        if self._options["dirpath"] is None and not trainer.fast_dev_run:
            place = trainer.strategy.broadcast(place_of(trainer))
            self._options["dirpath"] = place
            self._checkpointer = self._new_checkpointer()
        same = [
            one
            for one in trainer.callbacks
            if isinstance(one, ModelCheckpoint) and one.dirpath == self.dirpath != ""
        ]
        if len(same) > 1 and any(one._checkpointer.continues for one in same):  # noqa: SLF001 - of this class
            raise two_of_a_directory(self.dirpath)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run, and resume its state."""
        self._fitting = False
        self._known = None
        if trainer.fast_dev_run:
            return
        self._checkpointer.extras = lambda _: (
            {"hyperparameters": plain(pl_module.hparams, self._checkpointer.tell)},
            {},
        )
        template = template_of(pl_module)
        saved = on_rank_zero(trainer, lambda: self._checkpointer.resume(template))
        saved = trainer.strategy.broadcast(saved)
        if saved is not None:
            if trainer.ckpt_path:
                raise ArgumentError(
                    f"resume= found a run to continue in {self.dirpath}, and "
                    f"ckpt_path={trainer.ckpt_path!r} names another state. Give one."
                )
            put_back(trainer, pl_module, saved)
        self._begun = trainer.global_step
        self._schedule.begin(self._begun)
        self._fitting = True

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Note what was logged before: the rest is the validation's."""
        del pl_module
        if self._fitting:
            self._schedule.begin_validation(trainer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Score after each of several validations in an epoch; otherwise at its end."""
        del pl_module
        if not self._fitting:
            return
        self._schedule.end_validation(trainer)
        # Known now: a name that is absent after a step is not a misspelt one.
        self._checkpointer.scorer.remember(trainer.callback_metrics)
        due = not trainer.sanity_checking and self._schedule.scores_validations(trainer)
        if due and self._schedule.is_due_in_epoch(trainer.current_epoch + 1):
            self._judge(trainer, trainer.current_epoch, {}, validated=True)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score after steps or time, where that was asked for."""
        del pl_module, outputs, batch, batch_idx
        if self._fitting and self._schedule.is_due_after_a_batch(trainer):
            self._judge(trainer, trainer.current_epoch, {}, validated=False)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Score an epoch that was validated, or any epoch without validation.

        If training ends with an epoch without a score, that epoch is kept as the last.
        """
        del pl_module
        if not self._fitting:
            return
        number = trainer.current_epoch + 1
        judged = self._schedule.scores_epoch_end(
            trainer
        ) and self._schedule.is_due_in_epoch(number)
        if judged:
            plateaus = plateaus_of(trainer)
            validated = self._schedule.validated
            self._judge(trainer, number, plateaus, validated=validated)
        elif is_ending(trainer):
            self._save_end(trainer, trainer.current_epoch)
        self._schedule.validated = False

    def _save_end(self, trainer: Any, epochs: int, *, always: bool = False) -> None:
        """Save where training stops, unless it was saved or nothing was trained.

        `always` saves even if no slot keeps it.
        """
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        is_whole = batches >= trainer.num_training_batches

        def save() -> None:
            state = self._state_of(trainer, plateaus_of(trainer) if is_whole else None)
            batch = None if is_whole else int(batches)
            self._save(trainer, state, epochs + is_whole, batch, always=always)

        if trainer.global_step > self._begun:
            on_rank_zero(trainer, save)

    def _save(
        self,
        trainer: Any,
        state: Callable[[], Any],
        epoch: int,
        batch: int | None,
        *,
        always: bool = True,
    ) -> None:
        """Save without a score."""
        self._checkpointer.epoch = epoch
        self._checkpointer.save(
            state, step=trainer.global_step, batch=batch, asked=False, always=always
        )

    def _judge(
        self,
        trainer: Any,
        epoch: int,
        plateaus: Mapping[str, float],
        *,
        validated: bool,
    ) -> None:
        """Offer the state, on rank zero, with the scores that are there now.

        `plateaus` are the next values for schedulers such as ReduceLROnPlateau; with
        `validated`, what the newest validation logged belongs to this state.
        """
        step, scorer = trainer.global_step, self._checkpointer.scorer
        logs = self._schedule.logs_of(trainer, validated=validated)
        counts = {"epoch": epoch, "step": step}
        logs = {n: counts[n] for n in counts if n in scorer.early_names()} | logs
        state = self._state_of(trainer, plateaus)

        def offer() -> bool:
            lacking = {} if validated else scorer.lacking(logs)
            if all(lacking.values()) or not has_validation(trainer):
                self._checkpointer.step(state, logs, epoch=epoch, step=step)
                return bool(lacking)
            # The next validation logs the missing name, or raises and lists all names.
            batch = trainer.fit_loop.epoch_loop.batch_progress.current.ready
            self._save(trainer, state, epoch, int(batch), always=False)
            return True

        # The ranks agree: each of them will be asked again.
        waits = trainer.strategy.broadcast(on_rank_zero(trainer, offer))
        self._schedule.waits = bool(waits)

    def on_exception(
        self, trainer: Any, pl_module: Any, exception: BaseException
    ) -> None:
        """Save what an error has left. No rank waits for another: it may be dead."""
        del pl_module
        fitting, self._fitting = self._fitting, False
        if not fitting or not trainer.is_global_zero:
            return
        ours = isinstance(exception, MonitorError | StoreError)
        with self._checkpointer.rescuing():
            if (
                self._on_exception
                and not ours
                and not trainer.sanity_checking
                and trainer.global_step
            ):
                batch = trainer.fit_loop.epoch_loop.batch_progress.current.completed
                state, epoch = self._state_of(trainer), trainer.current_epoch
                self._save(trainer, state, epoch, int(batch))
            self._checkpointer.wait()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Wait until everything is on the disk."""
        del pl_module
        if not self._fitting:
            return
        self._fitting = False
        if on_rank_zero(trainer, lambda: not self._checkpointer.last_model_path):
            self._save_end(trainer, trainer.current_epoch - 1, always=True)
        finish = self._checkpointer.finish
        on_rank_zero(trainer, lambda: finish(self._state_of(trainer)))
        names = ("best_model_path", "best_model_score", "best_k_models")
        known = {n: getattr(self._checkpointer, n) for n in (*names, "last_model_path")}
        self._known = trainer.strategy.broadcast(known)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Do the same if no epoch was left to train."""
        self.on_train_end(trainer, pl_module)

    def _state_of(
        self, trainer: Any, plateaus: Mapping[str, float] | None = None
    ) -> Callable[[], dict[str, Any]]:
        """Return a function that collects the state: called only to save."""

        def collect() -> dict[str, Any]:
            tell = self._checkpointer.tell
            return state_of(trainer, plateaus, tell, weights_only=self._weights_only)

        return collect

    def wait(self) -> Any:
        """Wait until everything that was saved is on the disk.

        Returns:
            The newest checkpoint of the run, on global rank zero.

        Raises:
            StoreError: A checkpoint could not be written; earlier ones are intact.
        """
        return self._checkpointer.wait()

    @property
    def dirpath(self) -> str:
        """The run directory; empty before `fit` where it is the logger's."""
        return "" if self._options["dirpath"] is None else self._checkpointer.dirpath

    @property
    def run_id(self) -> str:
        """The id of the run, on global rank zero; empty before it starts."""
        return self._checkpointer.run_id

    @property
    def best_model_path(self) -> str:
        """The best checkpoint; on other ranks than zero when training has ended."""
        return str(self._fact("best_model_path"))

    @best_model_path.setter
    def best_model_path(self, path: str) -> None:
        """Take the best path from a process that was started for training."""
        slots = [one for one in self._options["keep"] or () if isinstance(one, Best)]
        k = slots[0].k if slots else self._options["save_top_k"]
        self._known = facts_of(path, None if k == -1 else k)

    @property
    def best_model_score(self) -> float | None:
        """The best checkpoint's score, known where its path is."""
        score: float | None = self._fact("best_model_score")
        return score

    @property
    def best_k_models(self) -> dict[str, float]:
        """The score of each checkpoint that is kept for it, by path, best first."""
        scores: dict[str, float] = self._fact("best_k_models")
        return scores

    @property
    def last_model_path(self) -> str:
        """The newest checkpoint."""
        return str(self._fact("last_model_path"))

    def _fact(self, name: str) -> Any:
        """Read rank zero's broadcast, or the callback while it works."""
        return (
            getattr(self._checkpointer, name)
            if self._known is None
            else self._known[name]
        )
