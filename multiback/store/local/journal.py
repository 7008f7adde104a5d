"""Append-only files of one JSON object a line.

A process may die, or a disk fill up, in the middle of a line. The next append starts on
a fresh line and readers skip lines that do not parse, so one torn line costs one
record.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from multiback.errors import StoreError
from multiback.store.disk.files import (
    Files,
    closing,
    open_regular,
    store_errors,
    sync_directory,
)
from multiback.store.format.jsontext import dump, load
from multiback.store.format.payload import write_all

# Far above real use; a foreign file can claim any size.
MAX_JOURNAL = 256 << 20
MAX_LINE = 16 << 20


def append_line(
    files: Files, path: Path, record: Mapping[str, Any], *, argument: str
) -> None:
    """Append one record and wait until it is on the disk."""
    line = line_of(record, argument=argument)
    is_new = not path.exists()
    with store_errors("open", path):
        descriptor = files.open_append(path)
    with closing(files, descriptor, path):
        with store_errors("append to", path):
            position = os.lseek(descriptor, 0, os.SEEK_END)
            if position and _last_byte(descriptor, position) != b"\n":
                line = b"\n" + line
        write_all(files, descriptor, memoryview(line), path=path, position=position)
        with store_errors("fsync", path):
            files.sync(descriptor)
    if is_new:
        sync_directory(files, path.parent)


def line_of(record: Mapping[str, Any], *, argument: str) -> bytes:
    """Return a record's line; refuse one that no reader would take."""
    line = dump(record, argument=argument) + b"\n"
    if len(line) > MAX_LINE:
        raise StoreError(
            f"{argument} wants at most {MAX_LINE} bytes, not {len(line)}: it could not "
            f"be read back. Leave some out."
        )
    return line


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records, oldest first, without torn and invalid lines.

    A link, a pipe, or what is larger than any journal raises.
    """
    try:
        with store_errors("read", path):
            descriptor = open_regular(path)
    except OSError:
        if not os.path.lexists(path):
            return []
        raise
    with (
        store_errors("read", path),
        os.fdopen(descriptor, "rb", buffering=1 << 16) as stream,
    ):
        size = os.fstat(descriptor).st_size
        if size > MAX_JOURNAL:
            raise StoreError(
                f"{path} must have at most {MAX_JOURNAL} bytes, but has {size}. Move "
                f"it away."
            )
        # A longer line is read in parts, which do not parse.
        return list(parse_lines(iter(lambda: stream.readline(MAX_LINE), b"")))


def parse_lines(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the records among some lines."""
    for line in lines:
        try:
            record = load(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)
