"""Who writes a run, and whether that process is still alive.

On the same machine, since the same boot and among the same process ids, the process
table answers: a process that is gone is dead at once, one that is stopped or hangs is
not, however long it says nothing. Everywhere else there is only the heartbeat: whoever
has not given a sign of life for `STALE_BEATS` intervals of its own counts as dead.
"""

import datetime as dt
import functools
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiback.store.format.jsontext import dump, load

# A machine that swaps, or a call that keeps the GIL, may delay a few.
STALE_BEATS = 8
_TEXTS = ("run_id", "host", "machine", "born")


@dataclass(frozen=True)
class Owner:
    """The process that writes a run.

    Attributes:
        run_id: The run.
        host: The machine's name.
        pid: The process's number there.
        started: When it took the run, in seconds since 1970.
        interval: Seconds between its signs of life.
        machine: The same wherever `pid` means the same process; "" if unknown.
        born: When the process started, as its system counts; "" if unknown.
        silent: Seconds since its last sign of life, when this was read.
    """

    run_id: str
    host: str
    pid: int
    started: float
    interval: float
    machine: str
    born: str
    silent: float = field(default=0.0, compare=False)

    @property
    def is_me(self) -> bool:
        """Whether it is this process."""
        return (self.host, self.pid, self.machine, self.born) == _me(os.getpid())

    @property
    def is_here(self) -> bool:
        """Whether the process table can tell if it is alive."""
        return bool(self.machine) and self.machine == _machine()

    @property
    def is_known_alive(self) -> bool:
        """Whether the process table tells that it exists, whatever it says."""
        # Of another user's process the system may keep to itself when it started.
        return self.is_here and bool(self.born) and _born(self.pid) == self.born

    @property
    def is_gone(self) -> bool:
        """Whether the process table tells that it does not exist any more."""
        return self.is_here and not _exists(self.pid, self.born)

    @property
    def death(self) -> str | None:
        """Say how it is known to be dead; None while it may be alive."""
        if self.is_gone:
            return "its process is gone"
        if self.is_known_alive:
            return None
        if self.silent > self.patience:
            return f"it has given no sign of life for {self.silent:.0f} seconds"
        return None

    @property
    def patience(self) -> float:
        """Seconds without a sign of life after which it may count as dead."""
        return STALE_BEATS * self.interval

    @property
    def text(self) -> str:
        """Say who it is, since when, and when it was last heard of."""
        # A zone, for it may be read on another machine.
        since = dt.datetime.fromtimestamp(self.started).astimezone()
        return (
            f"process {self.pid} on {self.host} (run {self.run_id!r}, since "
            f"{since:%Y-%m-%d %H:%M:%S %z}, last sign of life "
            f"{max(self.silent, 0):.0f} seconds ago)"
        )

    @property
    def advice(self) -> str:
        """Say how to get rid of it."""
        if self.is_here and self.silent > self.patience:
            return (
                f"It is stopped or hangs: end it with `kill -9 {self.pid}`, or let it "
                f"go on with `kill -CONT {self.pid}`."
            )
        return f"Wait until it ends, or end it (`kill {self.pid}` on {self.host})."

    def refusal(self, place: object) -> str:
        """Say that it writes a run in a place, and what somebody else can do."""
        return (
            f"The run {self.run_id!r} in {place} must have one writer, but is being "
            f"written by {self.text}. {self.advice} A new run in this directory "
            f'(resume="never") is in nobody\'s way.'
        )

    def left(self, place: object, death: str) -> str:
        """Say that it left a run in a place."""
        return (
            f"The run {self.run_id!r} in {place} was left by {self.text}: {death}. It "
            f"is taken over; its committed checkpoints are untouched."
        )

    def dumped(self) -> bytes:
        """Return it as JSON."""
        record = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        return dump(record, argument="owner") + b"\n"


_NUMBERS = ("pid", "started", "interval")


def this_process(run_id: str, interval: float) -> Owner:
    """Describe this process as the owner of a run, from now on."""
    host, pid, machine, born = _me(os.getpid())
    return Owner(run_id, host, pid, time.time(), interval, machine, born)


def parse_owner(raw: bytes, silent: float) -> Owner | None:
    """Read an owner; None if it is none, for any file may stand there."""
    try:
        fields = load(raw)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    texts: list[Any] = [fields.get(name) for name in _TEXTS]
    numbers: list[Any] = [fields.get(name) for name in _NUMBERS]
    if not all(isinstance(text, str) for text in texts) or not all(
        type(number) in (int, float) for number in numbers
    ):
        return None
    pid, started, interval = numbers
    # Bounds of what the system's calls take, and of a wait that ends.
    is_sane = 0 < pid < 1 << 31 and 0 < interval < 1 << 20 and 0 <= started < 1 << 36
    if type(pid) is not int or not is_sane:
        return None
    run_id, host, machine, born = texts
    return Owner(run_id, host, pid, started, interval, machine, born, silent)


@functools.lru_cache(maxsize=1)
def _me(pid: int) -> tuple[str, int, str, str]:
    """Describe this process; asked again after a fork."""
    return socket.gethostname(), pid, _machine(), _born(pid)


@functools.cache
def _machine() -> str:
    """Name the process table: this boot of this machine, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        table = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no path: "pid:[1]"
    except OSError:
        # macOS has none of these, but `kill` tells there; Windows's ends the process.
        return "" if os.name == "nt" else socket.gethostname()
    return f"{socket.gethostname()} {boot} {table}"


def _born(pid: int) -> str:
    """Return when a process started; "" if nobody tells, or it is another user's."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The name, in brackets, may hold anything, brackets too.
    state, *rest = stat.rpartition(b")")[2].split()
    # A zombie is dead: its parent has not looked.
    return "never" if state in (b"Z", b"X") else rest[18].decode()


def _exists(pid: int, born: str) -> bool:
    """Tell whether a process that started then is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return not born or _born(pid) in (born, "")
