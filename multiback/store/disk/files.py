"""The only place where the store changes a file system.

Each method is one call to the operating system and nothing more, so that a test
can stand between any two of them: fail one, record them all, or stop the process.
Checks, retries and error texts live with the callers.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multiback.errors import MultibackError, StoreError

_BINARY = getattr(os, "O_BINARY", 0)
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_NO_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}


class Files:
    """Change files and directories, one system call a method.

    Subclass it to inject faults or to record; every method may raise `OSError`.
    """

    def make_directory(self, path: Path) -> None:
        """Create one directory whose parent exists."""
        path.mkdir()

    def create(self, path: Path) -> int:
        """Create a file that does not exist and open it for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)

    def open_append(self, path: Path) -> int:
        """Open a file so that every write lands at its end, whoever writes."""
        # No link: in a directory by others it may lead to any file of this user.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _BINARY
        flags |= getattr(os, "O_NOFOLLOW", 0)
        return os.open(path, flags, 0o666)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of `data` and return how many bytes were taken."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until a file's content is on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor; network file systems report late failures here."""
        os.close(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Wait until a directory's entries are on the disk."""
        if os.name == "nt":
            return  # Windows opens no directories; its renames are journalled.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory a name that is free."""
        source.rename(target)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file a name, taking it from whatever file bears it."""
        source.replace(target)

    def symlink(self, target: str, path: Path) -> None:
        """Create a symbolic link to a directory."""
        path.symlink_to(target, target_is_directory=True)

    def unlink(self, path: Path) -> None:
        """Delete a file or a link."""
        path.unlink()

    def remove_directory(self, path: Path) -> None:
        """Delete an empty directory."""
        path.rmdir()


@contextmanager
def store_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StoreError` that says what was done to which path.

    >>> from pathlib import Path
    >>> with store_errors("open", Path("/no/such/file")):
    ...     open("/no/such/file")
    Traceback (most recent call last):
    ...
    multiback.errors.StoreError: could not open /no/such/file: No such file ...
    """
    try:
        yield
    except MultibackError:
        raise
    except OSError as error:
        cause = error.strerror or str(error)
        raised = StoreError(
            f"could not {doing} {path}: {cause}. {_advice(error.errno)}"
        )
        # Kept so that a caller can tell a full disk from a missing right.
        raised.errno = error.errno
        raise raised from error


@contextmanager
def closing(files: Files, descriptor: int, path: Path) -> Iterator[None]:
    """Close a written file in the end; of two failures the first is raised."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            files.close(descriptor)
        raise
    with store_errors("close", path):
        files.close(descriptor)


def _advice(code: int | None) -> str:
    """Say what a person can do about an operating system's error."""
    if code in _NO_SPACE:
        return "Free some space on that disk; committed checkpoints are untouched."
    if code in _NO_RIGHTS:
        return "Check the permissions there, or choose another directory."
    return "Committed checkpoints are untouched; check that disk, then try again."


def open_regular(path: Path) -> int:
    """Open a regular file for reading; refuse links, pipes and devices.

    A link in a checkpoint could lead a reader anywhere, and opening a pipe would
    block for ever, hence the flags and the second look at what was opened.
    """
    flags = os.O_RDONLY | _BINARY
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link", str(path))
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            error.strerror = "it is a symbolic link"
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def make_directories(files: Files, path: Path) -> None:
    """Create `path` and its missing parents, durably."""
    if path.is_dir():
        return
    if path.parent != path:
        make_directories(files, path.parent)
    with store_errors("create the directory", path):
        try:
            files.make_directory(path)
        except FileExistsError:
            # Another run was quicker, or a file stands in the way.
            if not path.is_dir():
                raise
        files.sync_directory(path.parent)


def delete_tree(files: Files, path: Path) -> None:
    """Delete a file, a link or a directory with all it holds; follow no link.

    Two processes may delete the same: what is gone already is no error.
    """
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            files.unlink(path)
            return
        for child in sorted(path.iterdir()):
            delete_tree(files, child)
        files.remove_directory(path)
