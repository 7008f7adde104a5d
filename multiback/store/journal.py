"""Append-only files of one JSON object a line.

A process may die, or a disk fill up, in the middle of a line. The next append
starts on a fresh line and readers pass over what does not parse, so one torn line
costs one record.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiback.store.files import Files, closing, store_errors
from multiback.store.jsontext import dump, load
from multiback.store.payload import write_all


def append_line(
    files: Files, path: Path, record: Mapping[str, Any], *, argument: str
) -> None:
    """Append one record and wait until it is on the disk."""
    line = dump(record, argument=argument) + b"\n"
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
        with store_errors("fsync the directory", path.parent):
            files.sync_directory(path.parent)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records, oldest first, without the torn ones."""
    try:
        with store_errors("read", path):
            lines = path.read_bytes().split(b"\n")
    except OSError:
        if not path.exists():
            return []
        raise
    records = []
    for line in lines:
        try:
            record = load(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)
