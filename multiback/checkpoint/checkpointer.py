"""The engine: judge the logs, commit what a slot wants, remove what none holds.

It knows a run directory and Keras's state, but neither `fit` nor callbacks: use
it from a loop of your own, or `ModelCheckpoint` from `fit`.
"""

import importlib.metadata
import math
import os
import platform
import secrets
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import keras

from multiback.checkpoint.direction import Mode
from multiback.checkpoint.filenames import default_template, format_name
from multiback.checkpoint.monitor import Logs, Monitor
from multiback.checkpoint.retention import All, Best, Entry, Last, Slot, kept
from multiback.checkpoint.scores import Scorer, split_logs
from multiback.errors import ArgumentError, MonitorError, NoCheckpointError
from multiback.state import describe, snapshot, write_keras_file
from multiback.store import Checkpoint, RunDirectory

KERAS_FILE = "model.keras"
Resume = Literal["never", "auto", "must"]


def _versions() -> dict[str, str]:
    """Return the versions that a checkpoint depends on."""
    names = {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}
    versions = {"python": platform.python_version(), "keras": keras.__version__}
    for name in ("multiback", "numpy", names.get(keras.backend.backend(), "")):
        try:
            versions[name] = importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            # Installed under another name, as tensorflow-cpu is.
            continue
    return versions


def slots_for(
    monitor: Monitor | None, save_top_k: int, *, save_last: bool
) -> list[Slot]:
    """Return the slots that Lightning's arguments mean.

    Raises:
        ArgumentError: `save_top_k` needs a monitor.
    """
    slots: list[Slot] = []
    if save_top_k == -1:
        slots.append(All())
    if monitor is not None:
        slots.append(Best(monitor, save_top_k))
    elif save_top_k not in (-1, 0, 1):
        raise ArgumentError(
            f"save_top_k={save_top_k!r} wants a monitor= to rank by; without one only "
            "-1 (all), 0 and 1 have a meaning."
        )
    if save_last or (monitor is None and save_top_k == 1):
        slots.append(Last())
    if not slots:
        raise ArgumentError(
            "Nothing would ever be saved: save_top_k=0, save_last=False and no keep=."
        )
    return slots


class Checkpointer:
    """Keep the best checkpoints of a training loop of your own.

    Call `step(model, logs)` whenever there is something to judge, for example
    after each epoch. Each call is one decision: save or not, and then what to
    remove. A run never touches what another run wrote in the same directory.

    Args:
        dirpath: The run directory; created when needed.
        monitor: What to be best by: a log name, an expression of log names, a
            function of the logs, or a `Monitor`. None keeps the last only.
        mode: "max", "min", or "auto" to ask the metric behind the name.
        save_top_k: How many of the best to keep; -1 keeps every checkpoint.
        save_last: Keep the newest too, whatever its score.
        keep: Slots in place of `save_top_k` and `save_last`, such as
            `[Best("val_f1", k=3), Last(2), Every(epochs=10)]`.
        filename: Template for names, such as "{epoch:03d}-{val_f1:.4f}".
        auto_insert_metric_name: Write `epoch=003` for `{epoch:03d}`.
        save_weights_only: Leave out the optimizer and the metrics.
        resume: "never" starts a new run; "auto" continues the directory's latest
            run if there is one, with its best and its epochs; "must" raises if
            there is none.

    Attributes:
        run_id: The id of the run; empty before it starts.

    Raises:
        ArgumentError: An argument is not usable.

    Example:
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
        dirpath: str | os.PathLike[str],
        monitor: Monitor | str | Callable[[Logs], float | None] | None = None,
        *,
        mode: Mode | Literal["auto"] = "auto",
        save_top_k: int = 1,
        save_last: bool = True,
        keep: Sequence[Slot] | None = None,
        filename: str | None = None,
        auto_insert_metric_name: bool = True,
        save_weights_only: bool = False,
        resume: Resume = "never",
    ) -> None:
        if not isinstance(dirpath, str | os.PathLike) or not os.fspath(dirpath):
            raise ArgumentError(
                f"dirpath= wants the path of a directory, not {dirpath!r}."
            )
        if resume not in ("never", "auto", "must"):
            raise ArgumentError(
                f'resume= wants "never", "auto" or "must", not {resume!r}.'
            )
        if monitor is not None and not isinstance(monitor, Monitor):
            monitor = Monitor(monitor, mode)
        if keep is None:
            keep = slots_for(monitor, save_top_k, save_last=save_last)
        elif not keep or not all(isinstance(slot, Slot) for slot in keep):
            raise ArgumentError(
                f"keep= wants a list of slots such as [Best('val_f1'), Last()], not "
                f"{keep!r}."
            )
        self._directory = RunDirectory(dirpath)
        self._slots = list(keep)
        self._best = next((s for s in self._slots if isinstance(s, Best)), None)
        if monitor is not None and (
            self._best is None or self._best.monitor != monitor
        ):
            # `monitor=` beside `keep=` says what `best_model_path` speaks of.
            self._best = Best(monitor)
        monitors = [
            m for slot in (*self._slots, self._best) if slot for m in slot.monitors
        ]
        self.scorer = Scorer(monitors)
        name = self._best.monitor.name if self._best else None
        self._template = default_template(name) if filename is None else filename
        self._insert_names = auto_insert_metric_name
        self._weights_only = save_weights_only
        self._resume = resume
        self._told: set[str] = set()
        self.run_id = ""
        self._saved: dict[int, tuple[Entry, Checkpoint]] = {}
        self._last: Checkpoint | None = None
        self._order = 0
        self.epoch = 0

    @property
    def dirpath(self) -> str:
        """The run directory."""
        return str(self._directory.path)

    def start(self) -> Checkpoint | None:
        """Begin a run, or continue one; `step` does it if you do not.

        Returns:
            The newest checkpoint of the run that is continued, to restore from.

        Raises:
            NoCheckpointError: `resume="must"`, and there is nothing to resume.
        """
        self._saved, self._last, self._order, self.epoch = {}, None, 0, 0
        latest = None if self._resume == "never" else self._directory.latest_run()
        if latest is None and self._resume == "must":
            raise NoCheckpointError(
                f'resume="must" wants a run with a checkpoint in {self.dirpath}, and '
                'there is none. Pass resume="auto" to start a new one then.'
            )
        now = time.strftime("%Y%m%d-%H%M%S")
        self.run_id = latest or f"{now}-{secrets.token_hex(3)}"
        for checkpoint in self._directory.checkpoints(self.run_id) if latest else ():
            self._adopt(checkpoint)
        self._directory.start_run(
            self.run_id,
            {
                "monitors": [monitor.label for monitor in self.scorer.monitors],
                "versions": _versions(),
                "backend": keras.backend.backend(),
            },
        )
        return self._last

    def _adopt(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint of an earlier part of the run."""
        self.scorer.remember(checkpoint.metrics)
        for label, mode in checkpoint.extra.get("modes", {}).items():
            self.scorer.modes.setdefault(label, mode)
        self._order += 1
        self._note(checkpoint, self.scorer.goodness(scores_of(checkpoint)))
        self.epoch = checkpoint.epoch

    def _note(self, checkpoint: Checkpoint, goodness: Mapping[str, float]) -> None:
        entry = Entry(
            order=self._order,
            epoch=checkpoint.epoch,
            step=checkpoint.step,
            created=checkpoint.created,
            goodness=goodness,
        )
        self._saved[entry.order] = (entry, checkpoint)
        self._last = checkpoint

    def step(
        self,
        model: Any,
        logs: Mapping[str, Any],
        *,
        epoch: int | None = None,
        step: int | None = None,
    ) -> Checkpoint | None:
        """Judge one moment of training: save it if a slot wants it.

        Args:
            model: A built Keras model, a mapping (or pytree) of names to arrays,
                or a function without arguments that returns one, called only to
                save.
            logs: Numbers by name, as `model.evaluate(return_dict=True)` gives.
            epoch: Epochs completed; counted by calls if not given.
            step: Optimizer steps completed; asked of the optimizer if not given.

        Returns:
            The new checkpoint, or None if no slot wanted it.

        Raises:
            MonitorError: A monitored name is not in the logs, is no number, or
                has no known direction. Nothing on disk was touched.
            StoreError: The checkpoint could not be written; what was there before
                is intact.
        """
        values, shapes = split_logs(logs)
        if not self.run_id:
            self.start()
        scores = self.scorer.measure(values, shapes)
        self.epoch = self.epoch + 1 if epoch is None else epoch
        if step is None:
            step = _steps(model)
        self._directory.append_history(
            {
                "run_id": self.run_id,
                "epoch": self.epoch,
                "step": step,
                "time": time.time(),
                "metrics": values,
            }
        )
        self._order += 1
        candidate = Entry(
            order=self._order,
            epoch=self.epoch,
            step=step,
            created=time.time(),
            goodness=self.scorer.goodness(scores),
        )
        entries = [entry for entry, _ in self._saved.values()]
        holding = kept([*entries, candidate], self._slots)
        if candidate.order not in holding:
            return None
        checkpoint = self._commit(model, values, scores, step)
        self._note(checkpoint, candidate.goodness)
        self._point()
        for order in sorted(set(self._saved) - holding):
            _, old = self._saved.pop(order)
            self._directory.remove(old, run_id=self.run_id)
        return checkpoint

    def _commit(
        self,
        model: Any,
        values: Mapping[str, float],
        scores: Mapping[str, float],
        step: int,
    ) -> Checkpoint:
        """Write the model as it is now."""
        if callable(model) and not isinstance(model, keras.Model):
            model = model()
        state = snapshot(model, weights_only=self._weights_only)
        name = format_name(
            self._template,
            {**values, **scores, "epoch": self.epoch, "step": step},
            insert_names=self._insert_names,
        )
        trainer: dict[str, Any] = {"epoch": self.epoch, "step": step}
        architecture = None
        with tempfile.TemporaryDirectory(prefix="multiback-") as scratch:
            files: dict[str, Path] = {}
            if isinstance(model, keras.Model):
                description = describe(model)
                architecture = description.config
                trainer["learning_rate"] = description.learning_rate
                self.tell(description.problems)
                if description.needs_keras_file:
                    files[KERAS_FILE] = Path(scratch, KERAS_FILE)
                    write_keras_file(model, files[KERAS_FILE])
            return self._directory.commit(
                name,
                run_id=self.run_id,
                tensors=state.arrays,
                documents={"variables": state.index, "trainer": trainer},
                extra_files=files,
                epoch=self.epoch,
                step=step,
                metrics=values,
                backend=keras.backend.backend(),
                versions=_versions(),
                architecture=architecture,
                extra={
                    # JSON has no infinities; float() reads both forms.
                    "scores": {
                        label: score if math.isfinite(score) else str(score)
                        for label, score in scores.items()
                    },
                    "modes": dict(self.scorer.modes),
                    "monitor": self._best.monitor.label if self._best else None,
                    "weights_only": self._weights_only,
                },
            )

    def tell(self, problems: Sequence[str]) -> None:
        """Warn of what will not load again without help, each once."""
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                warnings.warn(problem, stacklevel=2)

    def _point(self) -> None:
        """Let the links `best` and `last` follow."""
        ranked = self._ranked()
        if ranked:
            self._directory.point("best", ranked[0][1])
        if self._last is not None:
            self._directory.point("last", self._last)

    def finish(self) -> None:
        """End the run.

        Raises:
            MonitorError: A monitored name was never in the logs. What was saved
                stays.
        """
        missing = self.scorer.never_seen() if self._order else []
        if missing:
            raise MonitorError(
                f"{', '.join(map(repr, missing))} was monitored but never in the logs "
                "of this run, so nothing was chosen by it. For a name that begins "
                "with val_, pass validation_data= to fit()."
            )

    def __enter__(self) -> Self:
        """Return itself; `finish` is called when the block ends well."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish unless an error is on its way."""
        if kind is None:
            self.finish()

    def _ranked(self) -> list[tuple[Entry, Checkpoint]]:
        if self._best is None:
            return []
        entries = [entry for entry, _ in self._saved.values()]
        return [self._saved[entry.order] for entry in self._best.ranked(entries)]

    @property
    def best_model_path(self) -> str:
        """The best checkpoint's directory; empty where there is none yet."""
        ranked = self._ranked()
        return str(ranked[0][1].path) if ranked else ""

    @property
    def best_model_score(self) -> float | None:
        """The best checkpoint's score."""
        return next(iter(self.best_k_models.values()), None)

    @property
    def best_k_models(self) -> dict[str, float]:
        """The score of each checkpoint that has one, by path, best first."""
        if self._best is None:
            return {}
        label = self._best.monitor.label
        sign = 1.0 if self.scorer.modes.get(label) == "max" else -1.0
        return {
            str(checkpoint.path): sign * entry.goodness[label]
            for entry, checkpoint in self._ranked()
        }

    @property
    def last_model_path(self) -> str:
        """The newest checkpoint's directory; empty where there is none yet."""
        return str(self._last.path) if self._last else ""


def scores_of(checkpoint: Checkpoint) -> dict[str, float]:
    """Return the scores that a checkpoint was judged by, by monitor label."""
    return {label: float(score) for label, score in checkpoint.extra["scores"].items()}


def _steps(model: Any) -> int:
    """Return how many steps the model's optimizer has made, if it has one."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(model, keras.Model) and optimizer is not None:
        return int(optimizer.iterations.numpy())
    return 0
