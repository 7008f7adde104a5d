"""The position of a run in the middle of an epoch, in the data and in the metrics.

Keras makes an epoch's iterator after `on_epoch_begin`, and resets the metrics before
it. The data gets its position in time, and then knows what to read; only the callback
knows how much of it was trained on, because TensorFlow reads ahead.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import keras

from multiback.checkpoint.loading.documents import trainer_facts
from multiback.errors import ArgumentError, MultibackError
from multiback.store import Checkpoint


@runtime_checkable
class Seekable(Protocol):
    """Data that can begin an epoch at any of its batches, such as `mb.data`."""

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""

    def __getitem__(self, index: int) -> Any:
        """Return a batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""

    def state_at(self, epoch: int, batch: int) -> Mapping[str, Any] | None:
        """Return the state before a batch, as JSON values; None where unknown."""

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raise if a state belongs to other data."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration begin at the state's `epoch` and `batch`."""

    def begin_epoch(self, epoch: int) -> None:
        """Let the next iteration begin with an epoch's first batch."""


class DataPosition:
    """Save and restore the position in the data of `fit`, None if unknown."""

    def __init__(self, data: Any = None) -> None:
        if data is not None and not isinstance(data, Seekable):
            raise ArgumentError(
                f"data= has a {type(data).__name__}, which cannot begin in the middle "
                "of an epoch. Wanted: the mb.data.Resumable or mb.data.ResumableLoader "
                "that fit() is given. "
                "Leave data= out for other data: a run then resumes at an epoch's end."
            )
        self._data = data
        self._ahead: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether `data=` was given."""
        return self._data is not None

    @property
    def shuffled_by_keras(self) -> bool:
        """Whether the order is TensorFlow's, which no callback can restore."""
        return self._data is None and keras.backend.backend() == "tensorflow"

    def state(self, epoch: int, batch: int) -> tuple[dict[str, Any], list[str]]:
        """Return what to save beside the epochs and batches done, and the problems."""
        if self._data is None:
            return {}, []
        found = self._data.state_at(epoch, batch)
        if found is None:
            text = (
                "data= cannot say where training stands in it, so a resume will not be "
                "bit-exact. Pass the same data to fit() and to data=, without "
                "steps_per_epoch."
            )
            return {}, [text]
        return {"data": dict(found)}, []

    def resumable(
        self, newest_first: Sequence[Checkpoint]
    ) -> tuple[list[Checkpoint], list[str]]:
        """Drop mid-epoch checkpoints whose position cannot be restored, and say why."""
        kept: list[Checkpoint] = []
        notes: list[str] = []
        for one in newest_first:
            why = None if _is_boundary(one) else self._obstacle(one)
            if why is None:
                kept.append(one)
            elif why:
                notes.append(f"{one.name} cannot be resumed from: {why}")
        return kept, notes

    def _obstacle(self, checkpoint: Checkpoint) -> str | None:
        """Return why training cannot resume mid-epoch; "" if no checkpoint needs it."""
        if self._data is None:
            return ""
        if checkpoint.extra.get("weights_only"):
            return "it holds the weights only."
        try:
            place = _position_of(checkpoint)
            self._data.check_state(place)
        except MultibackError as error:
            return str(error)
        # After the last batch an iterator has nothing to begin with.
        return None if place["batch"] < len(self._data) else ""

    def build(self, model: keras.Model, candidates: Sequence[Checkpoint]) -> bool:
        """Build the metrics, if any are to be restored; return whether they are built.

        TensorFlow builds them in the first step, which is too late. A test step builds
        them by public means; its counts and random draws are overwritten or reset.
        """
        if all(_is_boundary(one) for one in candidates) or _are_built(model):
            return True
        try:
            model.test_on_batch(*self._data[0])  # type: ignore[index]  # Not None here
        except Exception:  # noqa: BLE001 - a model that cannot test: the epoch restarts
            return False
        return _are_built(model)

    def seek(self, checkpoint: Checkpoint) -> tuple[int, list[str]]:
        """Let the next epoch begin at the checkpoint's position.

        Return how many of its batches are done, and why it is not exact, if it is not.
        """
        self._ahead = None
        if self._data is None:
            return 0, []
        try:
            place = _position_of(checkpoint)
            self._data.check_state(place)
        except MultibackError as error:
            # At an epoch's end: `resumable` dropped the others.
            return 0, [f"{checkpoint.name}: {error} The resume may not be bit-exact."]
        self._data.load_state_dict(place)
        self._ahead = int(place["epoch"])
        return int(place["batch"]), []

    def begin_epoch(self, epoch: int) -> None:
        """Set the data's epoch to Keras's number, not its own count."""
        if self._data is not None and self._ahead != epoch:
            self._data.begin_epoch(epoch)
        self._ahead = None

    def problems(self, steps: int | None) -> list[str]:
        """Return why a resume would not be exact after so many steps an epoch."""
        if self._data is None or steps in (None, len(self._data)):
            return []
        text = (
            f"A resume will not be bit-exact: fit() takes {steps} batches for an epoch "
            f"and data= has {len(self._data)}. Pass the same data to fit() and to "
            "data=, without steps_per_epoch."
        )
        return [text]


def _is_boundary(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.extra.get("boundary", True))


def _position_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the state of the data once a checkpoint's batches are done."""
    facts = trainer_facts(checkpoint)
    if "data" not in facts:
        raise ArgumentError("it was saved without data=, so nothing tells its place.")
    place = {"epoch": facts["epoch"], "batch": facts["batch"] or 0}
    return {**facts["data"], **place}


def _are_built(model: keras.Model) -> bool:
    return all(getattr(metric, "built", True) for metric in model.metrics)
