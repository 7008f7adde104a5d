"""What a directory of checkpoints holds, without reading a manifest twice.

A manifest is never changed once it is visible, so one that was parsed is remembered.
It is believed to be the same file only while its inode, its size and both its times
are the same, and only if it was at rest when it was read: within the resolution of a
file system's clock a file can change and show the same time.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from multiback.errors import NoCheckpointError, StoreError
from multiback.store.checkpoint import Checkpoint, read_checkpoint
from multiback.store.disk.files import store_errors
from multiback.store.format.collector import no_collector
from multiback.store.format.manifest import MANIFEST

# The coarsest clock of a file system in use, FAT's.
AT_REST_NS = 2_000_000_000
# Report at most this many entries without a manifest by name.
MOST_STRANGERS = 100

Stamp = tuple[int, int, int, int, int]
Skipped = list[tuple[Path, str]]


class Listing:
    """List a directory of checkpoints; threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, tuple[Stamp, Checkpoint]] = {}

    def names(self) -> list[str]:
        """List the names that may be checkpoints, without reading them."""
        return [entry.name for entry in self._entries()]

    def check(self) -> None:
        """Raise if the directory is a link.

        In a shared directory it may lead anywhere, and files there would count as this
        run directory's.
        """
        if self._directory.is_symlink():
            target = os.path.realpath(self._directory)
            raise StoreError(
                f"{self._directory} must be a directory, but is a link to {target}, "
                f"and nothing in a run directory is followed. Name the run directory "
                f"on that disk as dirpath; or move the folder here."
            )

    def _entries(self) -> Iterator["os.DirEntry[str]"]:
        self.check()
        try:
            with (
                store_errors("list", self._directory),
                os.scandir(self._directory) as entries,
            ):
                found = sorted(entries, key=lambda entry: entry.name)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return
            if isinstance(error.__cause__, NotADirectoryError):
                raise self._file() from error
            raise
        for entry in found:
            if not entry.name.startswith("."):
                yield entry

    def _file(self) -> NoCheckpointError:
        run = self._directory.parent
        return NoCheckpointError(
            f"{run} must be a run directory, but "
            f"{'is a file' if run.is_file() else f'{self._directory} is a file'}. Pass "
            f"the directory that was given to ModelCheckpoint."
        )

    @no_collector()
    def read(self) -> tuple[list[Checkpoint], Skipped]:
        """Return the checkpoints, oldest commit first, and what was skipped."""
        found: list[Checkpoint] = []
        skipped: Skipped = []
        known: dict[str, tuple[Stamp, Checkpoint]] = {}
        strangers = 0
        for entry in self._entries():
            is_folder = entry.is_dir(follow_symlinks=False)
            before = _stamp(entry.path) if is_folder else None
            strangers += before is None
            if before is None and strangers > MOST_STRANGERS:
                continue
            cached = self._known.get(entry.name)
            # A folder is no link. To make its path takes as long as to look at it.
            if before is not None and cached is not None and cached[0] == before:
                known[entry.name] = cached
                found.append(cached[1])
                continue
            path = self._directory / entry.name
            if entry.is_symlink():
                skipped.append((path, "it is a symbolic link"))
                continue
            now = time.time_ns()
            try:
                one = read_checkpoint(path)
            except StoreError as error:
                # Another process may have removed it since the listing.
                if path.exists():
                    skipped.append((path, str(error)))
                continue
            found.append(one)
            if before is not None and _at_rest(before, now):
                # Changed while it was read: the next stamp will differ.
                known[entry.name] = (before, one)
        if strangers > MOST_STRANGERS:
            more = strangers - MOST_STRANGERS
            text = f"{more} more entries in it have no manifest either"
            skipped.append((self._directory, text))
        # Replaced whole: deleted entries are forgotten, and no other thread sees a
        # partial dictionary.
        self._known = known
        # Of the same commit, the checkpoint comes before its copies: the first of
        # equals is best.
        found.sort(key=lambda o: (o.sequence, o.created, o.is_copy, o.name))
        return found, skipped


def _stamp(directory: str) -> Stamp | None:
    """Return values that change with a manifest; None without one."""
    try:
        status = os.lstat(f"{directory}{os.sep}{MANIFEST}")
    except OSError:
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _at_rest(stamp: Stamp, now: int) -> bool:
    """Return whether a file was last changed long before it was read."""
    *_, modified, changed = stamp
    return max(modified, changed) < now - AT_REST_NS
