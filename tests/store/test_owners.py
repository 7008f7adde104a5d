"""One process at a time writes a run; the dead are found out, and nobody else."""

import contextlib
import errno
import functools
import json
import multiprocessing
import os
import re
import select
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from support.owning import started, tell, writer

from multiback.errors import StoreError
from multiback.store import Files, RunDirectory
from multiback.store.owning import owner
from multiback.store.owning.heartbeat import Heart, touch
from multiback.store.owning.owner import Owner, parse_owner

# Eight of these are patience enough for a test, and too many for a slow machine.
BEAT = 0.25
linux = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the process table of Linux"
)


def runs_of(run, **changes):
    return RunDirectory(run, **({"heartbeat": BEAT, "lock_timeout": 60} | changes))


def in_the_past(run, seconds):
    """Let a run's writer have been silent for so long."""
    [path] = run.glob("lock-*.json")
    os.utime(path, (time.time() - seconds,) * 2)


@linux
def test_a_second_writer_is_told_who_has_the_run_and_what_to_do(tmp_path, commit):
    with writer(tmp_path, BEAT) as first:
        assert first.answer == "started"
        with pytest.raises(StoreError) as caught:
            runs_of(tmp_path).start_run("shared", {})
        text = str(caught.value)
        assert f"process {first.pid} on {socket.gethostname()}" in text
        assert re.search(r"run 'shared', since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)
        assert re.search(r"last sign of life \d+ seconds ago", text)
        assert f"`kill {first.pid}` on" in text
        assert 'resume="never"' in text
        # Neither may it write, or remove, without a start.
        assert tell(first, "commit") == "one"
        with pytest.raises(StoreError, match="Nothing was changed"):
            commit(runs_of(tmp_path), "two", run_id="shared")
        [saved] = runs_of(tmp_path).checkpoints()
        with pytest.raises(StoreError, match="must name this process"):
            runs_of(tmp_path).remove(saved, run_id="shared")
        saved.verify()
        # Another run of the same directory is in nobody's way.
        other = runs_of(tmp_path)
        other.start_run("other", {})
        commit(other, "mine", run_id="other")
        other.end_run("other")


@linux
def test_a_killed_writer_is_taken_over_from_at_once_with_a_warning(tmp_path, commit):
    with writer(tmp_path, 1000) as first:
        tell(first, "commit")
        first.kill()
    runs = runs_of(tmp_path)
    with pytest.warns(UserWarning, match=f"left by process {first.pid} .* is gone"):
        runs.start_run("shared", {})
    commit(runs, "two", run_id="shared")
    assert [one.name for one in runs.checkpoints()] == ["one", "two"]
    runs.end_run("shared")
    assert runs.writers() == []


@linux
def test_one_that_died_and_was_not_waited_for_is_dead(tmp_path):
    with writer(tmp_path, BEAT) as first:
        os.kill(first.pid, signal.SIGKILL)
        # A zombie until somebody asks; its pipe closes before.
        assert first.stdout.read() == ""
        end = time.monotonic() + 60
        while not runs_of(tmp_path).writers()[0].death:
            assert time.monotonic() < end
            time.sleep(0.01)


@linux
def test_a_stopped_process_of_this_machine_keeps_its_run(tmp_path):
    with writer(tmp_path, 0.05) as first:
        first.send_signal(signal.SIGSTOP)
        in_the_past(tmp_path, 1000)
        with pytest.raises(StoreError, match=r"10\d\d seconds ago.* is stopped or"):
            runs_of(tmp_path).start_run("shared", {})
        first.send_signal(signal.SIGCONT)
        assert tell(first, "commit") == "one"


def test_elsewhere_one_that_beats_keeps_its_run(tmp_path):
    beat = 1.0  # On a busy machine a beat may come half a second late.
    with writer(tmp_path, beat, "elsewhere") as first:
        # As if it had been silent for almost too long: the next beat tells.
        in_the_past(tmp_path, 7 * beat)
        with pytest.raises(StoreError, match=r"being written by process .* elsewhere"):
            runs_of(tmp_path).start_run("shared", {})
        assert tell(first, "commit") == "one"


def test_a_clock_that_jumps_makes_no_living_process_dead(tmp_path):
    """The server's clock was set, or machines slept: silent for long, but alive."""
    beat = 1.0
    with writer(tmp_path, beat, "elsewhere") as first:
        in_the_past(tmp_path, 1000)
        with pytest.raises(StoreError, match=r"being written by process .* elsewhere"):
            runs_of(tmp_path).start_run("shared", {})
        # As it waits for the lock, too.
        tell(first, "hold")
        in_the_past(tmp_path, 1000)
        with pytest.raises(StoreError, match=r"lock must be free.*on elsewhere"):
            runs_of(tmp_path, lock_timeout=2 * beat).start_run("other", {})


def test_a_clock_of_this_machine_that_is_wrong_makes_no_process_dead(
    tmp_path, commit, monkeypatch
):
    with writer(tmp_path, 20, "elsewhere") as first:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 1e6)
        with pytest.raises(StoreError, match="Nothing was changed"):
            commit(runs_of(tmp_path), run_id="shared")
        tell(first, "hold")
        with pytest.raises(StoreError, match=r"lock must be free.*on elsewhere"):
            commit(runs_of(tmp_path, lock_timeout=0.1), run_id="other")


def test_who_gives_a_sign_while_others_wait_for_the_lock_is_alive(tmp_path):
    """Even if the clock is set right after that sign."""
    with writer(tmp_path, 20, "elsewhere") as first:
        tell(first, "hold")
        first.send_signal(signal.SIGSTOP)
        in_the_past(tmp_path, 2000)
        sign = threading.Timer(0.3, in_the_past, (tmp_path, 1000))
        sign.start()
        with pytest.raises(StoreError, match=r"lock must be free.*on elsewhere"):
            runs_of(tmp_path, lock_timeout=1).start_run("other", {})
        sign.join()


@linux
def test_nobody_takes_a_run_while_another_process_is_about_to(tmp_path):
    class Watched(Files):
        def create(self, path):
            if not others:
                others.append(stack.enter_context(started(tmp_path, BEAT)))
                # Longer than it takes to start: it waits for the lock.
                assert select.select([others[0].stdout], [], [], 1.5)[0] == []
            return super().create(path)

    others = []
    with contextlib.ExitStack() as stack:
        runs = RunDirectory(tmp_path, Watched(), heartbeat=BEAT)
        runs.start_run("shared", {})
        assert others[0].stdout.readline().startswith("refused")
        runs.end_run("shared")


@linux
def test_of_several_that_come_at_once_one_gets_the_run(tmp_path):
    """First a new run; then one whose writer was killed while it held the lock."""
    for number in range(2):
        with contextlib.ExitStack() as stack:
            # They start at about the same time, for each has to import first.
            processes = [stack.enter_context(started(tmp_path, BEAT)) for _ in range(4)]
            answers = [one.stdout.readline().strip() for one in processes]
            assert sorted(one.split()[0] for one in answers) == [
                *["refused"] * 3,
                "started",
            ]
            first = processes[answers.index("started")]
            if number == 0:
                assert tell(first, "commit") == "one"
                assert tell(first, "hold") == "held"
            else:
                assert tell(first, "commit") == "one-v2"
    [one, two] = runs_of(tmp_path).checkpoints()
    one.verify()
    two.verify()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOLCK, "No locks available"),
        OSError(errno.ENOTSUP, "Operation not supported"),
        # Of older versions of filelock.
        NotImplementedError("FileSystem does not appear to support flock"),
    ],
)
@linux
def test_a_file_system_without_locks_is_told_so(tmp_path, commit, monkeypatch, error):
    import fcntl

    def refuse(*_):
        raise error

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"its file system has no locks: .* s3://"):
        commit(runs_of(tmp_path))
    assert runs_of(tmp_path).checkpoints() == []


def test_a_directory_that_cannot_be_written_is_read_by_anybody(tmp_path, commit):
    run = tmp_path / "run"
    commit(runs_of(run))
    before = sorted(run.rglob("*"))

    class ReadOnly(Files):
        def __getattribute__(self, name):
            pytest.fail(f"asked to {name}")

    runs = RunDirectory(run, ReadOnly())
    [one] = runs.checkpoints()
    one.verify()
    one.tensors()
    assert (runs.latest_run(), runs.history(), runs.writers()) == ("a", [], [])
    assert sorted(run.rglob("*")) == before


def test_elsewhere_one_that_is_stopped_for_too_long_loses_its_run(tmp_path, commit):
    with writer(tmp_path, BEAT, "elsewhere") as first:
        first.send_signal(signal.SIGSTOP)
        runs, start = runs_of(tmp_path), time.monotonic()
        with pytest.warns(UserWarning, match=r"no sign of life for \d+ sec"):
            runs.start_run("shared", {})
        # It waited until that was known.
        assert time.monotonic() - start > 5 * BEAT
        commit(runs, "mine", run_id="shared")
        # What wakes up again is refused, and beats for nobody.
        first.send_signal(signal.SIGCONT)
        assert tell(first, "commit").startswith("refused")
        runs.end_run("shared")
        answer = tell(first, "commit")
        assert "it was taken over and ended" in answer
        assert [one.name for one in runs.checkpoints()] == ["mine"]


def test_a_heart_touches_only_what_its_process_wrote(tmp_path):
    mine, taken = tmp_path / "mine", tmp_path / "taken"
    heart = Heart()
    for path in (mine, taken):
        path.write_bytes(b"me")
        heart.begin(path, functools.partial(touch, path, b"me"), 0.02)
    taken.write_bytes(b"another")
    try:
        for _ in range(3):
            for path in (mine, taken):
                os.utime(path, (1000, 1000))
            end = time.monotonic() + 60
            while mine.stat().st_mtime == 1000:
                assert time.monotonic() < end
                time.sleep(0.01)
        assert taken.stat().st_mtime == 1000
    finally:
        heart.end(mine)
        heart.end(taken)


def test_a_lock_that_a_dead_writer_elsewhere_still_holds_is_taken_over(
    tmp_path, commit
):
    beat = 20.0  # A tenth of it is what a busy machine may take.
    with writer(tmp_path, beat, "elsewhere") as first:
        assert tell(first, "hold") == "held"
        first.send_signal(signal.SIGSTOP)
        runs = runs_of(tmp_path, lock_timeout=0.2)
        in_the_past(tmp_path, 7.9 * beat - 0.2)
        # Not before it is known to be dead.
        with pytest.raises(StoreError, match=r"lock must be free.*on elsewhere"):
            commit(runs, "early", run_id="other")
        in_the_past(tmp_path, 1000)
        with pytest.warns(UserWarning, match="all that may hold it are dead"):
            commit(runs, "mine", run_id="other")
        commit(runs, "again", run_id="other")
        assert [one.name for one in runs.checkpoints()] == ["mine", "again"]


def test_readers_see_who_writes_and_never_wait(tmp_path):
    with writer(tmp_path, BEAT) as first:
        tell(first, "commit")
        tell(first, "hold")
        runs = runs_of(tmp_path, lock_timeout=0)
        [saved] = runs.checkpoints()
        saved.verify()
        assert runs.latest_run() == "shared"
        assert runs.history() == []
        [found] = runs.writers()
        assert (found.pid, found.run_id, found.death) == (first.pid, "shared", None)
        assert found.silent < 60
    assert not (tmp_path / "lock-takeover").exists()


def test_a_run_is_given_back_when_its_process_ends_or_says_so(tmp_path):
    with writer(tmp_path, BEAT) as first:
        first.stdin.close()
        first.wait(60)
    assert runs_of(tmp_path).writers() == []
    runs = runs_of(tmp_path)
    runs.start_run("shared", {})
    assert [one.pid for one in runs.writers()] == [os.getpid()]
    runs.end_run("shared")
    runs.end_run("shared")
    assert runs.writers() == []
    assert not list(tmp_path.glob("lock-*"))


def test_a_process_is_never_in_its_own_way(tmp_path, commit):
    for _ in range(2):
        runs_of(tmp_path).start_run("shared", {})
        commit(runs_of(tmp_path), run_id="shared")
    runs_of(tmp_path).end_run("shared")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
def test_a_fork_is_another_process(tmp_path, commit):
    runs = runs_of(tmp_path)
    runs.start_run("shared", {})

    def child():
        try:
            commit(runs, run_id="shared")
        except StoreError as error:
            os._exit(7 if "must name this process" in str(error) else 8)
        os._exit(9)

    forked = multiprocessing.get_context("fork").Process(target=child)
    forked.start()
    forked.join(60)
    assert forked.exitcode == 7
    assert [one.pid for one in runs.writers()] == [os.getpid()]
    runs.end_run("shared")


NOBODY = '{"run_id":"shared","host":"h","machine":"m","born":"b","started":%s,"pid":%s}'


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff" * 99, b'{"pid": 1}', b'{"interval":1,"pid":-1}']
    + [
        (NOBODY % fields)[:-1].encode() + b',"interval":1}'
        for fields in ((0, -1), (0, 1.5), ('"NaN"', 1), (1e40, 1))
    ],
)
def test_what_names_no_writer_is_in_nobodys_way(tmp_path, content):
    runs = runs_of(tmp_path)
    runs.start_run("shared", {})
    [path] = tmp_path.glob("lock-*.json")
    runs.end_run("shared")
    path.write_bytes(content)
    (tmp_path / "lock-other.json").write_bytes(content)
    assert runs.writers() == []
    runs.start_run("shared", {})
    assert [one.run_id for one in runs.writers()] == ["shared"]
    assert not (tmp_path / "lock-other.json").exists()
    runs.end_run("shared")


def test_a_link_names_no_writer(tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "lock-1.json").symlink_to(tmp_path / "secret")
    assert runs_of(tmp_path).writers() == []
    runs_of(tmp_path).start_run("a", {})
    runs_of(tmp_path).end_run("a")
    assert (tmp_path / "secret").exists()


def an_owner(**changes):
    me = owner.this_process("a", 15.0)
    return Owner(**{**vars(me), "silent": 10.0, **changes})


@linux
@pytest.mark.parametrize(
    ("changes", "is_dead"),
    [
        ({}, False),
        ({"silent": 1e9}, False),
        # The same number, another process: the first of a container, for example.
        ({"born": "1"}, True),
        ({"pid": (1 << 22) + 1}, True),
        # Where the process table knows nothing, silence is all there is.
        ({"machine": "another", "pid": (1 << 22) + 1}, False),
        ({"machine": "another", "silent": 119.0}, False),
        ({"machine": "another", "silent": 121.0}, True),
        ({"machine": "", "silent": 121.0}, True),
        # This machine, but nobody can tell one process from another of its number.
        ({"born": ""}, False),
        ({"born": "", "silent": 121.0}, True),
        ({"born": "", "pid": (1 << 22) + 1}, True),
    ],
)
def test_who_is_dead_follows_the_rule(changes, is_dead):
    assert (an_owner(**changes).death is not None) == is_dead


@linux
def test_one_of_whom_the_system_tells_nothing_is_judged_by_its_silence(monkeypatch):
    """Another user's process, which may have got the number of a dead one."""
    me, silent = an_owner(), an_owner(silent=1000.0)
    monkeypatch.setattr(owner, "_born", lambda _: "")
    assert (me.is_known_alive, me.death) == (False, None)
    assert "no sign of life" in silent.death


def taken_by_another(runs):
    """Let a living process of another machine have the run `shared`."""
    path = runs._ownership.path_of("shared")
    path.write_bytes(an_owner(run_id="shared", machine="another").dumped())
    return path


def test_a_run_of_another_gets_no_byte(tmp_path, commit):
    class Untouched(Files):
        def create(self, path):
            pytest.fail(f"created {path}")

    runs = RunDirectory(tmp_path, Untouched())
    taken_by_another(runs)
    with pytest.raises(StoreError, match="Nothing was changed"):
        commit(runs, run_id="shared")


def test_a_run_that_is_lost_while_a_checkpoint_is_written_does_not_get_it(
    tmp_path, commit
):
    class Sleeps(Files):
        def sync_directory(self, path):
            super().sync_directory(path)
            if path.name.startswith(".tmp-"):
                taken_by_another(runs)

    runs = RunDirectory(tmp_path, Sleeps())
    runs.start_run("shared", {})
    with pytest.raises(StoreError, match=r"is written by process .*'shared'"):
        commit(runs, run_id="shared")
    assert runs.checkpoints() == []
    assert not list(tmp_path.rglob(".tmp-*"))
    # What is another's is not given back.
    runs.end_run("shared")
    assert len(runs.writers()) == 1


def test_an_owner_comes_back_as_it_was_written():
    me = an_owner()
    assert me.is_me
    again = parse_owner(me.dumped(), 3.0)
    assert again == me
    assert again.is_me
    assert again.silent == 3.0
    assert json.loads(me.dumped())["host"] == socket.gethostname()
