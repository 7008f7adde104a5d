"""Checksums of the blocks of a file, to verify a part of it alone.

The manifest has one checksum for each file, which takes the whole file to compare. A
process that needs a part of a state reads a part of its files, and compares the blocks
that this part touches. Their checksums are in `state-blocks.json`, a file of the
checkpoint like any other: the manifest has its checksum, and `verify` reads all.
"""

import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import xxhash

from multiback.errors import CorruptCheckpointError
from multiback.store.disk.files import open_regular, store_errors
from multiback.store.format.payload import PIECE, FileEntry, open_expected, verify_file

BLOCKS = "state-blocks"
# A small read costs about this much; the checksums of a gigabyte are 64 kB.
BLOCK = 256 << 10
_DIGITS = 16


def digests_of(path: Path) -> tuple[FileEntry, str]:
    """Read a file once; return its size and checksum, and all blocks' checksums."""
    digest = xxhash.xxh3_128()
    blocks: list[str] = []
    size = 0
    with (
        store_errors("read", path),
        os.fdopen(open_regular(path), "rb", buffering=0) as stream,
    ):
        buffer = memoryview(bytearray(PIECE))
        while taken := _fill(stream, buffer):
            digest.update(buffer[:taken])
            blocks += _block_digests(buffer[:taken])
            size += taken
    return FileEntry(size, digest.hexdigest()), "".join(blocks)


def _block_digests(data: memoryview) -> list[str]:
    return [
        xxhash.xxh3_64_hexdigest(data[begin : begin + BLOCK])
        for begin in range(0, len(data), BLOCK)
    ]


def blocks_document(blocks: Mapping[str, str]) -> dict[str, Any]:
    """Return what `state-blocks.json` holds of the checksums by path in the folder."""
    return {"block": BLOCK, "files": dict(blocks)}


class PartReader:
    """Read ranges of the files of a state's folder, each verified.

    The document is the content of `state-blocks.json`; without it each file that is
    read is verified whole.
    """

    def __init__(
        self, folder: Path, files: Mapping[str, FileEntry], document: Any
    ) -> None:
        self.folder = folder
        self.files = files
        self._blocks = None if document is None else _blocks_of(folder, document)
        self._verified: set[tuple[str, int]] = set()
        self._whole: set[str] = set()

    def check(self, name: str, begin: int, end: int) -> None:
        """Verify the bytes of a range, and the rest of the blocks that it touches."""
        while begin < end:
            stop = min(end, begin + PIECE)
            numbers = range(begin // BLOCK, -(-stop // BLOCK))
            if not all((name, one) in self._verified for one in numbers):
                self.read(name, begin, stop)
                self._verified |= {(name, one) for one in numbers}
            begin = stop

    def read(self, name: str, begin: int, end: int) -> memoryview:
        """Read a range of a file, verified; an invalid range is a ValueError."""
        path = self.folder / name
        if name not in self.files or not 0 <= begin <= end <= self.files[name].size:
            raise ValueError(f"there are no bytes {begin} to {end} of {name!r:.200}")
        entry = self.files[name]
        first = begin - begin % BLOCK
        last = min(entry.size, end + -end % BLOCK)
        if self._blocks is None:
            if name not in self._whole:
                verify_file(path, entry)
                self._whole.add(name)
            first, last = begin, end
        found = _range(path, entry, first, last)
        if self._blocks is not None:
            self._compare(path, name, first, found)
        return found[begin - first : end - first]

    def _compare(self, path: Path, name: str, first: int, data: memoryview) -> None:
        known = (self._blocks or {}).get(name, "")
        at = first // BLOCK * _DIGITS
        came = "".join(_block_digests(data))
        if known[at : at + len(came)] != came:
            raise CorruptCheckpointError(
                f"{path} must have from byte {first} on what was written there, but "
                f"its content changed after that. Load another checkpoint, or restore "
                f"this file from a copy."
            )


def _blocks_of(folder: Path, document: Any) -> dict[str, str]:
    """Return the checksums of each file, if the document is valid."""
    files = document.get("files") if isinstance(document, dict) else None
    if (
        not isinstance(files, dict)
        or document.get("block") != BLOCK
        or not all(isinstance(one, str) for one in files.values())
    ):
        raise CorruptCheckpointError(
            f"{folder.parent / BLOCKS}.json must hold checksums of blocks of {BLOCK} "
            f"bytes, but holds something else. Load another checkpoint."
        )
    return files


def _range(path: Path, entry: FileEntry, begin: int, end: int) -> memoryview:
    """Read a range of a file whose size is as it must be."""
    descriptor = open_expected(path, entry)
    buffer = memoryview(bytearray(end - begin))
    with (
        store_errors("read", path),
        os.fdopen(descriptor, "rb", buffering=0) as stream,
    ):
        stream.seek(begin)
        if _fill(stream, buffer) < len(buffer):
            raise ValueError(f"{path} ended while it was read")
    return buffer


def _fill(stream: FileIO, buffer: memoryview) -> int:
    """Fill a buffer, unless the file ends before; return how many bytes there are."""
    taken = 0
    while taken < len(buffer) and (count := stream.readinto(buffer[taken:])):
        taken += count
    return taken
