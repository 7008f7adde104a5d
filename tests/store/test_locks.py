"""One process at a time writes a run, and no run waits for another's files."""

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from support.owning import started, tell, writer

from multiback.errors import StoreError
from multiback.store import Files, RunDirectory, owner

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def names(place):
    return [one.name for one in RunDirectory(place).checkpoints()]


def test_a_second_writer_learns_who_has_the_run_and_what_to_do(tmp_path, commit):
    with writer(tmp_path) as first:
        assert first.answer == "started"
        with pytest.raises(StoreError) as caught:
            RunDirectory(tmp_path).start_run("shared", {})
        text = str(caught.value)
        assert f"process {first.pid} on {socket.gethostname()}" in text
        assert re.search(r"run 'shared', since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)
        assert f"`kill {first.pid}` on" in text
        assert 'resume="never"' in text
        # Without a start it may not write or remove either.
        assert tell(first, "commit") == "one"
        with pytest.raises(StoreError, match="Nothing was changed"):
            commit(RunDirectory(tmp_path), "two", run_id="shared")
        [saved] = RunDirectory(tmp_path).checkpoints()
        with pytest.raises(StoreError, match="wants one writer"):
            RunDirectory(tmp_path).remove(saved, run_id="shared")
        saved.verify()
        # Another run of the same directory is free.
        other = RunDirectory(tmp_path)
        other.start_run("other", {})
        commit(other, "mine", run_id="other")
        other.end_run("other")


def test_a_run_that_another_process_writes_gets_no_byte(tmp_path, commit):
    class Untouched(Files):
        def create(self, path):
            pytest.fail(f"created {path}")

    with writer(tmp_path), pytest.raises(StoreError, match="Nothing was changed"):
        commit(RunDirectory(tmp_path, Untouched()), run_id="shared")


def test_a_killed_writers_run_is_free_at_once(tmp_path, commit):
    with writer(tmp_path) as first:
        tell(first, "commit")
        first.kill()
    runs = RunDirectory(tmp_path)
    [found] = runs.writers()
    assert found.death == "its process has ended"
    runs.start_run("shared", {})
    commit(runs, "two", run_id="shared")
    assert names(tmp_path) == ["one", "two"]
    runs.end_run("shared")
    assert runs.writers() == []


def test_a_stopped_process_keeps_its_run(tmp_path):
    with writer(tmp_path) as first:
        first.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreError, match="wants one writer"):
            RunDirectory(tmp_path).start_run("shared", {})
        first.send_signal(signal.SIGCONT)
        assert tell(first, "commit") == "one"


@posix
@pytest.mark.parametrize("end", ["killed", "alive"])
def test_a_forked_child_neither_keeps_nor_releases_its_parents_run(tmp_path, end):
    """As a DataLoader's worker that outlives the training, or ends before it."""
    with writer(tmp_path) as first:
        child = int(tell(first, "fork"))
        try:
            if end == "killed":
                first.kill()
                first.wait(60)
                RunDirectory(tmp_path).start_run("shared", {})
                os.kill(child, 0)
            else:
                os.kill(child, signal.SIGKILL)
                with pytest.raises(StoreError, match="wants one writer"):
                    RunDirectory(tmp_path).start_run("shared", {})
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    RunDirectory(tmp_path).end_run("shared")


@posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")
def test_a_fork_is_another_process(tmp_path, commit):
    runs = RunDirectory(tmp_path)
    runs.start_run("shared", {})

    def child():
        try:
            commit(runs, run_id="shared")
        except StoreError as error:
            os._exit(7 if "wants one writer" in str(error) else 8)
        os._exit(9)

    forked = multiprocessing.get_context("fork").Process(target=child)
    forked.start()
    forked.join(60)
    assert forked.exitcode == 7
    assert [one.pid for one in runs.writers()] == [os.getpid()]
    commit(runs, run_id="shared")
    runs.end_run("shared")


def test_of_several_that_come_at_once_one_gets_the_run(tmp_path):
    """First a new run; then one whose writer was killed."""
    for name in ("one", "one-v2"):
        with contextlib.ExitStack() as stack:
            # They start at about the same time, because each has to import first.
            processes = [stack.enter_context(started(tmp_path)) for _ in range(3)]
            answers = [one.stdout.readline().strip() for one in processes]
            assert sorted(one.split()[0] for one in answers) == [
                *["refused"] * 2,
                "started",
            ]
            assert tell(processes[answers.index("started")], "commit") == name
    for one in RunDirectory(tmp_path).checkpoints():
        one.verify()


def test_a_run_is_released_when_its_process_ends_or_says_so(tmp_path):
    with writer(tmp_path) as first:
        first.stdin.close()
        first.wait(60)
    runs = RunDirectory(tmp_path)
    assert runs.writers() == []
    runs.start_run("shared", {})
    assert [one.pid for one in runs.writers()] == [os.getpid()]
    runs.end_run("shared")
    runs.end_run("shared")
    assert runs.writers() == []
    assert not list(tmp_path.glob("lock-*"))


def test_a_process_never_blocks_itself(tmp_path, commit):
    for _ in range(2):
        RunDirectory(tmp_path).start_run("shared", {})
        commit(RunDirectory(tmp_path), run_id="shared")
    RunDirectory(tmp_path).end_run("shared")


def test_readers_see_who_writes_and_never_wait(tmp_path):
    with writer(tmp_path) as first:
        tell(first, "commit")
        tell(first, "hold")
        runs = RunDirectory(tmp_path, lock_timeout=0)
        [saved] = runs.checkpoints()
        saved.verify()
        assert runs.latest_run() == "shared"
        assert runs.history() == []
        [found] = runs.writers()
        assert (found.pid, found.run_id, found.death) == (first.pid, "shared", None)


def test_reading_changes_nothing(tmp_path, commit):
    run = tmp_path / "run"
    commit(RunDirectory(run))
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


# What is lost from outside.


@pytest.mark.parametrize("lost", ["lock", "directory"])
def test_a_run_whose_lock_or_directory_was_removed_is_taken_again(
    tmp_path, commit, lost
):
    run = tmp_path / "run"
    runs = RunDirectory(run)
    runs.start_run("shared", {})
    commit(runs, run_id="shared")
    if lost == "lock":
        for path in run.glob("lock-*"):
            path.unlink()
    else:
        shutil.rmtree(run)
    commit(runs, "two", run_id="shared").verify()
    # It is locked again.
    with started(run) as other:
        assert other.stdout.readline().startswith("refused")
    runs.end_run("shared")
    assert not list(run.glob("lock-*"))


def test_a_run_that_is_lost_while_a_checkpoint_is_written_does_not_get_it(
    tmp_path, commit
):
    class Loses(Files):
        def sync_directory(self, path):
            super().sync_directory(path)
            if path.name.startswith(".tmp-") and not others:
                for lock in tmp_path.glob("lock-*"):
                    lock.unlink()
                others.append(stack.enter_context(writer(tmp_path)))

    others = []
    with contextlib.ExitStack() as stack:
        runs = RunDirectory(tmp_path, Loses())
        runs.start_run("shared", {})
        with pytest.raises(StoreError, match=f"process {os.getpid()}|wants one writer"):
            commit(runs, run_id="shared")
        assert others[0].answer == "started"
        assert runs.checkpoints() == []
        # What another process holds is not released.
        runs.end_run("shared")
        [found] = runs.writers()
        assert found.pid == others[0].pid
        assert tell(others[0], "commit") == "one"
    assert not list(tmp_path.rglob(".tmp-*/manifest.json"))


# Runs beside each other.

SLOW = """
import os, sys, time, types, importlib.util as u
package = types.ModuleType("multiback")
package.__path__ = u.find_spec("multiback").submodule_search_locations
sys.modules["multiback"] = package
import numpy as np
from multiback.store import Files, Request, RunDirectory

slept = 0.0

def sleep():
    global slept
    time.sleep(float(sys.argv[3]))
    slept += float(sys.argv[3])

class Slow(Files):
    def sync(self, descriptor):
        sleep()
        super().sync(descriptor)

    def sync_directory(self, path):
        sleep()
        super().sync_directory(path)

runs = RunDirectory(sys.argv[1], Slow(), lock_timeout=1)
fields = {"tensors": {"w": np.ones(3)}, "epoch": 1, "step": 1, "metrics": {}}
runs.start_run(sys.argv[2], {})
print("started", flush=True)
began, slept = time.monotonic(), 0.0
one = runs.commit(Request("c", run_id=sys.argv[2], **fields))
runs.remove(one, run_id=sys.argv[2])
runs.commit(Request("c", run_id=sys.argv[2], **fields))
print("done", time.monotonic() - began - slept, flush=True)
"""
# Seconds for each of four calls of a commit. More in a torture session: 12 runs with
# 3 s, and two whose commits take 92 s.
SLOW_RUNS = tuple(
    tuple(map(float, each.split("x")))
    for each in os.environ.get("MULTIBACK_SLOW_RUNS", "3x0.6").split(",")
)


@pytest.mark.torture
@pytest.mark.parametrize(("count", "seconds"), SLOW_RUNS)
def test_runs_with_slow_disks_do_not_wait_for_each_other(
    tmp_path, commit, count, seconds
):
    """Each commit and removal takes longer than others wait for the lock."""
    runs = RunDirectory(tmp_path, lock_timeout=1)
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SLOW, tmp_path, f"slow {n}", str(seconds)],
                    stdout=subprocess.PIPE,
                    cwd="/",
                )
            )
            for n in range(int(count))
        ]
        for each in slow:
            assert each.stdout.readline() == b"started\n"
        waits = []
        while any(each.poll() is None for each in slow):
            start = time.monotonic()
            runs.remove(commit(runs, "c", run_id="quick"), run_id="quick")
            waits.append(time.monotonic() - start)
            time.sleep(0.05)
        waited = []
        for each in slow:
            done, own = each.stdout.read().split()
            assert done == b"done"
            waited.append(float(own))
    print(
        f"{count:.0f} runs of {seconds} s a call: at most {max(waited):.2f} s beside "
        f"their own calls, and {max(waits):.2f} s for {len(waits)} quick commits"
    )
    assert max(waited) < 3  # Of three commits and removals, all together.
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 1
    found = runs.checkpoints()
    assert {one.run_id for one in found} == {f"slow {n}" for n in range(int(count))}
    assert len({one.name for one in found}) == count
    assert len({one.sequence for one in found}) == count


def test_commits_that_overlap_get_a_number_and_a_name_each(tmp_path, commit):
    class Meet(Files):
        """Write nothing before the others have begun."""

        def create(self, path):
            if path.name == "state.safetensors":
                barrier.wait(60)
            return super().create(path)

    barrier = threading.Barrier(4)

    def one(number):
        commit(
            RunDirectory(tmp_path, Meet()),
            "Same" if number % 2 else "same",
            run_id=f"run {number}",
        )

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = RunDirectory(tmp_path).checkpoints()
    assert [each.sequence for each in found] == [1, 2, 3, 4]
    assert len({each.name.casefold() for each in found}) == 4
    for each in found:
        each.verify()
        assert not each.is_copy


def test_a_name_that_a_person_takes_while_a_checkpoint_is_written_is_left(
    tmp_path, commit
):
    class Takes(Files):
        def sync_directory(self, path):
            super().sync_directory(path)
            if path.name.startswith(".tmp-"):
                (tmp_path / "checkpoints" / "one").mkdir(exist_ok=True)

    saved = commit(RunDirectory(tmp_path, Takes()), "one")
    assert (saved.name, saved.saved_as) == ("one-v2", "one-v2")
    saved.verify()
    assert list((tmp_path / "checkpoints" / "one").iterdir()) == []


def test_what_a_living_writer_is_writing_is_not_garbage(tmp_path, commit):
    class Watched(Files):
        def sync_directory(self, path):
            super().sync_directory(path)
            if path.name.startswith(".tmp-"):
                with writer(tmp_path) as other:
                    assert other.answer == "started"
                assert list(path.iterdir())
                # By another thread of this process, too.
                runs.start_run("third", {})
                runs.collect_garbage()
                assert list(path.iterdir())

    (tmp_path / "checkpoints").mkdir()
    left = tmp_path / "checkpoints" / f".tmp-{owner.digest_of('ended')}-4-{'0' * 32}"
    left.mkdir()
    runs = RunDirectory(tmp_path, Watched())
    commit(runs, run_id="a").verify()
    runs.end_run("third")
    # What an ended run left is collected when any run starts.
    assert not left.exists()
