"""One process at a time writes a run on a real S3 server; the dead are found out."""

import contextlib
import signal
import socket
import time

import numpy as np
import pytest
from support.owning import started, tell, writer

from multiback.errors import StoreError
from multiback.store import Request, open_run_directory
from multiback.store.remote import ownership as remote_ownership

# Eight of these are patience enough for a test, and S3's times are whole seconds.
BEAT = 1.0


@pytest.fixture(autouse=True)
def beat(monkeypatch):
    monkeypatch.setattr(remote_ownership, "BEAT_SECONDS", BEAT)


def commit(runs, name="mine"):
    fields = {"tensors": {"w": np.ones(3)}, "epoch": 1, "step": 1, "metrics": {}}
    return runs.commit(Request(name, run_id="shared", **fields))


def names(url):
    return [one.name for one in open_run_directory(url).checkpoints()]


def test_a_second_process_is_told_who_has_the_run_and_may_change_nothing(url):
    with writer(url, BEAT) as first:
        assert first.answer == "started"
        runs = open_run_directory(url)
        with pytest.raises(StoreError) as caught:
            runs.start_run("shared", {})
        text = str(caught.value)
        assert f"process {first.pid} on {socket.gethostname()}" in text
        assert 'resume="never"' in text
        assert tell(first, "commit") == "one"
        with pytest.raises(StoreError, match=f"is written by process {first.pid}"):
            commit(runs)
        [saved] = runs.checkpoints()
        with pytest.raises(StoreError, match=f"is written by process {first.pid}"):
            runs.remove(saved, run_id="shared")
        saved.verify()
        assert [one.pid for one in runs.writers()] == [first.pid]
        assert tell(first, "commit") == "one-v2"
        # Another run of the same directory is in nobody's way.
        runs.start_run("other", {})
        runs.end_run("other")
    assert names(url) == ["one", "one-v2"]


def test_of_several_that_come_at_once_one_gets_the_run(url):
    with contextlib.ExitStack() as stack:
        # They start at about the same time, for each has to import first.
        processes = [stack.enter_context(started(url, BEAT)) for _ in range(4)]
        answers = [one.stdout.readline().split()[0] for one in processes]
        assert sorted(answers) == [*["refused"] * 3, "started"]
        assert tell(processes[answers.index("started")], "commit") == "one"


def test_of_two_that_see_each_other_the_one_of_the_smaller_name_goes_first(
    url, monkeypatch
):
    # The other claims while this process's object is there, and the other way round.
    for name, answer in (("0", "refused"), ("~", "started")):
        monkeypatch.setattr(remote_ownership.secrets, "token_hex", lambda _, n=name: n)
        runs = open_run_directory(url)
        with contextlib.ExitStack() as stack:
            others = []
            look = runs._ownership._look

            def looked(folder, look=look, others=others, stack=stack):
                if not others:
                    others.append(stack.enter_context(started(url, BEAT)))
                    end = time.monotonic() + 60
                    while len(look(folder)) < 2 and time.monotonic() < end:
                        time.sleep(0.01)
                return look(folder)

            monkeypatch.setattr(runs._ownership, "_look", looked)
            refused = contextlib.nullcontext()
            if answer == "started":
                refused = pytest.raises(StoreError, match="must have one writer")
            with refused:
                runs.start_run("shared", {})
            assert others[0].stdout.readline().split()[0] == answer
        runs.end_run("shared")


def test_a_run_is_given_back_when_its_process_ends(url):
    with writer(url, BEAT) as first:
        first.stdin.close()
        assert first.wait() == 0
    runs = open_run_directory(url)
    assert runs.writers() == []
    runs.start_run("shared", {})
    commit(runs)


def test_a_killed_process_is_taken_over_from_at_once_with_a_warning(url):
    with writer(url, BEAT) as first:
        tell(first, "commit")
    runs = open_run_directory(url)
    with pytest.warns(UserWarning, match=f"left by process {first.pid} .* is gone"):
        runs.start_run("shared", {})
    commit(runs)
    assert names(url) == ["one", "mine"]


def test_elsewhere_one_that_gives_signs_of_life_keeps_its_run(url):
    with writer(url, BEAT, "elsewhere") as first:
        runs = open_run_directory(url)
        with pytest.raises(StoreError, match=r"being written by process .* elsewhere"):
            runs.start_run("shared", {})
        # What asked has left nothing that is in the way.
        assert [one.host for one in runs.writers()] == ["elsewhere"]
        assert tell(first, "commit") == "one"


def test_elsewhere_one_that_is_stopped_for_too_long_loses_its_run(url):
    with writer(url, BEAT, "elsewhere") as first:
        assert tell(first, "commit") == "one"
        first.send_signal(signal.SIGSTOP)
        runs, start = open_run_directory(url), time.monotonic()
        with pytest.warns(UserWarning, match=r"no sign of life for \d+ sec"):
            runs.start_run("shared", {})
        assert time.monotonic() - start > 5 * BEAT
        commit(runs)
        first.send_signal(signal.SIGCONT)
        assert tell(first, "commit").startswith("refused")
        time.sleep(2 * BEAT)
        # It has not come back, and beats for nobody.
        [now] = runs.writers()
        assert now.is_me
        assert names(url) == ["one", "mine"]


def test_one_that_is_taken_over_from_while_it_uploads_commits_nothing(url, monkeypatch):
    runs = open_run_directory(url)
    runs.start_run("shared", {})
    commit(runs, "first")
    bucket, upload = runs._bucket, runs._bucket.upload

    def lose(source, name):
        upload(source, name)
        if name.endswith("manifest.json"):
            bucket.delete(bucket.list("writers"))

    monkeypatch.setattr(bucket, "upload", lose)
    with pytest.raises(StoreError, match="has another writer"):
        commit(runs, "second")
    assert names(url) == ["first"]
    assert not [name for name in bucket.list("checkpoints") if "second" in name]
