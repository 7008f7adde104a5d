"""Score the logs, commit what a slot wants, remove the rest.

It knows a run directory and Keras's state, but neither `fit` nor callbacks: use it in
your own loop, or `ModelCheckpoint` in `fit`.
"""

import contextlib
import dataclasses
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

import keras

from multiback import markup
from multiback.checkpoint.arguments import (
    Quantity,
    Resume,
    check_flags,
    check_prefixes,
    checked_resume,
    choose_slots,
    place_to_write,
)
from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.filenames import (
    default_template,
    fields_of,
    format_name,
    parse_template,
)
from multiback.checkpoint.choosing.log_values import (
    numbers_of,
    other_values,
    written_logs,
)
from multiback.checkpoint.choosing.no_best import no_best
from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.scorer import Scorer, nan_scores
from multiback.checkpoint.choosing.slots import Best, Slot, no_interval
from multiback.checkpoint.loading.documents import recorded_curves, recorded_threshold
from multiback.checkpoint.loading.find import first_intact
from multiback.checkpoint.loading.load import restore_checkpoint
from multiback.checkpoint.other_names import KnownArguments
from multiback.checkpoint.saving.adopted import Adopted
from multiback.checkpoint.saving.background import OnSaveError, Saver
from multiback.checkpoint.saving.kept import KeptCheckpoints, Row
from multiback.checkpoint.saving.processes import Processes
from multiback.checkpoint.saving.snapshots import (
    NOTHING,
    Extras,
    SavePoint,
    draft,
    steps_of,
    versions,
)
from multiback.checkpoint.saving.turns import Turn
from multiback.distributed import Format, check_format
from multiback.errors import (
    CheckpointWarning,
    MonitorError,
    NoCheckpointError,
    StoreError,
    cleaned,
)
from multiback.state.tree import changes_in_place, is_tree
from multiback.store import Checkpoint, Runs, open_checkpoint, open_run_directory
from multiback.store.background.writer import wait_for
from multiback.store.copies import without_copies
from multiback.warn import warn


class Checkpointer(KnownArguments):
    """Keep the best checkpoints of a training loop of your own.

    Call `step(model, logs)` whenever there are logs to score, for example after each
    epoch. Each call decides whether to save, and then what to remove. A run never
    touches what another run wrote in the same directory.

    The state is copied before `step` returns and written while the loop continues.
    Attributes that refer to checkpoints, such as `best_model_path`, wait for a pending
    write, so their paths exist. A checkpoint that could not be written is an error of
    the next call, and of the end of the `with` block.

    Args:
        dirpath: The run directory, created when missing; or its URL, such as
            "s3://bucket/runs/tumour" (`pip install s3fs`). It is needed: a run is found
            again by its directory.
        monitor: What to be best by: a log name, an expression of log names, a
            function of the logs, or a `Monitor`. None keeps the last only.
        mode: "max", "min", or "auto" to ask the metric behind the name. The slots of
            `keep` have their own.
        save_top_k: How many of the best to keep; -1 keeps every checkpoint.
        save_last: Keep the newest too, whatever its score. None: True without `keep`.
        keep: Slots in place of `save_top_k` and `save_last`, such as
            `[Best("val_f1", k=3), Last(2), Every(epochs=10)]`.
        filename: Template for names, such as "{epoch:03d}-{val_f1:.4f}".
        auto_insert_metric_name: Write `epoch=003` for `{epoch:03d}`.
        save_weights_only: Leave out the optimizer and the metrics.
        resume: "never" starts a new run; "auto" continues the directory's latest run,
            if any, with its best and its epochs; "must" raises without one. The path of
            a checkpoint starts a new run from there.
        save_on_background: Write while the loop continues. False: `step` returns when
            the checkpoint is on the disk.
        buffers: How many copies of the state to hold in memory while writing. With 2 a
            state is copied while the last is still being written; 1 takes half the
            memory, and waits.
        on_save_error: "raise" what a disk refused; "warn" to continue without that
            checkpoint. The earlier ones are intact either way.
        prefixes: What stands before the names of a validation set. A name is skipped if
            no name in the logs has its prefix this time.
        format: How the state is written: "safetensors", by one process; or by each
            process its part, with torch.distributed.checkpoint ("dcp") or with Orbax
            on JAX ("orbax"). Every format is read on any number of processes.
        distributed: In a training of several processes, started by
            `torch.distributed` or `jax.distributed`, every process calls the same
            methods, rank 0 decides by its own numbers, and an error on one is an
            error on all. False where only one process calls any.

    Attributes:
        run_id: The id of the run; empty before it starts.
        epoch: How many epochs are completed, those of a continued run included.
        keeps_metrics: Whether `step` saves the variables of `model.metrics`.
        no_validation: Why a name of a validation can be absent, for a warning.
        every_n_epochs: Which epochs are scored, for a warning; 0 if unknown.
        extras: Called with the `SavePoint` at each save: what else to save for a
            resume, as JSON and as arrays.

    Raises:
        ArgumentError: An argument is not usable.

    Examples:
        >>> import keras, tempfile
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Checkpointer(folder.name, monitor="f1_score", save_last=False) as ckpt:
        ...     for f1_score in (0.5, 0.9, 0.7):
        ...         saved = ckpt.step(model, {"f1_score": f1_score})
        >>> ckpt.best_model_score
        0.9
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
        keep: Sequence[Slot] | None = None,
        filename: str | None = None,
        auto_insert_metric_name: bool = True,
        save_weights_only: bool = False,
        resume: Resume = "never",
        save_on_background: bool = True,
        buffers: int = 2,
        on_save_error: OnSaveError = "raise",
        prefixes: Sequence[str] = ("val_",),
        format: Format = "safetensors",
        distributed: bool = True,
    ) -> None:
        dirpath = place_to_write(dirpath)
        check_flags(
            distributed=distributed,
            auto_insert_metric_name=auto_insert_metric_name,
            save_weights_only=save_weights_only,
            save_on_background=save_on_background,
        )
        check_format(format, keras.backend.backend(), dirpath)
        resume = checked_resume(resume)
        check_prefixes(prefixes)
        slots, self._best = choose_slots(
            monitor, mode, keep, save_top_k, save_last=save_last
        )
        monitors = [m for slot in (*slots, self._best) if slot for m in slot.monitors]
        name = self._best.monitor.name if self._best else None
        self._template = (
            default_template(name) if filename is None else parse_template(filename)
        )
        fields = () if filename is None else fields_of(self._template)
        self.scorer = Scorer(monitors, prefixes, fields)
        self._within = [s for s in slots if isinstance(s, Best) and s.within]
        self._insert_names = auto_insert_metric_name
        self._weights_only = save_weights_only
        self._resume = resume
        self._told: set[str] = set()
        self.run_id = ""
        self._turn = Turn()
        # Takes each record of the history that was written.
        self.on_record: Callable[[Mapping[str, Any]], None] | None = None
        self.epoch = 0
        self.no_validation = (
            "validation_data= was not given, or validation_freq= is too large"
        )
        self.every_n_epochs = 0
        self.keeps_metrics = True
        self.extras: Callable[[SavePoint], Extras] = lambda _: NOTHING
        self.kept = KeptCheckpoints(open_run_directory(dirpath), slots, self._best)
        self.kept.is_measured = self.scorer.is_measured
        self.processes = Processes(format, distributed=distributed)
        self._saver = Saver(
            self.kept,
            self.tell,
            background=save_on_background,
            buffers=buffers,
            on_error=on_save_error,
        )
        self._order = 0
        self._judged = self._kept = self._recorded = False
        self._scored: set[str] = set()
        self._source: Any = None
        self._step = 0
        self._adopted = Adopted(self.kept, self.scorer)

    @property
    def directory(self) -> Runs:
        """Where the checkpoints are."""
        return self.kept.directory

    @property
    def dirpath(self) -> str:
        """The run directory."""
        return self.directory.location

    @property
    def continues(self) -> bool:
        """Whether a start continues the directory's latest run, if any."""
        return self._resume in ("auto", "must")

    def start(self) -> list[Checkpoint]:
        """Begin a run, or continue one; `resume` and `step` call it if you do not.

        Returns:
            The checkpoints of the run that is continued, newest first: restore
            from the first that is intact.

        Raises:
            NoCheckpointError: `resume="must"`, and there is nothing to resume.
        """
        self.wait()
        self.kept.directory = self.processes.gather(self.directory)
        wait_for(self.directory.path)
        word = self._resume if self._resume in ("never", "auto", "must") else None
        branch = None if word else open_checkpoint(self._resume)
        latest = self.directory.latest_run() if self.continues else None
        if latest is None and word == "must":
            raise NoCheckpointError(
                f'resume="must" wants a run with a checkpoint in {self.dirpath}, and '
                'there is none. Pass resume="auto" to start a new one then.'
            )
        self.end()
        self.kept.clear()
        self.scorer.continue_curves({})
        # Orders continue: checkpoints of earlier fits of this object are compared too.
        self.epoch, self._judged = 0, False
        self._recorded, self._scored = False, set()
        now = time.strftime("%Y%m%d-%H%M%S")
        self.run_id = self.processes.decide(
            lambda: latest or f"{now}-{secrets.token_hex(3)}"
        )
        self.kept.forget_run(self.run_id)
        found = self.directory.checkpoints(self.run_id) if latest else []
        ours = self.processes.decide(
            lambda: [one.name for one in without_copies(found)]
        )
        self.tell([f"Passed over {p}: {why}" for p, why in self.directory.skipped])
        self._adopted.adopt([one for one in found if one.name in ours], self._order)
        self._order += len(self._adopted.checkpoints)
        # Never delete a copy; but if the user renamed the newest checkpoint, continue
        # from it.
        self.epoch = found[-1].epoch if found else 0
        self.directory.start_run(
            self.run_id,
            {
                "monitors": [monitor.label for monitor in self.scorer.monitors],
                "versions": versions(),
                "backend": keras.backend.backend(),
                "branch_of": None if branch is None else branch.location,
            },
        )
        self._turn.take(self.dirpath, self.run_id)
        return [branch] if branch else found[::-1]

    def _begin(self) -> None:
        """Start if that was not done; raise where another writer has the run by now."""
        if not self._turn.has_started:
            self.start()
        self._turn.check()

    def resume(self, model: Any) -> Any:
        """Start, and restore the last whole epoch of the continued run.

        A save on an error in the middle of an epoch is skipped;
        `multiback.restore(model, ckpt.last_model_path)` loads it.

        Args:
            model: A built Keras model; or a tree like the saved one. Its models and
                optimizers take their state, its other values are not used.

        Returns:
            None where a new run begins. Otherwise a report for a model, which
            holds the saved state now, and the saved tree for a tree.

        Raises:
            NoCheckpointError: As for `start`.
            StateError: Something does not fit; the model is unchanged.
        """
        found = self.start()
        whole = [one for one in found if one.extra.get("boundary", True)] or found
        if not whole:
            return None
        checkpoint, restored = first_intact(
            whole, lambda one: (one, restore_checkpoint(model, one))
        )
        self.kept.forget(whole[: whole.index(checkpoint)])
        self.scorer.continue_curves(recorded_curves(checkpoint))
        self.epoch = checkpoint.epoch
        return restored

    def step(
        self,
        model: Any,
        logs: Mapping[str, Any] | None,
        *,
        epoch: int | None = None,
        step: int | None = None,
        thresholds: Mapping[str, Any] | None = None,
        intervals: Mapping[str, Any] | None = None,
    ) -> bool:
        """Score this point of training; save it if a slot wants it.

        Args:
            model: A built Keras model; a mapping, list, tuple or dataclass (a pytree)
                of arrays, numbers, text, models and optimizers, such as
                `{"G": g, "D": d, "opt": opt}`; or a function without arguments that
                returns one, called only to save.
            logs: Values by name, as `model.evaluate(return_dict=True)` gives; None for
                no values. Arrays of up to 4,096 numbers are recorded as lists, larger
                ones by their shape, and anything else by the name of its type.
            epoch: Epochs completed; counted by calls if not given.
            step: Optimizer steps completed; asked of the model's optimizer if not
                given.
            thresholds: By log name, the threshold that a score was reached with; for
                the manifest, and `multiback.threshold_of`.
            intervals: By log name, what the metric's `interval()` returned: for the
                manifest, and for `Best(..., within="1se")`.

        Returns:
            Whether a slot wanted it. `wait` returns the checkpoint.

        Raises:
            MonitorError: A name that is monitored or part of `filename` is not in the
                logs, a monitored one is not a number, or has no known direction.
                Nothing on disk was touched.
            StoreError: The checkpoint before this one could not be written, and this
                one was not begun; or this one, without background; or another writer
                of this process has started the run since. What was there before is
                intact.
        """
        given = {} if logs is None else logs
        self._begin()
        values, answers, known = self.processes.decide(
            lambda: (
                written_logs(given),
                self.scorer.answers(given),
                self.scorer.intervals(intervals or {}),
            )
        )
        # First, so that nothing is written if a name is wrong.
        scores = self.scorer.measure(values, answers)
        self._check_intervals(scores, known)
        self.tell(nan_scores(scores))
        # Not before: the directions are known by now.
        self.tell(self._adopted.rescore(self.processes.decide))
        step = self._record(model, values, epoch=epoch, step=step)
        self._judged, self._source, self._step = True, model, step
        self._scored |= {*scores}
        self._kept = False
        save_point = SavePoint(self.epoch, step)
        self._kept = self._offer(
            model,
            values,
            scores,
            save_point,
            metrics=self.keeps_metrics,
            thresholds=written_logs(thresholds or {}),
            intervals=known,
        )
        return self._kept

    @property
    def monitored_within(self) -> set[str]:
        """The log names whose intervals `within=` compares."""
        return {slot.monitor.label for slot in self._within}

    def _check_intervals(
        self, scores: Mapping[str, float], known: Mapping[str, Any]
    ) -> None:
        """Raise where `within=` has no standard error to go by."""
        for slot in self._within:
            label = slot.monitor.label
            if label in scores and label not in known and not math.isnan(scores[label]):
                raise no_interval(label)

    def save(
        self,
        model: Any,
        *,
        step: int | None = None,
        batch: int | None = None,
        asked: bool = True,
        always: bool = True,
    ) -> bool:
        """Save now, without a score: none is taken from an earlier save_point.

        Args:
            model: As for `step`.
            step: As for `step`.
            batch: Batches completed in the current epoch; None at its end.
            asked: Keep it for good. Otherwise it stays as long as a slot holds it,
                and at least until the next.
            always: Save it even where no slot holds it.

        Returns:
            Whether it is saved: not where nothing has changed since the newest, or no
            slot wants it.

        Raises:
            StoreError: As for `step`.
        """
        self._begin()
        step = steps_of(model) if step is None else step
        save_point = SavePoint(self.epoch, step, batch, asked)
        self.surface()
        newest = self.kept.entries[-1:]
        if newest and not asked and newest[0].step == step > 0:
            return False
        return self._offer(model, {}, {}, save_point, always=always)

    def record(
        self,
        model: Any,
        logs: Mapping[str, Any] | None,
        *,
        epoch: int | None = None,
        step: int | None = None,
    ) -> int:
        """Write the logs to the run's history, without scoring them.

        Args:
            model: As for `step`.
            logs: As for `step`.
            epoch: As for `step`.
            step: As for `step`.

        Returns:
            The step.
        """
        self._begin()
        values = self.processes.decide(lambda: written_logs(logs or {}))
        return self._record(model, values, epoch=epoch, step=step)

    def _record(
        self,
        model: Any,
        values: Mapping[str, Any],
        *,
        epoch: int | None,
        step: int | None,
    ) -> int:
        """Write values to the run's history; return the step."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        step = steps_of(model) if step is None else step
        self.scorer.remember(values)
        self._recorded = True
        record = {
            "run_id": self.run_id,
            "epoch": self.epoch,
            "step": step,
            "time": time.time(),
            "metrics": values,
        }

        def append() -> bool:
            self.directory.append_history(record)
            return True

        if self._saver.guard(append) and self.on_record is not None:
            self.on_record(record)
        return step

    def _offer(
        self,
        model: Any,
        values: Mapping[str, Any],
        scores: Mapping[str, float],
        save_point: SavePoint,
        *,
        always: bool = False,
        metrics: bool = True,
        thresholds: Mapping[str, Any] | None = None,
        intervals: Mapping[str, Any] | None = None,
    ) -> bool:
        """Save the model if a slot holds it, then remove unheld checkpoints."""
        # Here, because the other processes must do the same at the same point.
        (self.surface if self.processes.is_alone else self.wait)()
        if self._saver.is_idle:
            self.kept.forget_missing()
        self._order += 1
        entry = Entry(
            order=self._order,
            epoch=save_point.epoch,
            step=save_point.step,
            created=self.processes.decide(time.time),
            ranking_scores=RecordedScores(scores, self.scorer.modes).ranking_scores,
            boundary=save_point.batch is None,
            asked=save_point.asked,
            errors=RecordedScores(intervals=intervals or {}).errors,
        )
        recorded = RecordedScores(
            self.kept.counting(scores, entry),
            self.scorer.modes,
            self._best.labels if self._best else (),
            intervals or {},
            self._best.within if self._best else 0.0,
        )
        entry = dataclasses.replace(entry, ranking_scores=recorded.ranking_scores)
        if not always and entry.order not in self.kept.holding(entry):
            return False
        facts, arrays = self.extras(save_point)
        name = format_name(
            self._template,
            {
                **values,
                **scores,
                "epoch": save_point.epoch,
                "step": save_point.step,
                "batch": save_point.batch or 0,
            },
            insert_names=self._insert_names,
        )
        made = self._saver.guard(
            lambda: draft(
                name,
                model,
                weights_only=self._weights_only,
                metric_states=metrics,
                trainer={**facts, **dataclasses.asdict(save_point)},
                arrays=arrays,
                into=self._saver.buffer,
                scratch=lambda: self.directory.scratch(self.run_id),
                state_writer=self.processes.state_writer,
                is_writer=self.processes.is_writer,
                state_format=self.processes.format,
                run_id=self.run_id,
                epoch=save_point.epoch,
                step=save_point.step,
                metrics=numbers_of(values),
                extra={
                    **recorded.fields(),
                    **other_values(values),
                    "directions": self.scorer.known_directions(values),
                    **({"thresholds": dict(thresholds)} if thresholds else {}),
                    **self._curves(scores),
                    **self._adopted.fields(),
                    "boundary": entry.boundary,
                    "asked": entry.asked,
                    "weights_only": self._weights_only,
                },
            )
        )
        if made is None:
            return False
        self._saver.save(made, entry, self.run_id)
        self.tell(made.problems)
        return True

    def _curves(self, scores: Mapping[str, float]) -> dict[str, Any]:
        """Return the manifest's fields for smoothed scores."""
        if not self.scorer.curves:
            return {}
        raw = {k: v for k, v in self.scorer.raw.items() if k in scores}
        return {"curves": dict(self.scorer.curves), "raw_scores": raw}

    def surface(self) -> None:
        """Raise any pending background error; do not block.

        Raises:
            StoreError: A checkpoint could not be written; earlier ones are intact.
                With `on_save_error="warn"` it is a warning.
        """
        if self.processes.is_alone:
            self._saver.surface()

    def wait(self) -> Checkpoint | None:
        """Wait until everything that was saved is on the disk.

        Returns:
            The newest checkpoint of the run.

        Raises:
            StoreError: As for `surface`.
        """
        self._saver.wait()
        return self.kept.last

    def tell(self, problems: Sequence[str]) -> None:
        """Warn, once per sentence."""
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                warn(cleaned(problem), CheckpointWarning)

    def finish(self, model: Any = None, *, because: str = "") -> None:
        """End the run, once everything is on the disk.

        Args:
            model: What to save, should nothing have been saved because a monitored
                name was never in the logs.
            because: Why such a name is absent, in a sentence for the warning.

        Raises:
            StoreError: As for `surface`.
        """
        try:
            self._saver.close()
            missing = self.scorer.never_seen() if self._judged else []
            if not missing:
                self._tell_of_no_best()
                return
            if self.kept.last is None and model is not None:
                self.save(model, asked=False)
                self._saver.close()
        finally:
            self.end()
        names = ", ".join(map(repr, missing))
        text = f"{names} was monitored but never in the logs of this run"
        if because:
            self.tell([f"{text}. {because}"])
            return
        if any(name.startswith("val_") for name in missing):
            text += f"; {self.no_validation}"
        self.tell([f"{text}. The newest checkpoints were kept instead."])

    def _tell_of_no_best(self) -> None:
        """Warn where epochs passed and none is best, or nothing was saved."""
        best, is_saved = self._best, self.kept.last is not None
        if not self._recorded or best is None or (best.k == 0 and is_saved):
            return
        if self.kept.leader() is None:
            text = no_best(
                best.monitor,
                self._scored,
                self.epoch,
                was_judged=self._judged,
                is_saved=is_saved,
                every=self.every_n_epochs,
            )
            self.tell([text] if text else [])

    def end(self) -> None:
        """Release the run. Later saves still belong to it."""
        if self._turn.is_mine:
            self.directory.end_run(self.run_id)

    def __enter__(self) -> Self:
        """Return itself; `finish` is called when the block ends without an error."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Finish; on an error, save the last model of `step`, as it is now."""
        if kind is None:
            self.finish()
            return
        # With several processes, one cannot know whether the others reach this point.
        source = self._source if self.processes.is_alone else None
        with self.rescuing():
            if source is not None and not isinstance(error, MonitorError | StoreError):
                self._save_unfinished(source)
            self.wait()
        self.end()

    def _save_unfinished(self, source: Any) -> None:
        """Save what an error interrupted, unless it is already saved."""
        if self._kept and is_tree(source) and not changes_in_place(source):
            return
        if steps_of(source):
            self.save(source, batch=0, asked=False)
        else:
            # The number of steps since then is unknown.
            save_point = SavePoint(self.epoch, self._step, batch=0)
            self._offer(source, {}, {}, save_point, always=True)

    @contextlib.contextmanager
    def rescuing(self) -> Iterator[None]:
        """Warn of errors while another error propagates: that one comes first."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - see above
            self.tell([f"The state at the error could not be saved: {error}"])

    @property
    def best_model_path(self) -> str:
        """The best checkpoint's directory; empty before the first one."""
        return next(iter(self._scores(KeptCheckpoints.ranked)), "")

    @property
    def best_model_score(self) -> float | None:
        """The best checkpoint's score."""
        return next(iter(self._scores(KeptCheckpoints.ranked).values()), None)

    @property
    def best_threshold(self) -> float | list[float] | None:
        """The threshold of the best checkpoint's score, or None."""
        self._saver.settle()
        best = next((one for _, one in self.kept.ranked()), None)
        return None if best is None else recorded_threshold(best)

    @property
    def best_k_models(self) -> dict[str, float]:
        """The score of each checkpoint that is kept for it, by path, best first."""
        return self._scores(KeptCheckpoints.chosen)

    @property
    def best_label(self) -> str | None:
        """What the score measures; None without a monitor."""
        return self._best.monitor.label if self._best else None

    def _repr_html_(self) -> str:
        # It shows what is written, and does not wait for what is not.
        rows = self.kept.ranked()
        facts = {
            "directory": self.dirpath,
            "run": self.run_id or "not started",
            "judged by": self.best_label,
        }
        kept = [
            (one.name, one.epoch, self.score_of(entry), "best" * (not place))
            for place, (entry, one) in enumerate(rows)
        ]
        heading = ("checkpoint", "epoch", self.best_label or "", "")
        title = type(self).__name__
        return markup.facts(title, facts) + (
            markup.table(heading, kept) if kept else ""
        )

    def score_of(self, entry: Entry) -> float:
        """Return the score of an entry as it was in the logs."""
        label = self.best_label or ""
        sign = 1.0 if self.scorer.modes.get(label) == "max" else -1.0
        return sign * entry.ranking_scores[label]

    def _scores(
        self, rows_of: Callable[[KeptCheckpoints], Sequence[Row]]
    ) -> dict[str, float]:
        """Return the scores as they were in the logs, by path."""
        self._saver.settle()
        if self._best is None:
            return {}
        return {one.location: self.score_of(entry) for entry, one in rows_of(self.kept)}

    @property
    def last_model_path(self) -> str:
        """The newest checkpoint's directory; empty before the first one."""
        self._saver.settle()
        last = self.kept.last
        return "" if last is None else last.location
