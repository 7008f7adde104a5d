"""A manifest is read once, and never believed once it has changed."""

import os
import shutil
import time

import pytest

from multiback.store import RunDirectory
from multiback.store.local import listing


@pytest.fixture
def reads(monkeypatch):
    """The names of the manifests that are read; files count as at rest at once."""
    names = []
    real = listing.read_checkpoint

    def read(path):
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(listing, "read_checkpoint", read)
    monkeypatch.setattr(listing, "AT_REST_NS", 0)
    return names


@pytest.fixture
def listed(runs, commit, reads):
    """A run directory of three checkpoints that was listed once."""
    for name in ("one", "two", "three"):
        commit(runs, name)
    assert len(runs.checkpoints()) == 3
    reads.clear()
    return runs


def flip(path):
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


def test_a_second_listing_reads_no_manifest_and_returns_the_same(listed, reads):
    first = listed.checkpoints()
    assert listed.checkpoints() == first == RunDirectory(listed.path).checkpoints()
    assert reads == ["one", "three", "two"]


def test_a_commit_reads_only_what_is_new(listed, commit, reads):
    for index in range(5):
        commit(listed, f"next {index}")
    # Each was read once, by the commit after it.
    assert sorted(reads) == [f"next {index}" for index in range(4)]
    assert [one.sequence for one in listed.checkpoints()] == list(range(1, 9))


def test_another_processs_commits_and_removals_are_seen(listed, commit, reads):
    other = RunDirectory(listed.path)
    commit(other, "new")
    other.remove(other.checkpoints()[0], run_id="a")
    reads.clear()
    assert [one.name for one in listed.checkpoints()] == ["two", "three", "new"]
    assert reads == ["new"]
    assert commit(listed, "last").sequence == 5


def test_a_manifest_that_changes_in_place_is_noticed(listed):
    path = listed.path / "checkpoints" / "two" / "manifest.json"
    content = path.read_bytes()
    status = path.stat()
    flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert [one.name for one in listed.checkpoints()] == ["one", "three"]
    assert [where.name for where, _ in listed.skipped] == ["two"]
    path.write_bytes(content)
    assert len(listed.checkpoints()) == 3
    assert listed.skipped == []


def test_another_commit_of_the_same_name_is_noticed(listed, commit):
    old = listed.checkpoints()[0]
    other = RunDirectory(listed.path)
    other.remove(old, run_id="a")
    new = commit(other, "one", value=2.0)
    assert listed.checkpoints()[-1] == new != old
    assert listed.checkpoints()[-1].metrics == {"val_f1": 2.0}


def test_a_checkpoint_that_became_a_link_is_noticed(listed, tmp_path):
    path = listed.path / "checkpoints" / "two"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert [one.name for one in listed.checkpoints()] == ["one", "three"]


def test_a_copy_with_the_same_times_is_read_again(listed, tmp_path):
    path = listed.path / "checkpoints" / "two"
    shutil.copytree(path, tmp_path / "copy")
    flip(tmp_path / "copy" / "manifest.json")
    shutil.copystat(path / "manifest.json", tmp_path / "copy" / "manifest.json")
    shutil.rmtree(path)
    (tmp_path / "copy").rename(path)
    assert [one.name for one in listed.checkpoints()] == ["one", "three"]


def test_a_manifest_that_was_just_written_is_not_remembered_yet(
    runs, commit, reads, monkeypatch
):
    # Whatever a busy machine takes, it is less than the one and more than the other.
    monkeypatch.setattr(listing, "AT_REST_NS", int(3600e9))
    commit(runs)
    reads.clear()
    runs.checkpoints()
    runs.checkpoints()
    assert reads == ["one", "one"]
    monkeypatch.setattr(listing, "AT_REST_NS", int(0.05e9))
    time.sleep(0.1)
    runs.checkpoints()
    runs.checkpoints()
    assert reads == ["one", "one", "one"]


def test_what_is_gone_is_forgotten(listed):
    for one in listed.checkpoints():
        listed.remove(one, run_id="a")
    assert listed.checkpoints() == []
    assert listed._listing._known == {}
