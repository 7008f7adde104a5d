"""Open what a path or a URL means: here or remote, the same methods.

fsspec is imported where a URL is opened, and not before.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from multiback.errors import ArgumentError, NoCheckpointError
from multiback.store import checkpoint as local
from multiback.store.checkpoint import Checkpoint
from multiback.store.format.names import without_secrets
from multiback.store.local.run_directory import RunDirectory
from multiback.store.owner import CLAIM_TIMEOUT
from multiback.store.runs import Runs

Place = str | os.PathLike[str]


def is_remote(place: object) -> bool:
    """Return whether a path is a URL of another machine, or of memory.

    >>> is_remote("s3://bucket/run"), is_remote("runs/a"), is_remote("file:///runs/a")
    (True, False, False)
    """
    return isinstance(place, str) and "://" in place and not _is_file(place)


def _is_file(place: str) -> bool:
    return place.startswith(("file://", "local://"))


def _path(place: Place) -> Place:
    """Return the path of a file URL."""
    if isinstance(place, str) and _is_file(place):
        return url2pathname(urlsplit(place).path)
    return place


def open_run_directory(place: Place, *, claim_timeout: float = CLAIM_TIMEOUT) -> Runs:
    """Open a run directory by its path or its URL; nothing is read or made yet.

    Args:
        place: A path, or a URL that fsspec knows, such as "s3://bucket/runs/tumour".
        claim_timeout: At a URL, or on a mount without file locks: seconds after which
            a run whose claim its writer has not renewed is taken over.

    Raises:
        ArgumentError: fsspec knows no such URL.
        MissingPackageError: The URL needs a package that is not installed.

    >>> open_run_directory("memory://bucket/run/").location
    'memory://bucket/run'
    """
    if not is_remote(place):
        return RunDirectory(_path(place), claim_timeout=claim_timeout)
    from multiback.store.remote.run_directory import RemoteRunDirectory  # noqa: PLC0415 - see above

    return RemoteRunDirectory(str(place), claim_timeout=claim_timeout)


def open_checkpoint(path: Place) -> Checkpoint:
    """Read the manifest of one checkpoint, local or remote.

    Args:
        path: The checkpoint's directory, or a link to it such as `best`; or the URL
            of a checkpoint in a run directory.

    Raises:
        ArgumentError: `path` is not a path.
        NoCheckpointError: There is no manifest.
        CorruptCheckpointError: The manifest cannot be trusted.
    """
    if not is_remote(path):
        return local.open_checkpoint(_path(path))
    shown = without_secrets(str(path)).rstrip("/")
    run, folder, name = [*str(path).rstrip("/").rsplit("/", 2), "", ""][:3]
    if folder != "checkpoints":
        raise ArgumentError(
            f"path must be the URL of a checkpoint, RUN/checkpoints/NAME, but is "
            f"{shown!r}."
        )
    runs = open_run_directory(run)
    for one in runs.checkpoints():
        if one.name == name:
            return one
    why = [f" {reason}." for place, reason in runs.skipped if place == shown]
    raise NoCheckpointError(
        f"{shown} must be a committed checkpoint, but is not.{''.join(why)} "
        f"`multiback ls {runs.location}` lists those that are."
    )


def is_run_directory(place: Place) -> bool:
    """Return whether a path or URL is a run directory, not a checkpoint in one."""
    if not is_remote(place):
        return Path(_path(place), "checkpoints").is_dir()
    from multiback.store.remote.bucket import Bucket  # noqa: PLC0415 - as above

    return bool(Bucket(str(place)).list("checkpoints"))
