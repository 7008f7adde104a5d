import errno
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from multiback.errors import ArgumentError, StoreError
from multiback.store import Files, RunDirectory


def names(runs, run_id=None):
    return [one.name for one in runs.checkpoints(run_id)]


def test_names_that_differ_in_case_only_count_as_one(runs, commit):
    commit(runs, "Best")
    assert commit(runs, "best").name == "best-v2"


def test_remove_refuses_a_name_that_another_commit_has_taken_over(runs, commit):
    old = commit(runs, "one", run_id="a")
    runs.remove(old, run_id="a")
    new = commit(runs, "one", run_id="b")
    for run_id in ("a", "b"):
        with pytest.raises(StoreError, match="must be a checkpoint of the run"):
            runs.remove(old, run_id=run_id)
    new.verify()


def test_remove_refuses_a_checkpoint_of_another_directory(runs, commit, tmp_path):
    saved = commit(runs)
    with pytest.raises(ArgumentError, match="must lie in"):
        RunDirectory(tmp_path / "other").remove(saved, run_id="a")
    saved.verify()


def test_remove_follows_no_link(runs, commit, tmp_path):
    saved = commit(runs)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (saved.path / "link").symlink_to(outside)
    runs.remove(saved, run_id="a")
    assert (outside / "precious").read_text() == "x"


def test_without_a_list_of_runs_the_latest_commit_names_the_run(runs, commit):
    commit(runs, "of b", run_id="b")
    commit(runs, "of a", run_id="a")
    assert runs.latest_run() == "a"


@pytest.mark.parametrize("kept", [0, 1, 9, 20])
def test_a_torn_last_line_costs_one_record(runs, kept):
    runs.append_history({"epoch": 0, "value": 1.0})
    runs.append_history({"epoch": 1, "value": 2.0})
    path = runs.path / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:kept])
    assert [record["epoch"] for record in runs.history()] == [0]
    runs.append_history({"epoch": 2})
    assert [record["epoch"] for record in runs.history()] == [0, 2]


def test_garbage_is_collected_at_a_start_and_on_request(runs, commit):
    saved = commit(runs)
    inside, outside = runs.path / "checkpoints", runs.path
    for litter in (inside / ".tmp-1", inside / ".del-2", outside / ".tmp-3"):
        (litter / "deep").mkdir(parents=True)
        (litter / "deep" / "file").write_text("x")
    (outside / ".tmp-4").symlink_to("checkpoints")
    assert len(runs.collect_garbage()) == 4
    (inside / ".tmp-5").mkdir()
    runs.start_run("b", {})
    assert [path.name for path in inside.iterdir()] == ["one"]
    assert runs.checkpoints() == [saved]
    saved.verify()


def test_a_label_is_a_relative_link_that_moves_in_one_step(runs, commit, tmp_path):
    first, second = commit(runs, "one"), commit(runs, "two")
    runs.point("best", first)
    assert str((runs.path / "best").readlink()) == "checkpoints/one"
    runs.point("best", second)
    runs.path.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "best" / "manifest.json").exists()
    assert not list((tmp_path / "moved").glob(".tmp-*"))


def test_where_links_are_not_possible_a_label_is_a_text_file(tmp_path, commit):
    class NoLinks(Files):
        def symlink(self, *_):
            raise OSError(1314, "A required privilege is not held")

    runs = RunDirectory(tmp_path, NoLinks())
    saved = commit(runs)
    for _ in range(2):
        runs.point("best", saved)
    assert (tmp_path / "best").read_text() == "checkpoints/one\n"


@pytest.mark.parametrize(
    "label", ["checkpoints", "lock", "Runs.jsonl", "arch-1.json", "../x", ""]
)
def test_a_label_cannot_take_the_directorys_own_names(runs, commit, label):
    saved = commit(runs)
    with pytest.raises(ArgumentError, match="label must"):
        runs.point(label, saved)


def test_a_label_does_not_replace_a_directory(runs, commit):
    saved = commit(runs)
    (runs.path / "best").mkdir()
    with pytest.raises(StoreError, match="is a directory"):
        runs.point("best", saved)


def test_a_held_lock_ends_in_an_error_that_says_what_to_do(tmp_path, commit):
    runs = RunDirectory(tmp_path, lock_timeout=0.2)
    commit(runs)
    code = (
        "import filelock, sys\n"
        f"with filelock.FileLock({str(tmp_path / 'lock')!r}):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match=r"lock must be free within 0\.2 sec"):
            commit(runs, "two")
        assert names(runs) == ["one"]
        litter = tmp_path / ".tmp-of-the-holder"
        litter.mkdir()
        for call in (
            runs.collect_garbage,
            lambda: runs.start_run("b", {}),
            lambda: runs.remove(runs.checkpoints()[0], run_id="a"),
            lambda: runs.point("best", runs.checkpoints()[0]),
        ):
            with pytest.raises(StoreError, match="lock must be free"):
                call()
        assert litter.exists()
        holder.kill()
        holder.wait()
    runs = RunDirectory(tmp_path, lock_timeout=30)
    commit(runs, "two")
    assert names(runs) == ["one", "two"]


def test_threads_and_runs_share_a_directory(tmp_path, commit):
    shared = RunDirectory(tmp_path)
    own = [RunDirectory(tmp_path) for _ in range(2)]

    def work(runs, run_id):
        for index in range(8):
            commit(runs, "same", run_id=run_id, value=float(index))
            mine = runs.checkpoints(run_id)
            if len(mine) > 3:
                runs.remove(mine[0], run_id=run_id)

    threads = [
        threading.Thread(target=work, args=(runs, f"run {index}"))
        for index, runs in enumerate([shared, shared, *own])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = shared.checkpoints()
    assert len(found) == 12
    assert len({one.sequence for one in found}) == 12
    for one in found:
        one.verify()
    for index in range(4):
        values = [
            one.tensors()["kernel"][0, 0] for one in shared.checkpoints(f"run {index}")
        ]
        np.testing.assert_array_equal(values, [5, 6, 7])


def test_readers_see_only_whole_checkpoints_while_a_writer_works(tmp_path, commit):
    runs = RunDirectory(tmp_path)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            commit(runs)
            runs.remove(runs.checkpoints()[0], run_id="a")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reader = RunDirectory(tmp_path)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            reader.checkpoints()
            assert reader.skipped == []
    finally:
        stop.set()
        writer.join()


def test_the_public_list_is_sorted_and_complete():
    from multiback import store

    public = {
        name
        for name, value in vars(store).items()
        if not name.startswith("_") and not isinstance(value, type(os))
    }
    assert store.__all__ == sorted(public)


def test_garbage_that_cannot_be_deleted_keeps_no_run_from_starting(tmp_path, commit):
    class Stuck(Files):
        def unlink(self, path, within=None):
            if path.name == ".nfs0001":
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            super().unlink(path, within)

    runs = RunDirectory(tmp_path, Stuck())
    commit(runs)
    stuck = tmp_path / "checkpoints" / ".del-1"
    for folder in (stuck, stuck.with_name(".tmp-2")):
        folder.mkdir()
    (stuck / ".nfs0001").touch()
    with pytest.warns(UserWarning, match=r"left alone: could not collect .*\.del-1"):
        runs.start_run("next", {})
    assert not stuck.with_name(".tmp-2").exists()
    commit(runs, "next", run_id="next").verify()
    with pytest.raises(StoreError, match=r"collect .*\.del-1"):
        runs.collect_garbage()
