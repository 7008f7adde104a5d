"""Keras's history of a run, whose epochs `history.jsonl` already has.

A checkpoint that held all epochs would grow with their number. It holds how many of the
run's records there were, and their checksum, and a resume makes the history of these.
What the records do not have is kept in the checkpoint as it is: epochs of another run,
and what callbacks behind ours added to the logs.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xxhash

from multiback.checkpoint.choosing.log_values import readable
from multiback.checkpoint.loading.documents import is_measurement
from multiback.store.format.jsontext import dump

History = dict[str, Any]


class RecordedHistory:
    """The records of a run's history, as far as one checkpoint goes.

    Args:
        records: Those that the run has already, oldest first.
        before: The history that the run began with, from another run.
    """

    def __init__(
        self,
        records: Iterable[Mapping[str, Any]] = (),
        before: History | None = None,
    ) -> None:
        self._before = before or {}
        self._lived: list[Mapping[str, Any]] = []
        self._count = 0
        self._checksum = ""
        for record in records:
            if is_measurement(record):
                self.add(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the next record of the run."""
        self._count += 1
        line = self._checksum.encode() + dump(record, argument="record")
        self._checksum = xxhash.xxh3_64_hexdigest(line)
        # An epoch that is done again replaces the first try, and what came after it.
        while self._lived and self._lived[-1]["epoch"] >= record["epoch"]:
            self._lived.pop()
        self._lived.append(record)

    def facts(self, history: History) -> History:
        """Return what a checkpoint keeps of Keras's history, "epoch" and "values"."""
        made = self.made()
        # A NaN does not equal itself.
        if made != history and _text(made) != _text(history):
            return history
        found = {"records": self._count, "checksum": self._checksum}
        return {**found, "before": self._before} if self._before else found

    def made(self) -> History:
        """Return the history that the records make."""
        epochs = list(self._before.get("epoch", []))
        values = {k: list(v) for k, v in self._before.get("values", {}).items()}
        for record in self._lived:
            epochs.append(record["epoch"] - 1)
            for name, value in record["metrics"].items():
                values.setdefault(name, []).append(value)
        return {"epoch": epochs, "values": only_numbers(values)}


def _text(history: History) -> bytes:
    values = history.get("values", {})
    ordered = {"epoch": history.get("epoch"), **{k: values[k] for k in sorted(values)}}
    return dump(ordered, argument="history")


def only_numbers(values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Leave out what is not a number or a list everywhere: a gap would be wrong."""
    return {
        name: list(each)
        for name, each in values.items()
        if all(isinstance(one, float | list) for one in each)
    }


def read_history(
    facts: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> History | None:
    """Return the history that a checkpoint kept, or None without its records."""
    if "records" not in facts:
        return dict(facts)
    measured = [one for one in records if is_measurement(one)]
    made = RecordedHistory(measured[: facts["records"]], facts.get("before"))
    found = made.facts(made.made())
    return made.made() if found == dict(facts) else None


def shown_history(history: History) -> tuple[list[int], dict[str, list[Any]]]:
    """Return a history's epochs and values as Keras has them."""
    return list(history.get("epoch", [])), {
        name: [readable(one) if isinstance(one, list) else one for one in each]
        for name, each in history.get("values", {}).items()
    }
