"""The only place where the store changes a file system.

Each method is one call to the operating system and nothing more, so that a test
can stand between any two of them: fail one, record them all, or stop the process.
Checks, retries and error texts live with the callers.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multiback.errors import MultibackError, NoDirectorySyncWarning, StoreError
from multiback.warn import warn

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
        """Open a file so that every write of any process is appended."""
        # No link: in a shared directory it may lead to any file of this user.
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
        """Give a file a name, replacing any file of that name."""
        source.replace(target)

    def symlink(self, target: str, path: Path) -> None:
        """Create a symbolic link to a directory."""
        path.symlink_to(target, target_is_directory=True)

    def unlink(self, path: Path, within: int | None = None) -> None:
        """Delete a file or a link; `within` is its parent's descriptor, if known."""
        os.unlink(path if within is None else path.name, dir_fd=within)

    def remove_directory(self, path: Path, within: int | None = None) -> None:
        """Delete an empty directory; `within` as for `unlink`."""
        os.rmdir(path if within is None else path.name, dir_fd=within)


@contextmanager
def store_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StoreError` with the action and the path.

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
    except (OSError, MemoryError) as error:
        raise as_store_error(error, path, doing) from error


def as_store_error(
    error: OSError | MemoryError, path: object, doing: str = "save into"
) -> StoreError:
    """Return an error that names the action, the path and the reason."""
    if isinstance(error, StoreError):
        return error
    code = error.errno if isinstance(error, OSError) else errno.ENOMEM
    cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
    raised = StoreError(
        f"could not {doing} {path}: {cause or 'not enough memory'}. {_advice(code)}"
    )
    # Kept so that a caller can distinguish a full disk from a missing permission.
    raised.errno = code
    raised.__cause__ = error
    return raised


def sync_directory(files: Files, path: Path) -> None:
    """Wait until a directory's entries are on the disk, where a mount can do that."""
    with store_errors("fsync the directory", path):
        try:
            files.sync_directory(path)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
            # Each checkpoint has a directory of its own: once a mount.
            mount = path.stat().st_dev
            if mount not in _told:
                _told.add(mount)
                warn(
                    f"{path!s:.60} is on a mount that cannot fsync directories: after "
                    f"a power cut the newest checkpoint may be missing; older ones "
                    f"stay.",
                    NoDirectorySyncWarning,
                )


_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_told: set[int] = set()


@contextmanager
def closing(files: Files, descriptor: int, path: Path) -> Iterator[None]:
    """Close a written file at the end; of two errors the first is raised."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            files.close(descriptor)
        raise
    with store_errors("close", path):
        files.close(descriptor)


def _advice(code: int | None) -> str:
    """Return advice for an operating system's error."""
    if code in _NO_SPACE:
        return "Free some space on that disk; committed checkpoints are untouched."
    if code in _NO_RIGHTS:
        return "Check the permissions there, or choose another directory."
    if code in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open: close some, or raise `ulimit -n`."
    if code == errno.ENAMETOOLONG:
        return "Choose a shorter dirpath or filename."
    if code == errno.ENOMEM:
        return "Free some memory; committed checkpoints are untouched."
    return "Committed checkpoints are untouched; check that disk, then try again."


def open_regular(path: Path) -> int:
    """Open a regular file for reading; refuse links, pipes and devices.

    A link in a checkpoint could lead a reader anywhere, and opening a pipe would block
    for ever, hence the flags and the check of the open file.
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
    with store_errors("look at", path):
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
    sync_directory(files, path.parent)


# Whether a directory can be opened and changed by its descriptor: not on Windows.
_BY_DESCRIPTOR = {os.open, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# A run directory has three levels. Each takes a descriptor, and processes may have few.
_DEEPEST = 50


def delete_tree(files: Files, path: Path) -> None:
    """Delete a file, a link or a directory and its content; follow no link.

    Descriptors are used where the system has them: a folder that is replaced by a link
    during the deletion leads nowhere. Two processes may delete the same path: a missing
    file is not an error.
    """
    if not _BY_DESCRIPTOR:
        _delete_by_path(files, path)
        return
    with suppress(FileNotFoundError):
        parent = os.open(path.parent, _FOLDER)
        try:
            # Deeper folders are moved up to here and deleted one after the other.
            waiting = [path]
            while waiting:
                _delete_within(
                    files, waiting.pop(), parent, top=parent, waiting=waiting
                )
        finally:
            os.close(parent)


def _delete_within(
    files: Files,
    path: Path,
    parent: int,
    *,
    top: int,
    waiting: list[Path],
    depth: int = 0,
) -> None:
    """Delete one entry of an open directory."""
    with suppress(FileNotFoundError):
        try:
            folder = os.open(path.name, _FOLDER, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
                raise
            files.unlink(path, parent)
            return
        try:
            for name in sorted(os.listdir(folder)):  # noqa: PTH208 - as above
                if depth < _DEEPEST:
                    _delete_within(
                        files,
                        path / name,
                        folder,
                        top=top,
                        waiting=waiting,
                        depth=depth + 1,
                    )
                    continue
                up = path.parents[depth] / f".del-{secrets.token_hex(8)}"
                os.rename(name, up.name, src_dir_fd=folder, dst_dir_fd=top)
                waiting.append(up)
        finally:
            os.close(folder)
        files.remove_directory(path, parent)


def _delete_by_path(files: Files, path: Path) -> None:
    """Delete without descriptors; check the path before each removal."""
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            files.unlink(path)
            return
        for child in sorted(path.iterdir()):
            _delete_by_path(files, child)
        files.remove_directory(path)
