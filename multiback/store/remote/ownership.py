"""Let one process at a time write a run at a URL, where nothing can be locked.

`writers/HASH/` holds an object for each process that writes a run, or would like to:
its claim. A process puts its own there and lists. It has the run if it sees no other;
else it takes its own away and tries again after a while of random length. So of two
simultaneous processes at least the later one sees the other. A claim that holds is
renewed by commits and by a timer; one that was not renewed for `claim_timeout` seconds
is taken over with a warning, as is one whose process is known to have ended.

A process that was taken over from may wake up. So each renewal lists again: of two that
hold a run, the one that took it last has it. This is checked before a commit writes,
before its manifest, and once more after that, and then the manifest is withdrawn.

The server's clock says how long another process has been silent, compared with this
process's own object; where listings have no times, the time in the claim does.
"""

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress

from multiback.errors import StoreError
from multiback.store.owner import (
    MAX_NOTE,
    RENEWALS_A_TIMEOUT,
    Owner,
    Renewal,
    digest_of,
    left,
    parse_owner,
    pending,
    refusal,
    take_claim,
    this_process,
    warn_of_takeover,
)
from multiback.store.remote.bucket import Bucket, at_exit
from multiback.store.remote.claims import is_old

_FOLDER = "writers"


class _Claim:
    """The object by which this process has a run."""

    def __init__(self, bucket: Bucket, name: str, owner: Owner, timeout: float) -> None:
        self._bucket, self._name, self._owner = bucket, name, owner
        self._timeout = timeout
        self._begin()

    def _begin(self) -> None:
        interval = self._timeout / RENEWALS_A_TIMEOUT
        self._renewal = Renewal(self._renew_quietly, interval)

    def renew(self) -> Owner | None:
        """Write it again; return the process that has taken over the run, if any."""
        self._bucket.write(self._name, self._owner.dumped())
        folder = self._name.rpartition("/")[0]
        for name, other in look(self._bucket, folder, self._name):
            is_later = other.holds and other.started > self._owner.started
            if name != self._name and is_later and left(other, self._timeout) is None:
                self.end()
                return other
        if self._renewal.is_over:
            # The other process has ended.
            self._begin()
        return None

    def _renew_quietly(self) -> None:
        """Renew the claim. Ignore a failure: if it lasts, the next commit raises it."""
        renewal = self._renewal
        with suppress(StoreError):
            self.renew()
            # Released in the meantime: the claim must not come back.
            if renewal.is_over:
                self._bucket.delete([self._name])

    def end(self) -> None:
        """Release the run; a leftover claim names a process that has ended."""
        self._renewal.end()
        with suppress(StoreError):
            self._bucket.delete([self._name])


def look(bucket: Bucket, folder: str, mine: str | None) -> Iterator[tuple[str, Owner]]:
    """Read the claims below a folder.

    The time of `mine`, this process's own object, just written, is the reference.
    """
    listed = {n: i for n, i in bucket.list(folder).items() if i.size <= MAX_NOTE}
    now = listed[mine].modified if mine in listed else None
    contents = bucket.read(list(listed)) if listed else {}
    for name, content in contents.items():
        modified = listed[name].modified
        silent = None if now is None or modified is None else now - modified
        owner = parse_owner(content, silent)
        if owner is not None:
            yield name, owner


class RemoteOwnership:
    """Know who writes the runs of one remote run directory.

    A claim that was not renewed for `timeout` seconds is taken over.
    """

    def __init__(self, bucket: Bucket, timeout: float) -> None:
        self._bucket = bucket
        self._timeout = timeout

    def owners(self) -> list[Owner]:
        """List the processes that write a run, or ended without releasing it."""
        found = (owner for _, owner in look(self._bucket, _FOLDER, None) if owner.holds)
        return sorted(found, key=lambda one: one.started)

    def claim(self, run_id: str) -> None:
        """Take a run; wait where its writer may have ended, raise where it has not."""
        key = self._bucket.url, run_id
        with _turn:
            held = _claims.get(key)
        if held is None or held.renew() is not None:
            take_claim(lambda: self._attempt(run_id), self._bucket.url, self._timeout)

    def _attempt(self, run_id: str) -> Owner | None:
        """Take a run unless another process may write it; return which."""
        folder = f"{_FOLDER}/{digest_of(run_id)}"
        mine, owner = f"{folder}/{secrets.token_hex(8)}", this_process(run_id)
        try:
            self._bucket.write(mine, pending(owner).dumped())
            others = []
            for name, other in look(self._bucket, folder, mine):
                why = left(other, self._timeout)
                if name == mine:
                    continue
                if why is None and not other.is_me:
                    others.append(other)
                    continue
                if why is not None and other.holds:
                    warn_of_takeover(other, why)
                # Includes an earlier object of this process that was lost.
                self._bucket.delete([name])
            if others:
                self._bucket.delete([mine])
                return max(others, key=lambda one: (one.holds, -one.silent))
            self._bucket.write(mine, owner.dumped())
        except BaseException:
            with suppress(StoreError):
                self._bucket.delete([mine])
            raise
        at_exit(release_all)
        with _turn:
            before = _claims.pop((self._bucket.url, run_id), None)
            _claims[self._bucket.url, run_id] = _Claim(
                self._bucket, mine, owner, self._timeout
            )
        if before is not None:
            before.end()
        return None

    def garbage(self) -> dict[str, int]:
        """Find the claims that were not renewed for a day; return sizes."""
        listed = self._bucket.list(_FOLDER).items()
        return {name: info.size for name, info in listed if is_old(info.modified)}

    def check(self, run_id: str) -> None:
        """Renew this process's claim; raise if another process holds the run."""
        with _turn:
            held = _claims.get((self._bucket.url, run_id))
        if held is not None:
            other = held.renew()
        else:
            folder = f"{_FOLDER}/{digest_of(run_id)}"
            found = (owner for _, owner in look(self._bucket, folder, None))
            living = (
                one for one in found if not one.is_me and not left(one, self._timeout)
            )
            other = next(living, None)
        if other is not None:
            raise refusal(other, self._bucket.url, run_id)

    def release(self, run_id: str) -> None:
        """Release a run; skip one that this process did not claim."""
        with _turn:
            held = _claims.pop((self._bucket.url, run_id), None)
        if held is not None:
            held.end()


_claims: dict[tuple[str, str], _Claim] = {}
_turn = threading.Lock()


def release_all() -> None:
    """Release all runs that this process writes."""
    while _claims:
        _claims.popitem()[1].end()


def forget() -> None:
    """After a fork the claims are the parent's."""
    global _turn  # noqa: PLW0603 - another thread may have held it
    _claims.clear()
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
