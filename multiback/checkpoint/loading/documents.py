"""A checkpoint's documents, checked: a file whose checksum fits may still be hostile.

A checksum finds damage but does not stop a forger. Documents have the keys and types
that the rest of the package relies on, or raise `CorruptCheckpointError`.
"""

import contextlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from multiback.checkpoint.choosing.direction import Mode
from multiback.checkpoint.choosing.monitor import split_label
from multiback.checkpoint.choosing.names import find_name
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.errors import CorruptCheckpointError
from multiback.store import Checkpoint
from multiback.store.format.payload import verify_file

Facts = dict[str, Any]
KERAS_FILE = "model.keras"
"""Keras's own file in a checkpoint, for layers with state outside variables."""


class Judged(Protocol):
    """A scored checkpoint: of this package or of another library."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """Its scores, among other values."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """The measured numbers."""

    @property
    def location(self) -> str:
        """Its name for messages."""


def variables_of(checkpoint: Checkpoint) -> list[Facts]:
    """Return the index of a checkpoint's arrays."""
    index = checkpoint.document("variables")
    if not isinstance(index, list) or not all(_is_entry(each) for each in index):
        raise _malformed(checkpoint, "variables", "a list of variables")
    return index


_TEXTS = ("way", "name", "optimizer", "class")


def _is_entry(entry: object) -> bool:
    """Return whether an entry has the fields that `restore` and `tree` read."""
    if not isinstance(entry, dict):
        return False
    if not all(isinstance(entry.get(key), str) for key in ("key", "group", "path")):
        return False
    if entry["group"] == "optimizer" and not isinstance(entry.get("slot"), str):
        return False
    if entry["group"] == "tree" and not isinstance(entry.get("parts"), list):
        return False
    if not all(isinstance(entry.get(key, ""), str) for key in _TEXTS):
        return False
    return (
        _is_list_of(entry.get("shape", []), int)
        and isinstance(entry.get("dtype", ""), str)
        and isinstance(entry.get("owner", 0), int)
        and _is_list_of(entry.get("parts", []), str, int)
    )


def trainer_facts(checkpoint: Checkpoint) -> Facts:
    """Return a checkpoint's facts about its training."""
    facts = checkpoint.document("trainer")
    if not isinstance(facts, dict):
        raise _malformed(checkpoint, "trainer", "an object")
    for key, (fits, wanted) in _FACTS.items():
        if key in facts and not fits(facts[key]):
            raise _malformed(checkpoint, "trainer", f"{wanted} under {key!r}")
    return facts


@contextlib.contextmanager
def keras_file(checkpoint: Checkpoint) -> Iterator[Path]:
    """Provide Keras's own file of a checkpoint, verified, while the block runs.

    Keras compresses nothing, so what the file unpacks to is no larger than the file.
    """
    with checkpoint.local_file(KERAS_FILE) as file:
        entry = checkpoint.files[KERAS_FILE]
        verify_file(file, entry)
        try:
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
        except zipfile.BadZipFile as error:
            raise CorruptCheckpointError(
                f"{checkpoint.location}/{KERAS_FILE} must be a file of Keras's, but: "
                f"{error}. Load another checkpoint."
            ) from error
        if size > entry.size:
            raise CorruptCheckpointError(
                f"{checkpoint.location}/{KERAS_FILE} has {entry.size} bytes and would "
                f"unpack to {size}, which Keras never writes. Load another checkpoint."
            )
        yield file


def _is_number(value: object) -> bool:
    # An integer beyond the floats cannot be converted.
    return type(value) is float or (type(value) is int and abs(value) < 1 << 63)


def _is_callbacks(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("class"), str)
        and isinstance(each.get("state"), dict)
        and isinstance(each.get("monitor", ""), str)
        and isinstance(each.get("mode", ""), str)
        for each in value
    )


def _is_history(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("epoch", []), list):
        return False
    if "records" in value and not (
        type(value["records"]) is int
        and value["records"] >= 0
        and isinstance(value.get("checksum"), str)
        and _is_history(value.get("before", {}))
        and "records" not in value.get("before", {})
    ):
        return False
    values = value.get("values", {})
    return isinstance(values, dict) and all(
        isinstance(each, list) for each in values.values()
    )


def _is_names(value: object) -> bool:
    return isinstance(value, dict) and _is_list_of(list(value.values()), str)


_FACTS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "batches": (lambda value: type(value) is int, "a whole number"),
    "callbacks": (_is_callbacks, "a list of callbacks' states"),
    "history": (_is_history, "a history"),
    "own_state": (lambda value: _is_list_of(value, str), "a list of names"),
    "state_in_config": (_is_names, "names by name"),
    "compiled_rate": (lambda value: value is None or _is_number(value), "a number"),
    "learning_rate": (lambda value: value is None or _is_number(value), "a number"),
}


_INTERVAL = ("lower", "upper", "standard_error")


def recorded_scores_of(checkpoint: Judged) -> RecordedScores:
    """Return a checkpoint's recorded scores."""
    if fault := _scores_fault(checkpoint.extra):
        raise CorruptCheckpointError(
            f"{checkpoint.location} must have been judged, but in its manifest "
            f"{fault}, though the checksum fits: something else wrote it. Load another "
            f"checkpoint."
        )
    return RecordedScores.of(checkpoint.extra)


def recorded_curves(checkpoint: Judged) -> dict[str, list[float]]:
    """Return the state of a checkpoint's smoothed scores, by label."""
    curves = checkpoint.extra.get("curves", {})
    if not isinstance(curves, Mapping) or not all(
        isinstance(state, list) and all(map(_is_number, state))
        for state in curves.values()
    ):
        raise CorruptCheckpointError(
            f"{checkpoint.location} must have lists of numbers as curves, and does "
            "not, though its checksum fits: something else wrote it. Load another "
            "checkpoint."
        )
    return dict(curves)


def recorded_earlier_scores(checkpoint: Judged) -> dict[str, dict[str, float]]:
    """Return the scores of older checkpoints, by name, by a run's functions.

    A resumed run computes them; what has another form is skipped.
    """
    found = checkpoint.extra.get("earlier_scores", {})
    if not isinstance(found, Mapping):
        return {}
    return {
        name: dict(scores)
        for name, scores in found.items()
        if isinstance(scores, Mapping) and all(map(_is_number, scores.values()))
    }


def recorded_values(checkpoint: Judged) -> dict[str, Any]:
    """Return everything that was logged when a checkpoint was saved."""
    other = checkpoint.extra.get("values", {})
    return {**(other if isinstance(other, Mapping) else {}), **checkpoint.metrics}


def recorded_directions(checkpoint: Judged) -> dict[str, Mode]:
    """Return which way is better, by log name, as known during training."""
    found = checkpoint.extra.get("directions", {})
    if not isinstance(found, Mapping):
        return {}
    return {name: mode for name, mode in found.items() if mode in ("max", "min")}


def recorded_threshold(checkpoint: Judged, monitor: str | None = None) -> Any | None:
    """Return the threshold that a score was reached with, or None.

    By default that of the checkpoint's monitor, else of the only recorded metric.
    """
    found = checkpoint.extra.get("thresholds", {})
    if not isinstance(found, Mapping) or not found:
        return None
    ranking = recorded_scores_of(checkpoint).ranking
    wanted = monitor or (split_label(ranking[0])[0] if ranking else None)
    name = None if wanted is None else find_name(wanted, found)
    if name is None and monitor is None and len(found) == 1:
        name = next(iter(found))
    return None if name is None else found[name]


def _scores_fault(extra: Mapping[str, Any]) -> str | None:
    """Return why a manifest's extra fields hold no valid scores, or None.

    >>> _scores_fault({"scores": {"val_f1": 0.5}, "modes": {"val_f1": "max"}})
    >>> _scores_fault({"scores": [0.5]})
    'its scores must be numbers by name'
    """
    scores, modes = extra.get("scores", {}), extra.get("modes", {})
    if not isinstance(scores, Mapping) or not all(map(_is_number, scores.values())):
        return "its scores must be numbers by name"
    if not isinstance(modes, Mapping) or not all(
        mode in ("max", "min") for mode in modes.values()
    ):
        return 'its modes must be "max" or "min" by name'
    if not _is_list_of(extra.get("ranking", []), str):
        return "its ranking must be a list of names"
    intervals = extra.get("intervals", {})
    if not isinstance(intervals, Mapping) or not all(
        isinstance(one, Mapping) and all(_is_number(one.get(key)) for key in _INTERVAL)
        for one in intervals.values()
    ):
        return "its intervals must be records of numbers by name"
    if not _is_number(extra.get("within", 0.0)):
        return "its within must be a number"
    return None


def is_measurement(record: Mapping[str, Any]) -> bool:
    """Return whether a history's record has a time and measurements."""
    return (
        isinstance(record.get("run_id"), str)
        and type(record.get("epoch")) is int
        and type(record.get("step")) is int
        and isinstance(record.get("metrics"), dict)
    )


def _is_list_of(value: object, *kinds: type) -> bool:
    return isinstance(value, list) and all(type(each) in kinds for each in value)


def _malformed(
    checkpoint: Checkpoint, name: str, wanted: str
) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        f"{checkpoint.location}/{name}.json must hold {wanted}, and does not, though "
        f"its checksum fits: something else wrote it. Load another checkpoint."
    )
