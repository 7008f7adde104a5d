"""The checkpoints of one run on the disk, and which of them the slots hold.

A pending checkpoint already counts for the slots as if it were written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.choosing.slots import Best, Slot, kept
from multiback.errors import StoreError
from multiback.store import Checkpoint, Runs, open_run_directory

Row = tuple[Entry, Checkpoint]


def _always(_: Monitor) -> bool:
    return True


class KeptCheckpoints:
    """Know the kept, best and last checkpoints; remove those that no slot holds.

    Args:
        directory: Where the checkpoints are.
        slots: The rules that hold checkpoints.
        best: The slot that decides which is best, if any.

    Attributes:
        is_measured: Returns whether a monitor was ever in the logs.
        points: Whether this object moves the links `best` and `last`.
        spared: The `order` of entries that stay although no slot may hold them.
    """

    def __init__(
        self, directory: Runs, slots: Sequence[Slot], best: Best | None
    ) -> None:
        self.directory = directory
        self._slots = list(slots)
        self._best = best
        self.is_measured: Callable[[Monitor], bool] = _always
        self.points = True
        self.spared: set[int] = set()
        self._past: list[Row] = []
        self._rows: dict[int, tuple[Entry, Checkpoint | None]] = {}
        self.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the lock: tuners copy a callback."""
        rows = {entry.order: (entry, one) for entry, one in self.rows}
        return {**vars(self), "directory": self.directory.location, "_rows": rows}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Open the same directory."""
        vars(self).update(state, directory=open_run_directory(state["directory"]))

    def clear(self) -> None:
        """Forget all checkpoints, for another run."""
        self._past = [*self._past, *self.rows]
        # Replaced, never changed: another thread may be reading it.
        self._rows = {}
        self.spared = set()
        self._pointed: dict[str, Checkpoint] = {}

    def forget_run(self, run_id: str) -> None:
        """Drop an earlier fit's checkpoints of a run that is continued now."""
        self._past = [row for row in self._past if row[1].run_id != run_id]

    def expect(self, entry: Entry) -> None:
        """Add the pending entry of a checkpoint that will be written."""
        self._rows = {**self._rows, entry.order: (entry, None)}

    def expect_nothing(self) -> None:
        """Drop the pending entry of a save that failed."""
        self._rows = {order: row for order, row in self._rows.items() if row[1]}

    def add(self, entry: Entry, checkpoint: Checkpoint) -> None:
        """Add a committed checkpoint."""
        self._rows = {**self._rows, entry.order: (entry, checkpoint)}

    def forget(self, checkpoints: Collection[Checkpoint]) -> None:
        """Drop checkpoints from all decisions, but leave them on the disk."""
        self._rows = {
            order: row for order, row in self._rows.items() if row[1] not in checkpoints
        }

    @property
    def rows(self) -> list[Row]:
        """All checkpoints on the disk."""
        return [(entry, one) for entry, one in self._rows.values() if one is not None]

    @property
    def entries(self) -> list[Entry]:
        """The slots' entries of the checkpoints, and of the pending one."""
        return [entry for entry, _ in self._rows.values()]

    @property
    def last(self) -> Checkpoint | None:
        """The newest checkpoint on the disk."""
        rows = self.rows
        return rows[-1][1] if rows else None

    def ranked(self) -> list[Row]:
        """Return the checkpoints on the disk that have a score, best first.

        Those of earlier fits of the same object are among them.
        """
        return self._ordered(Best.ranked, [*self._past, *self.rows])

    def ranked_here(self) -> list[Row]:
        """Return the checkpoints of the current run that have a score, best first."""
        return self._ordered(Best.ranked, self.rows)

    def chosen(self) -> list[Row]:
        """Return the checkpoints that are kept for their score, best first."""
        return self._ordered(Best.held, [*self._past, *self.rows])

    def leader(self) -> Entry | None:
        """Return the best so far, written or pending."""
        if self._best is None:
            return None
        entries = [*(entry for entry, _ in self._past), *self.entries]
        return next(iter(self._best.ranked(entries)), None)

    def _ordered(
        self,
        order: Callable[[Best, Sequence[Entry]], list[Entry]],
        given: Sequence[Row],
    ) -> list[Row]:
        if self._best is None:
            return []
        rows = {entry.order: (entry, one) for entry, one in given}
        entries = [entry for entry, _ in rows.values()]
        return [rows[entry.order] for entry in order(self._best, entries)]

    def _slots_now(self) -> list[Slot]:
        """Return the slots; one whose monitor was never measured holds the newest."""
        slots: list[Slot | None] = [
            slot.newest()
            if isinstance(slot, Best) and not self.is_measured(slot.monitor)
            else slot
            for slot in self._slots
        ]
        return [slot for slot in slots if slot is not None]

    @property
    def deciding(self) -> set[str]:
        """The labels of the scores for which slots hold checkpoints."""
        return {
            monitor.label
            for slot in self._slots
            if not isinstance(slot, Best) or slot.k
            # The others of `Best` decide between equals only.
            for monitor in slot.monitors[: 1 if isinstance(slot, Best) else None]
        }

    def holding(self, newcomer: Entry) -> set[int]:
        """Return the `order` of each entry that stays once the new one is written."""
        entries = [*self.entries, newcomer]
        return kept(entries, self._slots_now(), always=self.spared)

    def counting(
        self, scores: Mapping[str, float], newcomer: Entry
    ) -> dict[str, float]:
        """Drop scores that beat what they would replace by too little."""
        return {
            label: scores[label]
            for label in newcomer.ranking_scores
            if self._accepts(label, newcomer)
        }

    def _accepts(self, label: str, newcomer: Entry) -> bool:
        slots = [s for s in self._slots if isinstance(s, Best)]
        slots = [slot for slot in slots if slot.monitor.label == label]
        return not slots or any(slot.accepts(newcomer, self.entries) for slot in slots)

    def tidy(self, newest: int, run_id: str) -> list[str]:
        """Move the links, then remove the run's checkpoints that no slot holds.

        That of the order `newest` stays in any case. Return the problems, in sentences:
        they do not stop the training.
        """
        always = {newest, *self.spared}
        holding = kept(self.entries, self._slots_now(), always=always)
        doomed = [row for row in self.rows if row[0].order not in holding]
        self._rows = {o: row for o, row in self._rows.items() if o in holding}
        problems = []
        for label, target in (
            ("best", next((one for _, one in self.ranked()), None)),
            ("last", self.last),
        ):
            if not self.points or target is None:
                continue
            if self._pointed.get(label) != target:
                try:
                    self.directory.point(label, target)
                    self._pointed[label] = target
                except StoreError as error:
                    # For users only: an error here must not keep unheld checkpoints on
                    # the disk.
                    problems.append(str(error))
        for row in doomed:
            try:
                self.directory.remove(row[1], run_id=run_id)
            except StoreError as error:
                problems.append(str(error))
                rows = {**self._rows, row[0].order: row}
                self._rows = dict(sorted(rows.items()))
        return [
            f"The new checkpoint is safe, but tidying up failed: {problem}"
            for problem in problems
        ]

    def forget_missing(self) -> None:
        """Forget checkpoints that were deleted from outside.

        Do not call it while a write is pending.
        """
        rows = [*self._past, *self.rows]
        missing = self.directory.missing([one for _, one in rows])
        self.forget(missing)
        self._past = [row for row in self._past if row[1] not in missing]
