"""Stream arrays into a safetensors file and back, hashing each byte once."""

import os
import sys
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from multiback.errors import ArgumentError, CorruptCheckpointError
from multiback.store.disk.files import Files, store_errors
from multiback.store.format.collector import no_collector
from multiback.store.format.payload import (
    PIECE,
    FileEntry,
    check_digest,
    open_expected,
    write_file,
)
from multiback.store.format.tensor_header import (
    LENGTH_BYTES,
    MAX_HEADER,
    TensorInfo,
    build_header,
    parse_header,
)

Array = np.ndarray[Any, np.dtype[Any]]


def check_tensors(
    tensors: Mapping[str, Array], labels: Mapping[str, str] | None = None
) -> None:
    """Raise for arrays that cannot be stored, before anything is written."""
    for name, array in tensors.items():
        if not isinstance(name, str):
            raise ArgumentError(
                f"tensors must have strings as keys, but has {name!r}. Name it."
            )
        if not isinstance(array, np.ndarray | np.generic):
            raise ArgumentError(
                f"tensors[{name!r}] must be a NumPy array, but is a "
                f"{type(array).__name__}. Copy it to the host with numpy.asarray."
            )
    with no_collector():
        build_header(_kinds(tensors), labels)


def write_tensors(
    files: Files,
    path: Path,
    tensors: Mapping[str, Array],
    labels: Mapping[str, str] | None = None,
) -> FileEntry:
    """Write arrays to a new safetensors file, without a second copy of the state."""
    with no_collector():
        head, order = build_header(_kinds(tensors), labels)
    chunks = _chunks(head, order, tensors)
    if sum(array.nbytes for array in tensors.values()) > _SHORT:
        return write_file(files, path, chunks)
    with no_collector():
        return write_file(files, path, chunks)


# Bytes that are written before the garbage collector is missed.
_SHORT = 2**26


def file_order(tensors: Mapping[str, Array]) -> list[str]:
    """Return the names in the order in which a file has them."""
    return build_header(_kinds(tensors))[1]


def _kinds(tensors: Mapping[str, Array]) -> dict[str, tuple[str, tuple[int, ...]]]:
    # NumPy makes the name of a dtype each time.
    names: dict[Any, str] = {}
    return {
        name: (
            names.get(array.dtype) or names.setdefault(array.dtype, array.dtype.name),
            array.shape,
        )
        for name, array in tensors.items()
    }


def _chunks(
    head: bytes, order: list[str], tensors: Mapping[str, Array]
) -> Iterator[bytes | memoryview]:
    """Yield the file's content; copy only arrays that are not contiguous."""
    yield head
    run: _Run | None = None
    for name in order:
        array = _plain(tensors[name])
        if run is not None and run.takes(array):
            continue
        if run is not None:
            yield run.content()
        run = _Run(array)
    if run is not None:
        yield run.content()


class _Run:
    """Consecutive arrays in one memory, such as a buffer's."""

    def __init__(self, first: Array) -> None:
        self._first = first
        self._start = _address(first)
        self._end = self._start + first.nbytes

    def takes(self, array: Array) -> bool:
        """Add an array if it begins where the last one ended, in the same memory."""
        if array.nbytes == 0:
            return True
        memory = array.base
        if (
            memory is not self._first.base
            or not isinstance(memory, np.ndarray)
            or not memory.flags.c_contiguous
            or _address(array) != self._end
        ):
            return False
        self._end += array.nbytes
        return True

    def content(self) -> memoryview:
        """Return all their bytes."""
        size = self._end - self._start
        if size == self._first.nbytes:
            return self._first.reshape(-1).view(np.uint8).data
        memory = np.asarray(self._first.base).reshape(-1).view(np.uint8)
        start = self._start - _address(memory)
        return memory[start : start + size].data


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _plain(array: Array) -> Array:
    """Return the array in C order and little-endian; copy only if it is not."""
    order = array.dtype.byteorder
    if order == ">" or (order == "=" and sys.byteorder == "big"):
        return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return np.asarray(array, order="C")


def read_tensors(path: Path, entry: FileEntry) -> dict[str, Array]:
    """Read all arrays in one pass that also computes the file's checksum."""
    with no_collector():
        return dict(stream_tensors(path, entry))


def stream_tensors(path: Path, entry: FileEntry) -> Iterator[tuple[str, Array]]:
    """Read one array after the other, each into fresh memory.

    Only after the last one is it known that all were right: the checksum is the
    whole file's.

    Raises:
        CorruptCheckpointError: The size, the header or the checksum is wrong. Sizes
            are checked before anything is allocated, so a hostile header costs no
            more memory than the file has bytes.
    """
    digest = xxhash.xxh3_128()
    descriptor = open_expected(path, entry)
    with (
        store_errors("read", path),
        os.fdopen(descriptor, "rb", buffering=0) as stream,
    ):
        try:
            raw, payload = _read_header(stream, entry.size, digest)
            for info in parse_header(raw, payload):
                yield info.name, _read_array(stream, info, digest)
        except ValueError as error:
            raise CorruptCheckpointError(
                f"{path} must be a whole safetensors file, but {error}. Load another "
                f"checkpoint, or restore this file from a copy."
            ) from error
    check_digest(path, entry, digest.hexdigest())


def _read_header(
    stream: FileIO, size: int, digest: xxhash.xxh3_128
) -> tuple[bytes, int]:
    """Read the header; return it and how many bytes of the file follow it."""
    rest = size - LENGTH_BYTES
    if rest < 0:
        raise ValueError(f"it has only {size} bytes")
    prefix = bytearray(LENGTH_BYTES)
    _fill(stream, memoryview(prefix), digest)
    length = int.from_bytes(prefix, "little")
    if length > min(rest, MAX_HEADER):
        raise ValueError(f"its header claims {length} bytes of {rest}")
    raw = bytearray(length)
    _fill(stream, memoryview(raw), digest)
    return bytes(raw), rest - length


def _read_array(stream: FileIO, info: TensorInfo, digest: xxhash.xxh3_128) -> Array:
    """Read one array into fresh memory. Impossible shapes raise `ValueError`."""
    dtype = info.dtype
    if sys.byteorder == "big" and dtype.itemsize > 1:
        dtype = dtype.newbyteorder("<")
    array: Array = np.empty(info.shape, dtype)
    _fill(stream, array.reshape(-1).view(np.uint8).data, digest)
    return array


def _fill(stream: FileIO, buffer: memoryview, digest: xxhash.xxh3_128) -> None:
    """Fill a buffer from a stream and hash it while it is in the cache."""
    start = 0
    while start < len(buffer):
        taken = stream.readinto(buffer[start : start + PIECE])
        if not taken:
            raise ValueError("it ended while it was read")
        digest.update(buffer[start : start + taken])
        start += taken
