"""Temporary folders for what has no run directory on this machine, collected later.

A process that is killed removes nothing. So each folder has a lock that its process
holds as long as it lives, and the next process that makes one removes those that no
process holds.
"""

import atexit
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import filelock

PREFIX = "multiback-"
_LOCK = "in-use"
# A folder without its lock may be one that is just being made.
_YOUNG = 60.0
_held: dict[Path, filelock.BaseFileLock] = {}


def make_temporary() -> Path:
    """Make a folder of this process, and remove those that ended processes left."""
    _collect(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = filelock.FileLock(folder / _LOCK)
    lock.acquire()
    _held[folder] = lock
    atexit.register(_remove_at_exit, folder, os.getpid())
    content = folder / "content"
    content.mkdir()
    return content


def remove_temporary(content: Path) -> None:
    """Remove what `make_temporary` returned."""
    lock = _held.pop(content.parent, None)
    if lock is not None:
        lock.release()
    shutil.rmtree(content.parent, ignore_errors=True)


def _remove_at_exit(folder: Path, process: int) -> None:
    """Remove a folder, unless this is a fork of the process that made it."""
    if os.getpid() == process and folder in _held:
        remove_temporary(folder / "content")


def _collect(where: Path) -> None:
    """Remove the folders of this user that no process holds."""
    with suppress(OSError):
        for folder in where.glob(f"{PREFIX}*"):
            with suppress(OSError, filelock.Timeout):
                if folder not in _held and _is_left(folder):
                    lock = filelock.FileLock(folder / _LOCK)
                    with lock.acquire(blocking=False):
                        pass
                    shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Return whether a folder may be one that an ended process left."""
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    is_old = time.time() - found.st_mtime > _YOUNG
    return stat.S_ISDIR(found.st_mode) and mine and is_old and (folder / _LOCK).exists()
