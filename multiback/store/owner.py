"""Who writes a run: a note of host, process and start.

Where the operating system locks files, its lock decides and the note only explains an
error. Where nothing can be locked, at a URL and on some network mounts, the note is the
claim itself: its writer renews it, and a claim that was not renewed for some minutes is
taken over, so that an unattended restart never waits for a person.
"""

import datetime as dt
import functools
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xxhash

from multiback.errors import RunLeftWarning, StoreError, WaitingForRunWarning
from multiback.store.format.jsontext import dump, load
from multiback.warn import warn

# Seconds after which a claim that was not renewed may be taken over.
CLAIM_TIMEOUT = 600.0
RENEWALS_A_TIMEOUT = 20
MAX_NOTE = 1 << 16
_MAX_TEXT = 1000
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Owner:
    """The process that writes a run.

    Attributes:
        run_id: The run.
        host: The machine's name.
        pid: The process's number there.
        started: When it took the run, in seconds since 1970.
        machine: The same wherever `pid` means the same process; "" if unknown.
        process: Random text, another one for each process.
        holds: False while it waits for a claim.
        silent: Seconds since its claim was renewed; 0 where a lock decides.
    """

    run_id: str
    host: str
    pid: int
    started: float
    machine: str
    process: str
    holds: bool = field(default=True, compare=False)
    silent: float = field(default=0.0, compare=False)

    @property
    def is_me(self) -> bool:
        """Whether it is this process."""
        return self.process == _me(os.getpid())

    @property
    def is_gone(self) -> bool:
        """Whether it ran on this machine and does not exist any more."""
        if self.is_me or not self.machine or self.machine != _machine():
            return False
        # The number is this process's own now, as after a container's restart.
        return self.pid == os.getpid() or not _exists(self.pid)

    @property
    def death(self) -> str | None:
        """Say how it is known to have ended; None while it may be alive."""
        return "its process has ended" if self.is_gone else None

    @property
    def text(self) -> str:
        """Say who it is and since when."""
        # With its zone: it may be read on another machine.
        since = dt.datetime.fromtimestamp(self.started).astimezone()
        renewed = f", renewed {self.silent:.0f} seconds ago" if self.silent else ""
        return (
            f"process {self.pid} on {self.host} (run {self.run_id!r}, since "
            f"{since:%Y-%m-%d %H:%M:%S %z}{renewed})"
        )

    def dumped(self) -> bytes:
        """Return it as JSON, with the time."""
        record = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        record |= {"holds": self.holds, "renewed": time.time()}
        return dump(record, argument="owner") + b"\n"


_TEXTS = ("run_id", "host", "machine", "process")
_NUMBERS = ("pid", "started")


def this_process(run_id: str) -> Owner:
    """Describe this process as the owner of a run, from now on."""
    pid = os.getpid()
    host = socket.gethostname()
    return Owner(run_id, host, pid, time.time(), _machine(), _me(pid))


def parse_owner(raw: bytes, silent: float | None = 0.0) -> Owner | None:
    """Read a note; None where it is not one, because any file may stand there.

    It was written `silent` seconds ago; None takes the time that it carries.
    """
    try:
        fields = load(raw)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    # Older versions wrote no `process`.
    texts: list[Any] = [fields.get(name, "") for name in _TEXTS]
    numbers: list[Any] = [fields.get(name) for name in (*_NUMBERS, "renewed")]
    pid, started, renewed = numbers
    if not all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in texts):
        return None
    if not texts[1].isprintable() or type(pid) is not int or not 0 < pid < 1 << 31:
        return None
    # Limits of the system's calls.
    if type(started) not in (int, float) or not 0 <= started < 1 << 36:
        return None
    if silent is None:
        silent = time.time() - renewed if type(renewed) in (int, float) else 0.0
    run_id, host, machine, process = texts
    holds = fields.get("holds") is not False
    return Owner(run_id, host, pid, started, machine, process, holds, max(silent, 0.0))


def refusal(owner: Owner | None, place: object, run_id: str) -> StoreError:
    """Return the error for a run that another process writes, with advice."""
    who = "another process" if owner is None else owner.text
    end = "" if owner is None else f", or end it (`kill {owner.pid}` on {owner.host})"
    return StoreError(
        f"The run {run_id!r} in {place} wants one writer, but is being written by "
        f"{who}. Nothing was changed. Wait until that process ends{end}; or start a "
        f'new run (resume="never"), which this directory takes at any time.'
    )


def digest_of(run_id: str) -> str:
    """Return the digest of a run's id for file names."""
    return xxhash.xxh3_128_hexdigest(run_id.encode("utf-8", "surrogatepass"))


def take_claim(
    attempt: Callable[[], Owner | None], place: object, timeout: float
) -> None:
    """Take a claim; wait where its owner may have ended.

    `attempt` takes the claim and returns None, or returns who else has it; a claim that
    was not renewed for `timeout` seconds it takes over. If the owner turns out to be
    alive, raise.
    """
    seen: Owner | None = None
    pause = min(timeout / RENEWALS_A_TIMEOUT, _LONGEST_PAUSE)
    while (other := attempt()) is not None:
        if other.holds:
            if seen is None:
                rest = max(timeout - other.silent, 0.0)
                warn(
                    f"Waiting up to {rest:.0f} seconds to learn whether process "
                    f"{other.pid} on {other.host:.60} still writes this run; it is "
                    f"taken over if not.",
                    WaitingForRunWarning,
                )
            elif other != seen or other.silent < seen.silent:
                raise refusal(other, place, other.run_id)
            seen = other
        # Not all at the same moment: others try too.
        time.sleep(pause * random.uniform(0.1, 1))  # noqa: S311 - no secret


def left(owner: Owner, timeout: float) -> str | None:
    """Say why a claim may be taken over; None while its owner may be alive."""
    if owner.is_gone:
        return "its process has ended"
    if owner.silent > timeout:
        return f"it was not renewed for {owner.silent:.0f} seconds"
    return None


def warn_of_takeover(owner: Owner, why: str) -> None:
    """Say that a run is taken over."""
    warn(
        f"This run is taken over from process {owner.pid} on {owner.host:.60}: {why}; "
        f"its checkpoints are untouched.",
        RunLeftWarning,
    )


class Renewal:
    """Call a function, which must not raise, every `interval` seconds until the end."""

    def __init__(self, renew: Callable[[], object], interval: float) -> None:
        self._renew, self._interval = renew, interval
        self._over = threading.Event()
        thread = threading.Thread(
            target=self._work, name="multiback-renewal", daemon=True
        )
        # Without a thread the commits renew it.
        with suppress(RuntimeError):
            thread.start()

    def _work(self) -> None:
        while not self._over.wait(self._interval):
            self._renew()

    @property
    def is_over(self) -> bool:
        """Whether `end` was called."""
        return self._over.is_set()

    def end(self) -> None:
        """Stop renewing the claim; do not wait for a renewal that is under way."""
        self._over.set()


def pending(owner: Owner) -> Owner:
    """Return the owner as one who still waits for a claim."""
    return replace(owner, holds=False)


@functools.lru_cache(maxsize=1)
def _me(pid: int) -> str:  # noqa: ARG001 - a fork is another process
    """Return this process's random text."""
    return secrets.token_hex(8)


@functools.cache
def _machine() -> str:
    """Name the process table: this machine, this container."""
    host = socket.gethostname()
    if os.name == "nt":
        # On Windows `os.kill(pid, 0)` ends a process instead of looking for it.
        return ""
    with suppress(OSError):
        return f"{host} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no path: "pid:[1]"
    return host


def _exists(pid: int) -> bool:
    """Return whether this machine has a process of a number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It exists, but belongs to another user.
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Return whether a process has ended and its parent has not asked how."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    # The second field is the program's name, in brackets, and may hold anything.
    return status.rpartition(")")[2].split()[:1] in (["Z"], ["X"])
