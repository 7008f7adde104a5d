"""Below the path that the user gives no link is followed."""

import os
import shutil

import pytest

from multiback.errors import StoreError
from multiback.store import Files, RunDirectory
from multiback.store.disk.files import delete_tree

CALLS = {
    "checkpoints": lambda runs: runs.checkpoints(),
    "latest_run": lambda runs: runs.latest_run(),
    "start_run": lambda runs: runs.start_run("r", {}),
    "prune": lambda runs: runs.prune(lambda found: found[-1:], run_id="a"),
    "collect_garbage": lambda runs: runs.collect_garbage(),
}


def held(path):
    return sorted(str(each.relative_to(path)) for each in path.rglob("*"))


@pytest.fixture
def other(tmp_path, commit):
    """Another run's directory, with what a careless hand would take for garbage."""
    runs = RunDirectory(tmp_path / "other")
    for name in ("one", "two"):
        commit(runs, name)
    (runs.path / "checkpoints" / ".tmp-precious").mkdir()
    (runs.path / "checkpoints" / ".tmp-precious" / "file").write_text("x")
    return runs.path


@pytest.mark.parametrize("call", CALLS)
def test_checkpoints_that_is_a_link_is_an_error_and_nothing_changes_behind_it(
    tmp_path, other, call
):
    (tmp_path / "hostile").mkdir()
    (tmp_path / "hostile" / "checkpoints").symlink_to(other / "checkpoints")
    before = held(other)
    with pytest.raises(StoreError, match="as dirpath"):
        CALLS[call](RunDirectory(tmp_path / "hostile"))
    assert held(other) == before
    assert held(tmp_path / "hostile") == ["checkpoints"]


def test_a_commit_writes_nothing_behind_a_link(tmp_path, other, commit):
    (tmp_path / "hostile").mkdir()
    (tmp_path / "hostile" / "checkpoints").symlink_to(other / "checkpoints")
    before = held(other)
    with pytest.raises(StoreError, match="as dirpath"):
        commit(RunDirectory(tmp_path / "hostile"))
    assert held(other) == before


def test_the_path_that_the_user_gives_may_go_through_links(tmp_path, other):
    (tmp_path / "link").symlink_to(other)
    runs = RunDirectory(tmp_path / "link")
    assert [one.name for one in runs.checkpoints()] == ["one", "two"]
    assert runs.path == other.resolve()


@pytest.mark.skipif(os.name == "nt", reason="there are no descriptors of directories")
@pytest.mark.parametrize("swapped", ["folder", "top", "parent"])
def test_a_folder_that_is_swapped_for_a_link_leads_a_removal_nowhere(
    tmp_path, other, swapped
):
    """Between the look and the removal: at each removal there was a look before."""
    top = tmp_path / "parent" / ".del-1"
    places = {"folder": top / "b-folder", "top": top, "parent": top.parent}

    class Swaps(Files):
        def unlink(self, path, within=None):
            if path.name == "a-file":
                place = places[swapped]
                place.rename(tmp_path / "moved")
                place.symlink_to(other)
            super().unlink(path, within)

    (top / "b-folder").mkdir(parents=True)
    (top / "b-folder" / "c-file").touch()
    (top / "a-file").touch()
    (other / "b-folder").mkdir()
    (other / "b-folder" / "c-file").touch()
    before = held(other)
    try:
        delete_tree(Swaps(), top)
    except OSError:
        # What it was about to remove is a link now.
        assert swapped != "folder"
    assert held(other) == before


def test_a_tree_of_any_depth_is_deleted(tmp_path):
    top = tmp_path / "checkpoints" / ".del-1"
    top.mkdir(parents=True)
    here = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("a-long-name", dir_fd=here)
        below = os.open("a-long-name", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert RunDirectory(tmp_path).collect_garbage() == [top]
        assert list((tmp_path / "checkpoints").iterdir()) == []
    finally:
        shutil.rmtree(top, ignore_errors=True)
