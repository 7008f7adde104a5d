"""Continue a run exactly: restore what a model's variables do not hold.

Each part is restored at its own time. The model, the epoch and the other callbacks in
`on_train_begin`: those stand in front and were reset by then. The history, which stands
behind, and the generators, from which others may draw before training, in the first
`on_epoch_begin`.

In the middle of an epoch three things differ. Keras has just reset the metrics, and a
schedule in front has begun the epoch a second time: model and callbacks are restored
once more in that `on_epoch_begin`. And torch draws when it makes the epoch's iterator:
the generators are restored when the first batch begins.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback.checkpoint.checkpointer import Checkpointer
from multiback.checkpoint.choosing.log_values import written
from multiback.checkpoint.fit.data_position import DataPosition
from multiback.checkpoint.fit.generators import generator_states, restore_generators
from multiback.checkpoint.fit.other_callbacks import (
    callback_states,
    check_callbacks,
    known_callbacks,
    restore_callbacks,
    way_to_train_on,
)
from multiback.checkpoint.fit.recorded_history import (
    History,
    RecordedHistory,
    only_numbers,
    read_history,
    shown_history,
)
from multiback.checkpoint.loading.documents import (
    Facts,
    recorded_curves,
    trainer_facts,
    variables_of,
)
from multiback.checkpoint.loading.find import first_intact
from multiback.checkpoint.loading.restore import ModelState, warn_of
from multiback.checkpoint.saving.snapshots import Extras, SavePoint
from multiback.errors import RestoreWarning
from multiback.keras_private import (
    is_seeded,
    set_first_epoch,
    steps_per_epoch,
)
from multiback.state.variables import optimizer_of
from multiback.store import Checkpoint
from multiback.store.opening import is_run_directory, open_run_directory
from multiback.warn import warn

_RANDOM = "random/"
# A checkpoint's state, and its facts about the training.
_Contents = tuple[ModelState, Facts]


class ResumeState:
    """Save and restore a training's state beside the model's.

    Args:
        checkpointer: Where the checkpoints are.
        other_callbacks: The callbacks whose state is kept.
        position: The position in the data.
        optimizer: Whether the optimizers' state is resumed.
        strict: Whether all weights must fit.
        saved_rate: Whether the learning rate is resumed.

    Attributes:
        batches: How many batches the run was trained on, for the triggers' clocks.
        batch: How many of the first epoch's batches are done.

    Raises:
        ArgumentError: A callback's state cannot be kept.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        other_callbacks: Sequence[Any],
        position: DataPosition,
        *,
        optimizer: bool = True,
        strict: bool = True,
        saved_rate: bool = True,
    ) -> None:
        check_callbacks(other_callbacks)
        self._named = list(other_callbacks)
        self.other_callbacks: Sequence[Any] = self._named
        self.position = position
        self.batches = self.batch = 0
        self._checkpointer = checkpointer
        self._optimizer, self._strict = optimizer, strict
        self._saved_rate = saved_rate
        # The model's rate when training begins, and the initial value of the saved one.
        self._compiled_rate: float | None = None
        self._first_rate: float | None = None
        self._pending: _Contents | None = None
        # Whether the resumed checkpoint has all of the model's weights, and no others.
        self._same_weights = True
        self._history = RecordedHistory()
        self._past: History = {}
        self._generators: dict[str, np.ndarray] = {}

    def extras(
        self,
        model: keras.Model,
        logs: Mapping[str, Any],
        batches: int,
        save_point: SavePoint,
    ) -> Extras:
        """Return what to save beside the model, after so many batches of the run."""
        place, problems = self.position.state(save_point.epoch, save_point.batch or 0)
        self._checkpointer.tell(problems)
        states, arrays = callback_states(self.other_callbacks)
        random = {_RANDOM + k: v for k, v in generator_states().items()}
        facts = {
            "history": self._history.facts(
                _history(model, logs, self._checkpointer.epoch)
            ),
            "callbacks": states,
            "batches": batches,
            "stopped": bool(model.stop_training),
            "compiled_rate": self._first_rate,
            **place,
        }
        return facts, {**arrays, **random}

    def begin(
        self, model: keras.Model, newest_first: Sequence[Checkpoint], epochs: int
    ) -> None:
        """Restore what can be when training begins.

        From the newest checkpoint; if the position in the data cannot be restored, from
        the last whole epoch's. `epochs` is where `fit` will end.
        """
        self._pending, self._generators = None, {}
        self.batches = self.batch = 0
        self._compiled_rate = self._first_rate = _learning_rate(model)
        self._history, self._past = RecordedHistory(), {}
        self._checkpointer.on_record = self._record
        candidates, in_place = self._candidates(model, newest_first)
        if not candidates:
            return
        checkpoint, contents = first_intact(
            candidates, lambda one: (one, self._restored(model, one))
        )
        state, facts = contents
        self._checkpointer.kept.forget(candidates[: candidates.index(checkpoint)])
        self._checkpointer.scorer.continue_curves(recorded_curves(checkpoint))
        self._checkpointer.epoch = checkpoint.epoch
        self._pending = contents
        self.batches = int(facts.get("batches", 0))
        if in_place:
            self.batch, problems = self.position.seek(checkpoint)
            self._checkpointer.tell(problems)
        self._restore_callbacks(state, facts)
        self._read_history(checkpoint, facts)
        # A run that a callback stopped stays stopped.
        stopped = facts.get("stopped", False)
        way = way_to_train_on(self.other_callbacks) if stopped else ""
        set_first_epoch(model, epochs if way else checkpoint.epoch)
        self._checkpointer.tell(_nothing_left(checkpoint.epoch, epochs, way))
        self._checkpointer.tell(_not_exact(self.position))

    def sentence(self) -> str | None:
        """Return where the run continues; None where a new run begins."""
        if self._pending is None:
            return None
        where = f"after epoch {self._checkpointer.epoch}"
        if self.batch:
            where += f" and {self.batch} batches of the next"
        return f"The run {self._checkpointer.run_id} continues {where}."

    def _candidates(
        self, model: keras.Model, newest_first: Sequence[Checkpoint]
    ) -> tuple[list[Checkpoint], bool]:
        """Return the candidates, and whether to resume mid-epoch or at its start."""
        found, problems = self.position.resumable(newest_first)
        if not self.position.build(model, found):
            found = [one for one in found if one.extra.get("boundary", True)]
            problems = ["The metrics could not be built before the first step."]
        if problems:
            text = f"{problems[0]} The resume begins at an epoch's end."
            self._checkpointer.tell([text])
        if found or not newest_first:
            return found, True
        newest = newest_first[0]
        if newest.run_id != self._checkpointer.run_id:
            # The user named its path.
            text = (
                f"{newest.location} is of the middle of an epoch; the epoch begins "
                "again, with all of its batches."
            )
            self._checkpointer.tell([text])
            return list(newest_first), False
        text = (
            "The run that is resumed never came to the end of an epoch: it begins "
            f"again. Its newest weights are in {newest.location}; "
            "multiback.restore(model, path) takes them."
        )
        self._checkpointer.tell([text])
        return [], False

    def _restored(self, model: keras.Model, checkpoint: Checkpoint) -> _Contents:
        """Restore the model, if every file is intact; return the files' contents."""
        facts = trainer_facts(checkpoint)
        state = ModelState(
            model,
            checkpoint,
            variables_of(checkpoint),
            optimizer=self._optimizer,
            strict=self._strict,
        )
        report = state.restore(model)
        self._set_rate(model, facts)
        self._same_weights = not (report.kept or report.unused)
        if not self._same_weights:
            text = (
                f"strict=False: {len(report.kept)} variables of the model kept their "
                f"values, {len(report.unused)} of the checkpoint were not used: "
                f"{', '.join((report.kept + report.unused)[:4])}."
            )
            warn(text, RestoreWarning)
        # The other notes are of metrics, which an epoch resets anyway.
        warn_of(report)
        if not report.restored["optimizer"]:
            # A note may go into detail behind the sentence of its warning.
            told = tuple(report.left_out)
            self._checkpointer.tell([n for n in report.notes if not n.startswith(told)])
        return state, facts

    def _set_rate(self, model: keras.Model, facts: Facts) -> None:
        """Keep the compiled learning rate, or warn if the saved one differs."""
        saved, compiled = _learning_rate(model), self._compiled_rate
        if self._saved_rate:
            self._first_rate = facts.get("compiled_rate", compiled)
        if saved is None or compiled is None or saved == compiled:
            return
        if not self._saved_rate:
            # By assignment, as callbacks do.
            model.optimizer.learning_rate = compiled
        elif facts.get("compiled_rate") not in (None, compiled):
            text = (
                f"The resumed run trains with its learning rate {saved:.6g}; the model "
                f'was compiled with {compiled:.6g}. Pass learning_rate="compiled" '
                "to ModelCheckpoint to take that."
            )
            warn(text, RestoreWarning)

    def _read_history(self, checkpoint: Checkpoint, facts: Facts) -> None:
        """Make Keras's history of the records, or of what the checkpoint has."""
        kept, run = facts.get("history", {}), checkpoint.run_id
        records = self._checkpointer.directory.history(run)
        past = read_history(kept, records)
        home = checkpoint.location.removesuffix(f"/checkpoints/{checkpoint.name}")
        if past is None and is_run_directory(home):
            past = read_history(kept, open_run_directory(home).history(run))
        if past is None:
            text = (
                "history.jsonl does not have the epochs of the checkpoint that is "
                "resumed, so Keras's history begins with the next. Keep it beside "
                "the checkpoints."
            )
            warn(text, RestoreWarning)
        self._past = past or {}
        if run == self._checkpointer.run_id:
            before = kept.get("before") if past is not None else None
            self._history = RecordedHistory(records, before)
        else:
            self._history = RecordedHistory(before=self._past)

    def _record(self, record: Mapping[str, Any]) -> None:
        """Take note of a record that was written."""
        self._history.add(record)

    def find_callbacks(self, callbacks: Sequence[Any], ours: Any) -> None:
        """Save the state of the callbacks of `fit` whose class is known."""
        found, behind = known_callbacks(callbacks, ours, self._named)
        self.other_callbacks = [*self._named, *found]
        self._checkpointer.tell(behind)

    def _restore_callbacks(self, state: ModelState, facts: Facts) -> None:
        if self.other_callbacks:
            saved = facts.get("callbacks", [])
            named = len(self._named)
            self._checkpointer.tell(
                restore_callbacks(
                    self.other_callbacks,
                    saved,
                    state.whole,
                    named,
                    same_weights=self._same_weights,
                )
            )

    def end(self, model: keras.Model) -> None:
        """Restore the rest: the first epoch begins, or no epoch is left."""
        if self._pending is None:
            return
        (state, facts), self._pending = self._pending, None
        set_first_epoch(model, None)
        self._generators = {
            key.removeprefix(_RANDOM): array
            for key, array in state.whole.items()
            if key.startswith(_RANDOM)
        }
        if self.batch:
            report = state.restore(model)
            if not self._saved_rate:
                self._set_rate(model, facts)
            self._checkpointer.tell(report.notes)
            self._restore_callbacks(state, facts)
        else:
            self.begin_batches()
        here = _history_of(model)
        if here is not None:
            here.epoch, here.history = shown_history(self._past)

    def begin_batches(self) -> None:
        """Restore the generators, if that is still pending."""
        if self._generators:
            restore_generators(self._generators)
            self._generators = {}


def _learning_rate(model: keras.Model) -> float | None:
    """Return the compiled optimizer's learning rate; None under a schedule."""
    optimizer = optimizer_of(model)
    for variable in () if optimizer is None else optimizer.variables:
        if variable.name == "learning_rate":
            return float(keras.ops.convert_to_numpy(variable))
    return None


def _not_exact(position: DataPosition) -> list[str]:
    """Return why a resume cannot be bit-exact, in sentences."""
    said = []
    if not position.is_known and steps_per_epoch():
        said.append(
            "This resume is not bit-exact: with fit(steps_per_epoch=) an epoch begins "
            "where the last one stopped in the data, and nothing tells where that was. "
            "Leave it out, or pass an mb.data.Resumable to fit() and to data=."
        )
    if position.shuffled_by_keras and not is_seeded():
        said.append(
            "This resume is not bit-exact: TensorFlow shuffles again. Call "
            "keras.utils.set_random_seed before the first run and before this, or "
            "pass an mb.data.Resumable to fit() and to data=."
        )
    return said


def _nothing_left(epoch: int, epochs: int, way: str) -> list[str]:
    """Return the warning that a resumed run has no epoch left to train.

    `way` says how a run trains on that was stopped.
    """
    if not way and epoch < epochs:
        return []
    text = f"The resumed run was stopped after epoch {epoch}, and stays so. {way}"
    if not way:
        text = (
            f"Nothing is left to train: the resumed run has {epoch} epochs, and "
            f"fit(epochs={epochs}) counts them too. Pass a larger epochs="
        )
    return [f'{text}, or pass resume="never" to begin a new run in this directory.']


def _history(model: keras.Model, logs: Mapping[str, Any], epoch: int) -> dict[str, Any]:
    """Return Keras's history including these logs.

    It stands behind all callbacks.
    """
    here = _history_of(model)
    if here is None:
        return {}
    values = {k: list(v) for k, v in here.history.items()}
    epochs = list(here.epoch)
    if logs and epoch - 1 not in epochs:
        epochs.append(epoch - 1)
        for name, value in logs.items():
            values.setdefault(name, []).append(value)
    plain = {str(k): [written(one) for one in v] for k, v in values.items()}
    return {"epoch": epochs, "values": only_numbers(plain)}


def _history_of(model: keras.Model) -> Any | None:
    """Return Keras's own record; None if the caller of `fit` left it out."""
    found = getattr(model, "history", None)
    return found if isinstance(found, keras.callbacks.History) else None
