"""The checkpoints of one run that are on the disk, and what the slots say of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from multiback.checkpoint.retention import Best, Entry, Slot, kept
from multiback.errors import StoreError
from multiback.store import Checkpoint, Runs, open_run_directory

Row = tuple[Entry, Checkpoint]


class Shelf:
    """Know what is kept, best and last; remove what no slot holds.

    Args:
        directory: Where the checkpoints are.
        slots: What holds them.
        best: What decides which is best, if anything does.
    """

    def __init__(
        self, directory: Runs, slots: Sequence[Slot], best: Best | None
    ) -> None:
        self.directory = directory
        self._slots = list(slots)
        self._best = best
        self.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Allow copies, as tuners make of a callback: all but the lock."""
        return {**vars(self), "directory": self.directory.location}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Open the same directory."""
        vars(self).update(state, directory=open_run_directory(state["directory"]))

    def clear(self) -> None:
        """Forget all, for another run."""
        self._rows: dict[int, Row] = {}
        self._pointed: dict[str, Checkpoint] = {}

    def add(self, entry: Entry, checkpoint: Checkpoint) -> None:
        """Put a checkpoint that was committed onto the shelf."""
        self._rows[entry.order] = (entry, checkpoint)

    def forget(self, checkpoints: Collection[Checkpoint]) -> None:
        """Leave checkpoints out of all decisions, and on the disk."""
        self._rows = {
            order: row for order, row in self._rows.items() if row[1] not in checkpoints
        }

    @property
    def rows(self) -> list[Row]:
        """All of them."""
        return list(self._rows.values())

    @property
    def entries(self) -> list[Entry]:
        """What the slots know of the checkpoints."""
        return [entry for entry, _ in self._rows.values()]

    @property
    def last(self) -> Checkpoint | None:
        """The newest."""
        return self._rows[max(self._rows)][1] if self._rows else None

    def ranked(self) -> list[Row]:
        """Return those that have a score, best first."""
        ranked = self._best.ranked(self.entries) if self._best else []
        return [self._rows[entry.order] for entry in ranked]

    def chosen(self) -> list[Row]:
        """Return those that are kept for their score, best first."""
        held = self._best.held(self.entries) if self._best else []
        return [self._rows[entry.order] for entry in held]

    def holding(self, newcomer: Entry) -> set[int]:
        """Return the `order` of each entry that stays once the newcomer is there."""
        return kept([*self.entries, newcomer], self._slots)

    def counting(
        self, scores: Mapping[str, float], newcomer: Entry
    ) -> dict[str, float]:
        """Leave out the scores that are too little above what they would replace."""
        return {
            label: scores[label]
            for label in newcomer.goodness
            if self._accepts(label, newcomer)
        }

    def _accepts(self, label: str, newcomer: Entry) -> bool:
        slots = [s for s in self._slots if isinstance(s, Best)]
        slots = [slot for slot in slots if slot.monitor.label == label]
        return not slots or any(slot.accepts(newcomer, self.entries) for slot in slots)

    def tidy(self, holding: Collection[int], run_id: str) -> list[str]:
        """Move the links, then remove what is not to stay.

        Args:
            holding: The `order` of each entry that stays.
            run_id: The run whose checkpoints these are.

        Returns:
            What did not work, in sentences: it costs no training.
        """
        doomed = {o: self._rows.pop(o) for o in sorted(set(self._rows) - set(holding))}
        try:
            for label, target in (
                ("best", next((one for _, one in self.ranked()), None)),
                ("last", self.last),
            ):
                if target is not None and self._pointed.get(label) != target:
                    self.directory.point(label, target)
                    self._pointed[label] = target
            for order, (_, checkpoint) in list(doomed.items()):
                self.directory.remove(checkpoint, run_id=run_id)
                del doomed[order]
        except StoreError as error:
            self._rows |= doomed
            return [f"The new checkpoint is safe, but tidying up failed: {error}"]
        return []
