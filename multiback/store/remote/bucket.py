"""Objects under one URL, through fsspec: list, read, write and delete whole ones.

The least that every object store can do. An object appears whole or not at all, a
listing shows what was written before it, and nothing is ever appended to, renamed or
locked. Each call may be repeated, so temporary failures are retried with growing
pauses; s3fs and similar packages also retry single requests.
"""

import atexit
import datetime as dt
import functools
import importlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import fsspec

from multiback.errors import (
    ArgumentError,
    MissingPackageError,
    MultibackError,
    StoreError,
)
from multiback.store.format.names import HIDDEN, without_secrets

ATTEMPTS = 6
FIRST_PAUSE = 0.2
# Seconds after which nothing is retried: some file systems take a minute to fail.
PATIENCE = 60.0
# Errors that a retry would repeat.
_PERMANENT = (FileNotFoundError, PermissionError, NotImplementedError, TypeError)
# The keys under which file systems report the time of the last write.
_TIMES = ("LastModified", "updated", "last_modified", "mtime", "created")

# The name of the threads of store/background/writer.py.
WRITER_THREAD = "multiback-writer"

T = TypeVar("T")

_with_secrets: dict[str, str] = {}


@dataclass(frozen=True)
class ObjectInfo:
    """An object's entry in a listing.

    Attributes:
        size: Bytes.
        modified: When it was written, in seconds since 1970; None if unknown.
        stamp: Differs where the object does.
    """

    size: int
    modified: float | None
    stamp: str


@dataclass(frozen=True)
class Upload:
    """An upload in parts that has not ended.

    Attributes:
        name: The object that it would make.
        key: What the store calls it.
        modified: When it began, in seconds since 1970; None if unknown.
    """

    name: str
    key: str
    modified: float | None


@runtime_checkable
class _KeepsUploads(Protocol):
    """s3fs's file system: S3 keeps the parts of an upload until it is aborted."""

    def call_s3(self, method: str, **arguments: Any) -> Any:
        """Call a method of S3."""

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        """Split a path into bucket, key and version."""


class Bucket:
    """The objects whose names begin with one URL.

    Args:
        url: As fsspec takes it, such as "s3://bucket/runs/tumour". Keys, endpoints
            and the like come from where each file system looks for them, or from
            fsspec's own configuration.

    Raises:
        ArgumentError: fsspec knows no such URL.
        MissingPackageError: The URL needs a package that is not installed.
        StoreError: A library that fsspec needs for it cannot be opened.

    Examples:
        >>> bucket = Bucket("memory://doctest")
        >>> bucket.write("a/b", b"123")
        >>> {name: info.size for name, info in bucket.list("a").items()}
        {'a/b': 3}
        >>> bucket.delete(["a/b"])
    """

    def __init__(self, url: str) -> None:
        _outlive_pending_saves()
        given = url.rstrip("/")
        self.url = url = without_secrets(given)
        if given != self.url:
            # Only in this process, so that `location` can be opened.
            _with_secrets.setdefault(self.url, given)
        given = next(
            (
                secret + given.removeprefix(public)
                for public, secret in _with_secrets.items()
                if f"{given}/".startswith(f"{public}/")
            ),
            given,
        )
        if f"://{HIDDEN}@" in given:
            raise ArgumentError(
                f"{given} must have the user and the password that are hidden in it: "
                f"they are never stored. Give the URL with them, or without."
            )
        try:
            # A cached listing would hide what other machines write.
            self._fs, self._root = fsspec.core.url_to_fs(
                given, use_listings_cache=False
            )
        except ImportError as error:
            raise MissingPackageError(
                f"{url} needs a package that is not installed: "
                f"{without_secrets(str(error))}. For s3:// run "
                f'pip install "multiback[s3]", for gs:// pip install '
                f'"multiback[gs]".'
            ) from error
        except ValueError as error:
            raise ArgumentError(
                f"{url!r} must be a URL that fsspec knows, such as s3://bucket/run, "
                f"but: {without_secrets(str(error))}."
            ) from error
        except OSError as error:  # Such as of a library that fsspec wants for it.
            raise StoreError(
                f"{url} cannot be opened: {without_secrets(str(error)):.300}. Mend it, "
                "or use another place."
            ) from error

    def url_of(self, name: str) -> str:
        """Return an object's URL."""
        return f"{self.url}/{name}"

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def list(self, folder: str) -> dict[str, ObjectInfo]:
        """List the objects below a folder, by name."""
        root = self._path("").lstrip("/")

        def call() -> dict[str, Any]:
            self._fs.invalidate_cache()
            found: dict[str, Any] = self._fs.find(self._path(folder), detail=True)
            return found

        try:
            listed = self._try("list", folder, call, absent=True)
        except FileNotFoundError:
            return {}
        return {
            path.lstrip("/").removeprefix(root): _info(info)
            for path, info in listed.items()
            if path.lstrip("/").startswith(root)
        }

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read small objects at once; skip missing ones."""
        paths = {self._path(name): name for name in names}

        def call() -> dict[str, bytes]:
            read = self._fs.cat(list(paths), on_error="return") if paths else {}
            for error in read.values():
                gone = isinstance(error, FileNotFoundError)
                if isinstance(error, Exception) and not gone:
                    raise error
            return {
                paths[path]: bytes(content)
                for path, content in read.items()
                if not isinstance(content, Exception)
            }

        return self._try("read", names[0] if names else "", call)

    def write(self, name: str, content: bytes) -> None:
        """Write a small object."""
        self._try("write", name, lambda: self._fs.pipe_file(self._path(name), content))

    def upload(self, source: Path, name: str) -> None:
        """Write an object from a file."""
        self._try(
            f"upload {source.stat().st_size} bytes to",
            name,
            lambda: self._fs.put_file(str(source), self._path(name)),
        )

    def download(self, name: str, target: Path) -> None:
        """Read an object into a file, or raise FileNotFoundError."""
        self._try(
            "download",
            name,
            lambda: self._fs.get_file(self._path(name), str(target)),
            absent=True,
        )

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, in this order; missing ones are not errors."""
        for name in names:
            call = functools.partial(self._fs.rm_file, self._path(name))
            with suppress(FileNotFoundError):
                self._try("delete", name, call, absent=True)

    def uploads(self) -> Sequence[Upload]:
        """List the uploads in parts that have not ended; raise if that is unknown."""
        if not isinstance(self._fs, _KeepsUploads):
            return []  # Other stores drop them after some days.
        bucket, prefix, _ = self._fs.split_path(self._path(""))
        found: list[Upload] = []
        asked: dict[str, str] = {"Bucket": bucket, "Prefix": prefix}
        while True:
            try:
                page = self._fs.call_s3("list_multipart_uploads", **asked)
            except Exception as error:
                raise self._failed("list the uploads to", "", 1, error) from error
            for one in page.get("Uploads", []):
                name = one["Key"].removeprefix(prefix)
                began = one.get("Initiated")
                modified = began.timestamp() if began else None
                found.append(Upload(name, one["UploadId"], modified))
            if not page.get("IsTruncated"):
                return found
            asked["KeyMarker"] = page["NextKeyMarker"]
            asked["UploadIdMarker"] = page["NextUploadIdMarker"]

    def abort(self, upload: Upload) -> None:
        """Drop an upload's parts; one that ended is not an error."""
        bucket, key, _ = self._fs.split_path(self._path(upload.name))
        asked = {"Bucket": bucket, "Key": key, "UploadId": upload.key}
        call = functools.partial(self._fs.call_s3, "abort_multipart_upload", **asked)
        with suppress(FileNotFoundError):
            self._try("abort an upload to", upload.name, call, absent=True)

    def _try(
        self, doing: str, name: str, call: Callable[[], T], *, absent: bool = False
    ) -> T:
        """Retry with backoff until the deadline.

        What is absent may be an answer, as for a download; for an upload it is the
        bucket that is missing.
        """
        pause, end = FIRST_PAUSE, time.monotonic() + PATIENCE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return call()
            except MultibackError:
                raise
            except Exception as error:
                if absent and isinstance(error, FileNotFoundError):
                    raise
                over = attempt == ATTEMPTS or time.monotonic() > end
                if over or isinstance(error, _PERMANENT):
                    raise self._failed(doing, name, attempt, error) from error
            # Jitter, so that clients do not retry together.
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause *= 2
        raise AssertionError

    def _failed(
        self, doing: str, name: str, attempts: int, error: Exception
    ) -> StoreError:
        tried = "" if attempts == 1 else f" ({attempts} attempts)"
        raised = StoreError(
            f"could not {doing} {self.url_of(name)}{tried}: "
            f"{without_secrets(str(error) or repr(error))}. "
            f"Committed checkpoints are untouched; check the connection, the rights "
            f"and the bucket, then try again."
        )
        raised.errno = getattr(error, "errno", None)
        return raised


@functools.cache
def _outlive_pending_saves() -> None:
    """Let a pending save finish before Python shuts down what uploads it.

    Python joins the thread that writes when it exits, but before that it closes the
    executor in which asyncio looks up host names. The callback here runs before that,
    and there is no public way to register one.
    """
    register = getattr(threading, "_register_atexit", None)
    if register is None:
        atexit.register(_join_writers)
        return
    importlib.import_module("concurrent.futures.thread")
    register(_join_writers)


def _join_writers() -> None:
    for thread in threading.enumerate():
        if thread.name == WRITER_THREAD:
            thread.join()
    for call in _at_exit:
        call()


_at_exit: list[Callable[[], object]] = []


def at_exit(call: Callable[[], object]) -> None:
    """Call something when Python exits, while the connection can still be used."""
    if call not in _at_exit:
        _at_exit.append(call)


def _info(info: dict[str, Any]) -> ObjectInfo:
    """Read one entry of a listing, which each file system writes in its own way."""
    modified: Any = next((info[key] for key in _TIMES if info.get(key)), None)
    if isinstance(modified, str):
        modified = dt.datetime.fromisoformat(modified)
    if isinstance(modified, dt.datetime):
        modified = modified.timestamp()
    stamp = repr(sorted((key, str(value)) for key, value in info.items()))
    size = info.get("size")
    return ObjectInfo(-1 if size is None else int(size), modified, stamp)
