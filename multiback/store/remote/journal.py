"""Records in order, on a store without append.

A writer keeps its newest records in one object, which it writes again with each new
record, and starts another object when that one is full. Names begin with the time, so a
listing has them in order; no two writers share an object.
"""

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from multiback.store.local.journal import line_of, parse_lines
from multiback.store.remote.bucket import Bucket

MAX_OBJECT = 64 << 20


class RemoteJournal:
    """Append records to a folder's objects, so many each; read those of all.

    Examples:
        >>> journal = RemoteJournal(Bucket("memory://doctest-journal"), "history", 2)
        >>> for epoch in range(3):
        ...     journal.append({"epoch": epoch}, argument="record")
        >>> [record["epoch"] for record in journal.records()]
        [0, 1, 2]
    """

    def __init__(self, bucket: Bucket, folder: str, per_object: int) -> None:
        self._bucket = bucket
        self._folder = folder
        self._per_object = per_object
        self._name = ""
        self._lines: list[bytes] = []
        self._read: dict[str, tuple[str, list[dict[str, Any]]]] = {}
        self._turn = threading.Lock()

    def append(self, record: Mapping[str, Any], *, argument: str) -> None:
        """Write one record after the others."""
        line = line_of(record, argument=argument)
        with self._turn:
            is_full = len(self._lines) == self._per_object or (
                sum(map(len, self._lines)) + len(line) > MAX_OBJECT
            )
            if not self._name or is_full:
                self._name, self._lines = self._next_name(), []
            self._bucket.write(self._name, b"".join([*self._lines, line]))
            self._lines.append(line)

    def _next_name(self) -> str:
        """Return a name after all others, even if this machine's clock is slow."""
        newest = max(self._bucket.list(self._folder), default="")
        number = newest.rpartition("/")[2].partition("-")[0]
        after = int(number) + 1 if number.isdecimal() else 0
        now = max(time.time_ns(), after)
        return f"{self._folder}/{now:020d}-{secrets.token_hex(4)}.jsonl"

    def records(self) -> list[dict[str, Any]]:
        """Read all valid records, oldest first."""
        with self._turn:
            found = sorted(self._bucket.list(self._folder).items())
            # A larger object is not a journal, and would be read into memory whole.
            stamps = {name: i.stamp for name, i in found if i.size <= MAX_OBJECT}
            known = {
                name: self._read[name]
                for name, stamp in stamps.items()
                if name in self._read and self._read[name][0] == stamp
            }
            contents = self._bucket.read([name for name in stamps if name not in known])
            for name, content in contents.items():
                known[name] = stamps[name], list(parse_lines(content.split(b"\n")))
            self._read = known
            return [one for name in stamps if name in known for one in known[name][1]]
