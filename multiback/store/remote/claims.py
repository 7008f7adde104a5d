"""Reserve unique checkpoint names on object stores, which have no locks.

A writer claims a name before it uploads anything under it: it writes an object of its
own there and lists the folder. A writer that sees another's object chooses another
name; of two writers at least the later one does. A claim without a manifest is a dead
writer's leftover, once its run starts again or a day has passed.
"""

import os
import secrets
import socket
import time
from contextlib import suppress

from multiback.store.format.jsontext import dump, load
from multiback.store.format.manifest import MANIFEST
from multiback.store.format.names import free_name
from multiback.store.remote.bucket import Bucket, Upload
from multiback.store.remote.mirror import CHECKPOINTS, Objects
from multiback.store.request import Request

_CLAIM = ".tmp-"
# Run, host and process; an object by others can have any size.
_MAX_CLAIM = 1 << 20
# Longer than uploading one file may take, and than clocks may differ.
GARBAGE_AFTER = 24 * 3600.0


def claim(bucket: Bucket, request: Request, taken: set[str]) -> tuple[str, str]:
    """Find a name that no other writer has, and the object that claims it.

    To be deleted once there is a manifest. Names that are found to be taken are added.
    """
    owner = {
        "run_id": request.run_id,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "time": time.time(),
    }
    while True:
        name = free_name(request.name, frozenset(taken))
        folder = f"{CHECKPOINTS}/{name}"
        mark = f"{folder}/{_CLAIM}{secrets.token_hex(8)}"
        bucket.write(mark, dump(owner, argument="owner"))
        if set(bucket.list(folder)) == {mark}:
            return name, mark
        bucket.delete([mark])
        taken.add(name)


def abandoned(bucket: Bucket, objects: Objects, run_id: str | None) -> list[str]:
    """Return the names of dead writers' objects: a day old, or of one run.

    No process writes that run, because it is about to start.
    """
    unfinished = {n: files for n, files in objects.items() if MANIFEST not in files}
    own = _folders_of(bucket, objects, run_id) if run_id else set()
    return [
        f"{CHECKPOINTS}/{name}/{file_name}"
        for name, files in unfinished.items()
        if name in own or all(is_old(info.modified) for info in files.values())
        for file_name in files
    ]


def abandoned_uploads(
    bucket: Bucket, objects: Objects, run_id: str | None
) -> list[Upload]:
    """Return dead writers' uploads in parts, as `abandoned` does objects."""
    own = _folders_of(bucket, objects, run_id) if run_id else set()
    folders = tuple(f"{CHECKPOINTS}/{name}/" for name in own)
    return [
        one
        for one in bucket.uploads()
        if is_old(one.modified) or one.name.startswith(folders)
    ]


def _folders_of(bucket: Bucket, objects: Objects, run_id: str) -> set[str]:
    """Return the names that a run claimed and did not commit.

    The run is starting, so no other process writes it.
    """
    marks = [
        f"{CHECKPOINTS}/{name}/{file_name}"
        for name, files in objects.items()
        if MANIFEST not in files
        for file_name, info in files.items()
        if file_name.startswith(_CLAIM) and info.size <= _MAX_CLAIM
    ]
    own = set()
    for mark, content in bucket.read(marks).items():
        with suppress(ValueError):
            owner = load(content)
            if isinstance(owner, dict) and owner.get("run_id") == run_id:
                own.add(mark.split("/")[1])
    return own


def is_old(modified: float | None) -> bool:
    """Return whether the writer of an object must be dead by now."""
    return modified is not None and modified < time.time() - GARBAGE_AFTER
