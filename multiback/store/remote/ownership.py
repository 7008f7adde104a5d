"""Let one process at a time write a run at a URL, and take over from the dead.

The rule is that of `ownership.py`, without a lock and without names that two processes
could give to one object. `writers/HASH/` holds an object for each process that writes a
run, or would like to: each writes only its own, again and again as a sign of life.
Whoever wants a run puts its object there and lists. If there is another's, it waits
until that is known to be dead, and deletes it; if that lives, it takes its own away. So
of two that come at once at least the later sees the other, and perhaps both do: then
the one whose object has the smaller name waits a moment for the other to go.

A process whose object is gone was taken over from: it is refused before it writes,
again before the manifest, and once more after that, with the manifest taken back.
Nothing can be locked, so one that hangs between its last look and a removal removes
what it had decided on: a checkpoint of its own run that it held for worse.

How long another has been silent is told by the server's clock, against this process's
own object; where listings have no times, by how long it was watched.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import xxhash

from multiback.errors import OwnerWarning, StoreError
from multiback.store.owning.heartbeat import MAX_RECORD, Heart
from multiback.store.owning.owner import Owner, parse_owner, this_process
from multiback.store.remote.bucket import Bucket, ObjectInfo, at_exit
from multiback.store.remote.claims import is_old
from multiback.warn import warn

BEAT_SECONDS = 15.0
_FOLDER = "writers"
_LOOKS_PER_BEAT = 2
# So long the one of a smaller name waits for another of this machine to go away, and so
# often it looks; for one elsewhere, of which less is known, a heartbeat.
_YIELD_SECONDS, _LOOK_SECONDS = 2.0, 0.2

# An object's name; when it was written, and by whom.
_Found = dict[str, tuple[ObjectInfo, Owner]]


class RemoteOwnership:
    """Know who writes the runs of one remote run directory.

    Args:
        bucket: The run directory.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def _folder_of(self, run_id: str) -> str:
        digest = xxhash.xxh3_128_hexdigest(run_id.encode("utf-8", "surrogatepass"))
        return f"{_FOLDER}/{digest}"

    def _key(self, run_id: str) -> tuple[str, str]:
        return self._bucket.url, run_id

    def owners(self) -> list[Owner]:
        """List the processes that write a run, or died while they did."""
        now = time.time()
        found = [
            replace(owner, silent=_silence(info.modified, now))
            for info, owner in self._look(_FOLDER).values()
        ]
        return sorted(found, key=lambda one: one.started)

    def _look(self, folder: str) -> _Found:
        """Read who is named below a folder."""
        listed = {
            name: info
            for name, info in self._bucket.list(folder).items()
            if info.size <= MAX_RECORD
        }
        contents = self._bucket.read(list(listed)) if listed else {}
        found = {}
        for name, content in contents.items():
            owner = parse_owner(content, 0.0)
            if owner is not None:
                found[name] = listed[name], owner
        return found

    def claim(self, run_id: str) -> None:
        """Take a run; wait until it is known whether another process still writes it.

        Raises:
            StoreError: Another process writes it.
        """
        folder = self._folder_of(run_id)
        mine = _claims.name(self._key(run_id)) or f"{folder}/{secrets.token_hex(8)}"
        content = this_process(run_id, BEAT_SECONDS).dumped()
        seen: dict[str, str] = {}
        alive: dict[str, float] = {}
        begun = time.monotonic()
        try:
            while True:
                self._bucket.write(mine, content)
                found = self._look(folder)
                others = {n: one for n, one in found.items() if not one[1].is_me}
                # By the server's clock; without, by how long this has watched.
                now = found[mine][0].modified if mine in found else None
                waited = time.monotonic() - begun
                may_live = self._judge(others, seen, now, waited)
                self._yield(mine, may_live, alive)
                if not may_live and mine in found:
                    break
                beats = [BEAT_SECONDS, *(one.interval for _, one in others.values())]
                pause = min(beats) / _LOOKS_PER_BEAT
                time.sleep(min(pause, _LOOK_SECONDS) if alive else pause)
        except BaseException:
            with suppress(StoreError):
                self._bucket.delete([mine])
            raise
        # What this process put there before, and forgot.
        self._bucket.delete(found.keys() - others.keys() - {mine})
        _claims.begin(
            self._key(run_id), self._bucket, mine, lambda: self._beat(mine, content)
        )

    def _judge(
        self, others: _Found, seen: dict[str, str], now: float | None, waited: float
    ) -> dict[str, tuple[Owner, bool]]:
        """Delete what the dead left; return who may live, and whether that is sure."""
        found = {}
        for name, (info, owner) in others.items():
            is_same = seen.get(name) == info.stamp
            silent = max(_silence(info.modified, now), waited if is_same else 0)
            judged = replace(owner, silent=silent)
            if death := judged.death:
                warn(judged.left(self._bucket.url, death), OwnerWarning)
                self._bucket.delete([name])
                continue
            gave_a_sign = name in seen and not is_same
            seen.setdefault(name, info.stamp)
            found[name] = judged, judged.is_known_alive or gave_a_sign
        return found

    def _yield(
        self,
        mine: str,
        found: dict[str, tuple[Owner, bool]],
        alive: dict[str, float],
    ) -> None:
        """Refuse where somebody lives who goes first, or does not go away.

        Raises:
            StoreError: Somebody does.
        """
        now = time.monotonic()
        for name, (owner, is_alive) in found.items():
            if is_alive:
                alive.setdefault(name, now)
            limit = _YIELD_SECONDS if owner.is_here else BEAT_SECONDS
            if name in alive and (name < mine or now - alive[name] > limit):
                raise StoreError(owner.refusal(self._bucket.url))
        for name in alive.keys() - found.keys():
            del alive[name]

    def _beat(self, name: str, content: bytes) -> None:
        """Write this process's object again, unless it was taken away."""
        with suppress(StoreError):
            if name in self._bucket.list(name):
                self._bucket.write(name, content)

    def garbage(self) -> dict[str, int]:
        """Find the objects of processes that were silent for a day; return sizes."""
        listed = self._bucket.list(_FOLDER).items()
        return {name: info.size for name, info in listed if is_old(info.modified)}

    def check(self, run_id: str) -> None:
        """Refuse a change of a run that another process has taken.

        Raises:
            StoreError: It has, or this process had it and has it no more.
        """
        mine = _claims.name(self._key(run_id))
        if mine is not None:
            if mine in self._bucket.list(mine):
                return
            now = "has another writer, or was given back by one"
        else:
            others = [
                owner
                for _, owner in self._look(self._folder_of(run_id)).values()
                if not owner.is_me and not owner.death
            ]
            if not others:
                return
            now = f"is written by {others[0].text}"
        raise StoreError(
            f"{self._bucket.url} must let this process write the run {run_id!r}, but "
            f"the run {now}. Start a new run, or resume this one once it has ended."
        )

    def release(self, run_id: str) -> None:
        """Give a run back; one that is another's, or no one's, is left alone."""
        _claims.end(self._key(run_id))


def _silence(modified: float | None, now: float | None) -> float:
    """Return for how long nobody has written an object, as far as times tell."""
    return 0.0 if modified is None or now is None else max(0.0, now - modified)


class _Claims:
    """The runs that this process writes; given back at the latest when it ends."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[Bucket, str]] = {}
        self._heart = Heart()
        self._turn = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """After a fork these are the parent's, and so is the thread."""
        self._held, self._heart, self._turn = {}, Heart(), threading.Lock()

    def name(self, key: tuple[str, str]) -> str | None:
        """Return the object by which this process has a run, if it has."""
        return self._held[key][1] if key in self._held else None

    def begin(
        self,
        key: tuple[str, str],
        bucket: Bucket,
        name: str,
        beat: Callable[[], object],
    ) -> None:
        """Keep a run, and show signs of life."""
        at_exit(self.end_all)
        self._held[key] = bucket, name
        self._heart.begin(key, beat, BEAT_SECONDS)

    def end(self, key: tuple[str, str]) -> None:
        """Give a run back."""
        self._heart.end(key)
        held = self._held.pop(key, None)
        if held is not None:
            # Left over, it names a process that is gone: no harm.
            with suppress(StoreError):
                held[0].delete([held[1]])

    def end_all(self) -> None:
        """Give all of them back."""
        for key in list(self._held):
            self.end(key)


_claims = _Claims()
