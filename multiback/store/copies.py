"""Recognise the copies that users make of a checkpoint."""

import os
from collections.abc import Iterable

from multiback.store.checkpoint import Checkpoint
from multiback.store.format.manifest import MANIFEST


def without_copies(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Drop directories that a user copied or renamed: never candidates, never deleted.

    A checkpoint whose name is not the one in its manifest was copied or renamed. Old
    manifests have no name: there, of several directories with the same commit, the one
    whose manifest's inode is the oldest is kept, because no copy keeps that time.
    """
    found = [one for one in checkpoints if not one.is_copy]
    oldest: dict[tuple[str, int, float], Checkpoint] = {}
    for one in sorted(found, key=_changed):
        oldest.setdefault((one.run_id, one.sequence, one.created), one)
    kept = {one.path for one in oldest.values()}
    return [one for one in found if one.path in kept]


def _changed(checkpoint: Checkpoint) -> tuple[int, str]:
    """Return when the manifest's inode was last changed, which is when it was made."""
    try:
        return os.lstat(checkpoint.path / MANIFEST).st_ctime_ns, checkpoint.name
    except OSError:
        # Removed since it was listed.
        return 0, checkpoint.name
