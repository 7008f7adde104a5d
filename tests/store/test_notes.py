"""Notes: who writes a run, and the claim of a run on mounts without file locks."""

import errno
import json
import os
import signal
import socket
import subprocess
import time
import warnings
from pathlib import Path

import pytest
from support.owning import tell, writer

from multiback.errors import (
    NoLocksWarning,
    RunLeftWarning,
    StoreError,
    WaitingForRunWarning,
)
from multiback.store import RunDirectory, owner
from multiback.store.local import file_lock, locks
from multiback.store.owner import Owner, Renewal, parse_owner

linux = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the process table of Linux"
)


@pytest.fixture
def no_locks(monkeypatch):
    import fcntl

    def refuse(*_):
        raise error[0]

    error = [OSError(errno.ENOLCK, "No locks available")]
    file_lock._told.clear()
    monkeypatch.setattr(fcntl, "flock", refuse)
    return error


@linux
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_without_locks_a_note_guards_the_run_and_one_warning_says_so(
    tmp_path, commit, no_locks, code
):
    no_locks[0] = OSError(code, os.strerror(code))
    runs = RunDirectory(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            runs.start_run("shared", {})
            commit(runs, run_id="shared")
            runs.point("best", runs.checkpoints()[0])
    assert [each.category for each in caught] == [NoLocksWarning]
    [found] = runs.writers()
    assert found.is_me
    runs.end_run("shared")
    assert runs.writers() == []


@linux
@pytest.mark.usefixtures("no_locks")
@pytest.mark.filterwarnings("ignore::multiback.errors.NoLocksWarning")
def test_without_locks_a_claim_that_is_renewed_keeps_its_run(tmp_path):
    with writer(tmp_path, 4, "no-locks") as first:
        runs = RunDirectory(tmp_path, claim_timeout=4)
        with (
            pytest.warns(WaitingForRunWarning, match="on elsewhere"),
            pytest.raises(StoreError, match=r"written by process .* on elsewhere"),
        ):
            runs.start_run("shared", {})
        assert tell(first, "commit") == "one"


@linux
@pytest.mark.usefixtures("no_locks")
@pytest.mark.filterwarnings("ignore::multiback.errors.NoLocksWarning")
@pytest.mark.filterwarnings("ignore::multiback.errors.WaitingForRunWarning")
def test_without_locks_a_claim_that_is_not_renewed_is_taken_over(tmp_path, commit):
    timeout = 1.5
    with writer(tmp_path, timeout, "no-locks") as first:
        first.send_signal(signal.SIGSTOP)
        runs, start = RunDirectory(tmp_path, claim_timeout=timeout), time.monotonic()
        with pytest.warns(RunLeftWarning, match=r"not renewed for \d+ sec"):
            runs.start_run("shared", {})
        # It waited until that was known.
        assert time.monotonic() - start > timeout / 2
        commit(runs, "mine", run_id="shared")
        # What wakes up again is refused, and renews no other's claim.
        first.send_signal(signal.SIGCONT)
        assert tell(first, "commit").startswith("refused")
        assert [one.is_me for one in runs.writers()] == [True]
        # Once the run is free it may continue.
        runs.end_run("shared")
        assert tell(first, "commit") == "one"
    assert [one.name for one in runs.checkpoints()] == ["mine", "one"]


@linux
@pytest.mark.usefixtures("no_locks")
@pytest.mark.filterwarnings("ignore::multiback.errors.NoLocksWarning")
def test_without_locks_a_clock_of_this_machine_that_is_wrong_ends_no_claim(
    tmp_path, commit, monkeypatch
):
    with writer(tmp_path, 600, "no-locks"):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 1e6)
        with pytest.raises(StoreError, match="Nothing was changed"):
            commit(RunDirectory(tmp_path), run_id="shared")


def test_a_renewal_touches_only_what_its_process_wrote(tmp_path):
    for content in (b"me", b"another"):
        note = tmp_path / "lock-1.json"
        note.write_bytes(content)
        os.utime(note, (1000, 1000))
        renewal = Renewal(lambda: locks._renew(tmp_path / "lock-1", b"me"), 0.01)
        end = time.monotonic() + (60 if content == b"me" else 0.2)
        while note.stat().st_mtime == 1000 and time.monotonic() < end:
            time.sleep(0.01)
        renewal.end()
        assert (note.stat().st_mtime == 1000) == (content == b"another")


# Notes.

FIELDS = (
    '{"run_id":"shared","host":%s,"machine":"m","process":"p","started":%s,"pid":%s}'
)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff" * 99, b'{"pid": 1}']
    + [
        (FIELDS % fields).encode()
        for fields in (
            ('"h"', 0, -1),
            ('"h"', 0, 1.5),
            ('"h"', '"NaN"', 1),
            ('"h"', 1e40, 1),
            ('"\\u001b[31m"', 0, 1),
            ('"%s"' % ("h" * 2000), 0, 1),
        )
    ],
)
def test_a_note_that_names_no_writer_does_no_harm(tmp_path, content):
    runs = RunDirectory(tmp_path)
    runs.start_run("shared", {})
    [path] = tmp_path.glob("lock-*.json")
    runs.end_run("shared")
    path.write_bytes(content)
    assert runs.writers() == []
    runs.start_run("shared", {})
    assert [one.run_id for one in runs.writers()] == ["shared"]
    runs.end_run("shared")


def test_a_link_names_no_writer(tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "lock-1.json").symlink_to(tmp_path / "secret")
    assert RunDirectory(tmp_path).writers() == []
    RunDirectory(tmp_path).start_run("a", {})
    RunDirectory(tmp_path).end_run("a")
    assert (tmp_path / "secret").read_bytes() == b"x"


def an_owner(**changes):
    me = owner.this_process("a")
    return Owner(**{**vars(me), "silent": 10.0, **changes})


@linux
@pytest.mark.parametrize(
    ("changes", "is_gone"),
    [
        ({}, False),
        ({"process": "another", "pid": os.getppid()}, False),
        # This process has the number now: the first of a container, for example.
        ({"process": "another"}, True),
        ({"process": "another", "pid": (1 << 22) + 1}, True),
        # The process table of another machine is not known.
        ({"process": "another", "machine": "m", "pid": (1 << 22) + 1}, False),
        ({"process": "another", "machine": "", "pid": (1 << 22) + 1}, False),
    ],
)
def test_which_process_has_ended_is_asked_on_its_own_machine_only(changes, is_gone):
    assert an_owner(**changes).is_gone == is_gone


@linux
def test_a_process_that_ended_and_was_not_waited_for_has_ended():
    with subprocess.Popen(["/bin/true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert an_owner(process="another", pid=ended.pid).is_gone


def test_a_note_comes_back_as_it_was_written():
    me = an_owner()
    assert me.is_me
    again = parse_owner(me.dumped(), 3.0)
    assert again == me
    assert again.is_me
    assert again.silent == 3.0
    assert json.loads(me.dumped())["host"] == socket.gethostname()
