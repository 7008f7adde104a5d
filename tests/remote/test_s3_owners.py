"""One process at a time writes a run on a real S3 server; the dead are found out."""

import contextlib
import signal
import socket
import time

import numpy as np
import pytest
from support.owning import started, tell, writer

from multiback.errors import RunLeftWarning, StoreError, WaitingForRunWarning
from multiback.store import Request, open_run_directory
from multiback.store.remote.bucket import Bucket

# Long enough for S3's times, which are whole seconds.
TIMEOUT = 6


def commit(runs, name="mine"):
    fields = {"tensors": {"w": np.ones(3)}, "epoch": 1, "step": 1, "metrics": {}}
    return runs.commit(Request(name, run_id="shared", **fields))


def opened(url):
    return open_run_directory(url, claim_timeout=TIMEOUT)


def names(url):
    return [one.name for one in open_run_directory(url).checkpoints()]


def test_a_second_process_learns_which_has_the_run_and_may_change_nothing(url):
    with writer(url, TIMEOUT) as first:
        assert first.answer == "started"
        runs = opened(url)
        with pytest.warns(WaitingForRunWarning), pytest.raises(StoreError) as caught:
            runs.start_run("shared", {})
        text = str(caught.value)
        assert f"process {first.pid} on {socket.gethostname()}" in text
        assert 'resume="never"' in text
        assert tell(first, "commit") == "one"
        with pytest.raises(StoreError, match=f"written by process {first.pid}"):
            commit(runs)
        [saved] = runs.checkpoints()
        with pytest.raises(StoreError, match=f"written by process {first.pid}"):
            runs.remove(saved, run_id="shared")
        saved.verify()
        assert [one.pid for one in runs.writers()] == [first.pid]
        assert tell(first, "commit") == "one-v2"
        # Another run of the same directory does not interfere.
        runs.start_run("other", {})
        runs.end_run("other")
    assert names(url) == ["one", "one-v2"]


def test_of_several_that_come_at_once_one_gets_the_run(url):
    with contextlib.ExitStack() as stack:
        # They start at about the same time, for each has to import first.
        processes = [stack.enter_context(started(url, TIMEOUT)) for _ in range(3)]
        answers = [one.stdout.readline().split()[0] for one in processes]
        assert sorted(answers) == [*["refused"] * 2, "started"]
        assert tell(processes[answers.index("started")], "commit") == "one"


def test_a_run_is_released_when_its_process_ends(url):
    with writer(url, TIMEOUT) as first:
        first.stdin.close()
        assert first.wait() == 0
    runs = opened(url)
    assert runs.writers() == []
    runs.start_run("shared", {})
    commit(runs)


def test_a_killed_process_is_taken_over_from_at_once_with_a_warning(url):
    with writer(url, TIMEOUT) as first:
        tell(first, "commit")
    runs = opened(url)
    with pytest.warns(RunLeftWarning, match=f"process {first.pid} on .* has ended"):
        runs.start_run("shared", {})
    commit(runs)
    assert names(url) == ["one", "mine"]


def test_a_writer_elsewhere_that_renews_its_claim_keeps_its_run(url):
    with writer(url, TIMEOUT, "elsewhere") as first:
        runs = opened(url)
        with (
            pytest.warns(WaitingForRunWarning, match="on elsewhere"),
            pytest.raises(StoreError, match=r"written by process .* elsewhere"),
        ):
            runs.start_run("shared", {})
        # What asked has left nothing that is in the way.
        assert [one.host for one in runs.writers()] == ["elsewhere"]
        assert tell(first, "commit") == "one"


def test_a_writer_elsewhere_that_is_stopped_for_too_long_loses_its_run(url):
    with writer(url, TIMEOUT, "elsewhere") as first:
        assert tell(first, "commit") == "one"
        first.send_signal(signal.SIGSTOP)
        runs, start = opened(url), time.monotonic()
        with (
            pytest.warns(WaitingForRunWarning),
            pytest.warns(RunLeftWarning, match=r"not renewed for \d+ sec"),
        ):
            runs.start_run("shared", {})
        assert time.monotonic() - start > TIMEOUT / 2
        commit(runs)
        first.send_signal(signal.SIGCONT)
        assert tell(first, "commit").startswith("refused")
        time.sleep(TIMEOUT / 4)
        # It has not come back, and renews nothing.
        [now] = runs.writers()
        assert now.is_me
        assert names(url) == ["one", "mine"]


def test_one_that_is_taken_over_from_while_it_uploads_commits_nothing(url, monkeypatch):
    # It renews nothing by itself meanwhile.
    runs = open_run_directory(url, claim_timeout=1e5)
    runs.start_run("shared", {})
    commit(runs, "first")
    bucket, upload = runs._bucket, runs._bucket.upload
    with contextlib.ExitStack() as stack:

        def lose(source, name):
            upload(source, name)
            if name.endswith("manifest.json"):
                bucket.delete(bucket.list("writers"))
                assert stack.enter_context(writer(url, TIMEOUT)).answer == "started"

        monkeypatch.setattr(bucket, "upload", lose)
        with pytest.raises(StoreError, match="wants one writer"):
            commit(runs, "second")
    assert names(url) == ["first"]
    assert not [name for name in bucket.list("checkpoints") if "second" in name]


def test_a_claim_that_was_deleted_is_made_again(url):
    runs = opened(url)
    runs.start_run("shared", {})
    runs._bucket.delete(runs._bucket.list("writers"))
    commit(runs)
    assert [one.is_me for one in runs.writers()] == [True]
    runs.end_run("shared")
    assert runs.writers() == []


def test_a_claim_is_renewed_by_a_timer_and_by_commits(url, monkeypatch):
    runs = open_run_directory(url, claim_timeout=1)
    runs.start_run("shared", {})
    [name] = runs._bucket.list("writers")
    written = []
    write = Bucket.write

    def noted(self, name, content):
        written.append(name)
        write(self, name, content)

    monkeypatch.setattr(Bucket, "write", noted)
    end = time.monotonic() + 60
    while name not in written:
        assert time.monotonic() < end
        time.sleep(0.01)
    runs.end_run("shared")
    slow = open_run_directory(url, claim_timeout=1e5)
    slow.start_run("shared", {})
    written.clear()
    commit(slow)
    assert [one for one in written if one.startswith("writers/")]
    slow.end_run("shared")
