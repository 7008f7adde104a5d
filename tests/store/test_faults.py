"""Every system call of a commit fails in turn; nothing that was committed suffers."""

import errno
import os
import re

import pytest

from multiback.errors import StoreError
from multiback.store import Files, RunDirectory

CHANGES = [name for name in vars(Files) if not name.startswith("_")]


class FailingFiles(Files):
    """Fail the n-th call, and all later ones if the disk stays full."""

    def __init__(self, at, code, *, stays=False):
        self.calls = []
        self.at, self.code, self.stays = at, code, stays

    def count(self, name):
        index = len(self.calls)
        self.calls.append(name)
        due = index == self.at or (self.stays and index > self.at)
        # A descriptor that is never closed would be this test's own fault.
        if due and name != "close":
            raise OSError(self.code, os.strerror(self.code))


def counted(name):
    def call(self, *arguments):
        self.count(name)
        return getattr(Files, name)(self, *arguments)

    return call


for _name in CHANGES:
    setattr(FailingFiles, _name, counted(_name))


def scenario(path, commit, files):
    """Commit a new architecture and checkpoint, then remove an older one."""
    runs = RunDirectory(path, files)
    old = runs.checkpoints()
    commit(runs, "new", run_id="a", architecture={"new": 1}, value=9.0)
    runs.remove(old[0], run_id="a")


@pytest.fixture
def prepared(commit, unsynced):
    def prepare(path):
        runs = RunDirectory(path, unsynced)
        commit(runs, "first")
        commit(runs, "second")
        return runs

    return prepare


@pytest.fixture
def calls(tmp_path, commit, prepared):
    """The names of a successful scenario's system calls, in order."""
    prepared(tmp_path / "probe")
    files = FailingFiles(-1, 0)
    scenario(tmp_path / "probe", commit, files)
    return files.calls


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_any_call_that_fails_is_a_store_error_and_leaves_the_rest_intact(
    tmp_path, commit, prepared, calls, code
):
    assert len(calls) >= 25
    for at, name in enumerate(calls):
        if name == "close":
            continue
        path = tmp_path / str(at)
        runs = prepared(path)
        files = FailingFiles(at, code)
        with pytest.raises(StoreError) as caught:
            scenario(path, commit, files)
        assert caught.value.errno == code
        assert isinstance(caught.value.__cause__, OSError)
        assert str(path) in str(caught.value)
        listed = [one.name for one in runs.checkpoints()]
        assert runs.skipped == []
        assert "second" in listed
        assert "first" in listed or "new" in listed
        for one in runs.checkpoints():
            one.verify()
        # A single failure leaves no garbage of the commit.
        if "new" not in listed:
            assert listed == ["first", "second"]
            assert not list(path.rglob(".tmp-*"))
        runs.start_run("next", {})
        assert not [*path.rglob(".tmp-*"), *path.rglob(".del-*")]
        commit(runs, "next").verify()


def test_a_disk_that_stays_full_leaves_garbage_only(tmp_path, commit, prepared, calls):
    for at in range(len(calls)):
        path = tmp_path / str(at)
        runs = prepared(path)
        try:
            scenario(path, commit, FailingFiles(at, errno.ENOSPC, stays=True))
        except StoreError:
            pass
        else:
            assert set(calls[at:]) == {"close"}
        assert runs.skipped == []
        for one in runs.checkpoints():
            one.verify()
        assert {"second"} < {one.name for one in runs.checkpoints()}
        runs.collect_garbage()
        commit(runs, "next").verify()


def test_a_full_disk_names_the_path_and_the_bytes(tmp_path, commit, prepared, calls):
    runs = prepared(tmp_path / "run")
    # The first write is the architecture's, the second the state's.
    at = [index for index, name in enumerate(calls) if name == "write"][1]
    with pytest.raises(StoreError) as caught:
        scenario(runs.path, commit, FailingFiles(at, errno.ENOSPC))
    text = str(caught.value)
    assert "state.safetensors" in text
    assert re.search(r"could not write \d+ bytes at position 0 of", text)
    assert "Free some space" in text


def test_a_write_that_takes_a_part_continues_with_the_rest(tmp_path, commit):
    class OneByte(Files):
        def write(self, descriptor, data):
            return super().write(descriptor, data[:1])

    commit(RunDirectory(tmp_path, OneByte())).verify()


def test_a_failing_close_is_reported_because_network_disks_fail_there(
    tmp_path, commit, prepared
):
    class FailingClose(Files):
        def close(self, descriptor):
            super().close(descriptor)
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    runs = prepared(tmp_path)
    with pytest.raises(StoreError, match="quota"):
        commit(RunDirectory(tmp_path, FailingClose()), "new")
    assert [one.name for one in runs.checkpoints()] == ["first", "second"]


def test_a_commit_that_was_reported_as_failed_does_not_turn_up_later(
    tmp_path, commit, prepared
):
    class FailingAtTheEnd(Files):
        """Fail the first fsync of a directory after a rename."""

        renamed = False

        def rename(self, source, target):
            super().rename(source, target)
            self.renamed = True

        def sync_directory(self, path):
            if self.renamed:
                self.renamed = False
                raise OSError(errno.EIO, "Input/output error")
            super().sync_directory(path)

    runs = prepared(tmp_path)
    with pytest.raises(StoreError, match="fsync the directory"):
        commit(RunDirectory(tmp_path, FailingAtTheEnd()), "new")
    assert [one.name for one in runs.checkpoints()] == ["first", "second"]


def test_an_interrupt_in_a_commit_leaves_nothing_of_it(tmp_path, commit, prepared):
    class Interrupting(Files):
        def sync(self, _):
            raise KeyboardInterrupt

    runs = prepared(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        commit(RunDirectory(tmp_path, Interrupting()), "new", architecture=None)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["first", "second"]
    commit(runs, "new").verify()


def test_an_extra_file_that_cannot_be_read_is_named(runs, commit, tmp_path):
    with pytest.raises(StoreError, match=r"read the extra file .*absent"):
        commit(runs, extra_files={"x": tmp_path / "absent"})
    assert not list((runs.path / "checkpoints").iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_history_survives_a_failing_append(tmp_path, code):
    RunDirectory(tmp_path).append_history({"epoch": 0})

    class HalfALine(Files):
        def write(self, descriptor, data):
            if len(data) < 5:
                raise OSError(code, os.strerror(code))
            return super().write(descriptor, data[:5])

    failing = RunDirectory(tmp_path, HalfALine())
    with pytest.raises(StoreError, match=r"history\.jsonl"):
        failing.append_history({"epoch": 1})
    runs = RunDirectory(tmp_path)
    assert runs.history() == [{"epoch": 0}]
    runs.append_history({"epoch": 2})
    assert runs.history() == [{"epoch": 0}, {"epoch": 2}]
