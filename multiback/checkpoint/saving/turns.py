"""Which writer of this process has a run: the one that started it last.

A run's lock keeps other processes out. Inside one process nothing says that a writer
is given up: an interrupted cell of a notebook leaves its callback alive, and the cell
that runs again continues the run. So the newcomer gets the run, and the earlier writer,
which does not know what the newcomer writes and removes, may not write any more.
"""

from multiback.errors import StoreError

_turns: dict[tuple[str, str], "Turn"] = {}


class Turn:
    """A writer's right to write a run."""

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None

    def __reduce__(self) -> tuple[type["Turn"], tuple[()]]:
        """Let a copy of a writer, as tuners make, start a run before it writes."""
        return type(self), ()

    def take(self, location: str, run_id: str) -> None:
        """Take it from the writer that has it."""
        self._key = location, run_id
        _turns[self._key] = self

    @property
    def has_started(self) -> bool:
        """Whether the writer has started a run."""
        return self._key is not None

    @property
    def is_mine(self) -> bool:
        """Whether no other writer of this process has started the run since."""
        return self._key is not None and _turns[self._key] is self

    def check(self) -> None:
        """Raise where another writer of this process has started the run since."""
        if self._key is not None and not self.is_mine:
            location, run_id = self._key
            raise StoreError(
                f"The run {run_id!r} in {location} wants one writer, but another "
                "Checkpointer or ModelCheckpoint of this process has started it since. "
                "Nothing was changed. Give each a directory of its own; or use one "
                "with keep=[Best(a), Best(b)]."
            )
