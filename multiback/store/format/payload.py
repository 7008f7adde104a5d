"""Write and read whole files with their checksums, in bounded memory.

The checksum is computed while the bytes are copied, never in a second pass. xxh3 runs
well above any disk's speed; it finds damage, it does not stop a forger.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from multiback.errors import CorruptCheckpointError
from multiback.store.disk.files import Files, closing, open_regular, store_errors

PIECE = 4 << 20

# Each call that releases the GIL waits up to 5 ms to get it back from a thread that
# runs Python; so use few calls with many bytes. Each still takes far less than a
# second, for Ctrl-C, and fewer bytes than any system's limit for one call (2 GiB).
_WRITTEN_AT_ONCE = 64 << 20
_GATHERED = 1 << 20

# Called with the number of bytes that were read since the last call.
Progress = Callable[[int], object]


@dataclass(frozen=True)
class FileEntry:
    """A file's size in bytes and its xxh3_128 checksum in hexadecimal.

    Examples:
        >>> FileEntry.of(b"abc").size
        3
    """

    size: int
    xxh3: str

    @classmethod
    def of(cls, content: bytes) -> "FileEntry":
        """Describe a content in memory."""
        return cls(len(content), xxhash.xxh3_128_hexdigest(content))


def write_file(
    files: Files, path: Path, chunks: Iterable[bytes | memoryview]
) -> FileEntry:
    """Create a file from chunks, wait until it is on the disk, describe it."""
    digest = xxhash.xxh3_128()
    size = 0
    with store_errors("create", path):
        descriptor = files.create(path)
    with closing(files, descriptor, path):
        for piece in _pieces(chunks):
            digest.update(piece)
            write_all(files, descriptor, piece, path=path, position=size)
            size += len(piece)
        with store_errors(f"fsync {size} bytes of", path):
            files.sync(descriptor)
    return FileEntry(size, digest.hexdigest())


def _pieces(chunks: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """Put small chunks together and cut large ones."""
    small: list[bytes | memoryview] = []
    gathered = 0
    for chunk in chunks:
        is_small = len(chunk) < _GATHERED
        if is_small:
            small.append(chunk)
            gathered += len(chunk)
        if small and (not is_small or gathered >= _GATHERED):
            yield memoryview(b"".join(small))
            small, gathered = [], 0
        if not is_small:
            view = memoryview(chunk)
            for start in range(0, len(view), _WRITTEN_AT_ONCE):
                yield view[start : start + _WRITTEN_AT_ONCE]
    if gathered:
        yield memoryview(b"".join(small))


def write_all(
    files: Files, descriptor: int, data: memoryview, *, path: Path, position: int
) -> None:
    """Write all of `data` in as many calls as needed."""
    doing = f"write {len(data)} bytes at position {position} of"
    with store_errors(doing, path):
        while len(data):
            data = data[files.write(descriptor, data) :]


def copied(source: Path) -> Iterator[bytes]:
    """Yield another file's content in pieces."""
    with store_errors("read the extra file", source), source.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def open_expected(path: Path, entry: FileEntry) -> int:
    """Open a file whose size must be as its manifest says."""
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise CorruptCheckpointError(
            f"{path} must be a regular file of {entry.size} bytes, but cannot be "
            f"opened: {error.strerror or error}. Load another checkpoint, or restore "
            f"this file from a copy."
        ) from error
    size = os.fstat(descriptor).st_size
    if size != entry.size:
        os.close(descriptor)
        raise CorruptCheckpointError(
            f"{path} must have {entry.size} bytes, but has {size}. Load another "
            f"checkpoint, or restore this file from a copy."
        )
    return descriptor


def check_digest(path: Path, entry: FileEntry, came: str) -> None:
    """Compare a file's checksum with its manifest's."""
    if came != entry.xxh3:
        raise CorruptCheckpointError(
            f"{path} must have the xxh3 checksum {entry.xxh3}, but has {came}: its "
            f"content changed after it was written. Load another checkpoint, or "
            f"restore this file from a copy."
        )


def verify_file(path: Path, entry: FileEntry, progress: Progress | None = None) -> None:
    """Read a file once, in pieces, and compare it with its entry."""
    digest = xxhash.xxh3_128()
    descriptor = open_expected(path, entry)
    with (
        store_errors("read", path),
        os.fdopen(descriptor, "rb", buffering=0) as stream,
    ):
        buffer = memoryview(bytearray(min(PIECE, max(entry.size, 1))))
        while taken := stream.readinto(buffer):
            digest.update(buffer[:taken])
            if progress is not None:
                progress(taken)
    check_digest(path, entry, digest.hexdigest())


def read_file(path: Path, entry: FileEntry) -> bytes:
    """Read a whole file and return its content after comparing it."""
    descriptor = open_expected(path, entry)
    with store_errors("read", path), os.fdopen(descriptor, "rb") as stream:
        # Read one byte more than expected, to notice growth, and nothing else.
        content = stream.read(entry.size + 1)
    check_digest(path, entry, xxhash.xxh3_128_hexdigest(content))
    return content
