"""Stop the process between any two changes of the disk, and cut the power as well.

A recorder notes every change of a run directory. For every prefix of these changes
the test rebuilds what a disk may hold if the machine stopped there. What the store's
own methods do not show, test_system_calls.py takes from the kernel.
"""

import copy
import random
import shutil

import pytest
from support.powercut import KILLED, WORST, Disk, materialize, scanned

from multiback.store import Files, RunDirectory


class RecordingFiles(Files):
    """Change the disk, and note every change that was made."""

    def __init__(self):
        self.operations = []
        self.open = {}

    def note(self, *operation):
        self.operations.append(operation)

    def make_directory(self, path):
        super().make_directory(path)
        self.note("make_directory", path)

    def create(self, path):
        descriptor = super().create(path)
        self.open[descriptor] = path
        self.note("create", path)
        return descriptor

    def open_append(self, path):
        is_new = not path.exists()
        descriptor = super().open_append(path)
        self.open[descriptor] = path
        if is_new:
            self.note("create", path)
        return descriptor

    def write(self, descriptor, data):
        taken = super().write(descriptor, data)
        self.note("append", self.open[descriptor], bytes(data[:taken]))
        return taken

    def sync(self, descriptor):
        self.note("sync", self.open[descriptor])

    def sync_directory(self, path):
        self.note("sync", path)

    def rename(self, source, target):
        super().rename(source, target)
        self.note("rename", source, target)

    def replace(self, source, target):
        super().replace(source, target)
        self.note("rename", source, target)

    def symlink(self, target, path):
        super().symlink(target, path)
        self.note("symlink", path, target)

    def unlink(self, path, within=None):
        super().unlink(path, within)
        self.note("delete", path)

    def remove_directory(self, path, within=None):
        super().remove_directory(path, within)
        self.note("delete", path)


def recorded(path, commit):
    """Record a start, two commits, a removal, and labels after two commits."""
    runs = RunDirectory(path)
    runs.start_run("a", {})
    for name in ("first", "second"):
        commit(runs, name)
    initial = scanned(path)
    files = RecordingFiles()
    runs = RunDirectory(path, files)
    runs.start_run("b", {"why": "a torn line must not hide run a"})
    for name, value in (("third", 3.0), ("fourth", 4.0)):
        saved = commit(
            runs, name, run_id="b", value=value, architecture={"width": value}
        )
        files.note("committed", name)
        runs.point("best", saved)
        runs.append_history({"run_id": "b", "value": value})
        files.note("appended", value)
    files.note("removing", "third")
    runs.remove(runs.checkpoints()[2], run_id="b")
    files.note("removed", "third")
    return initial, files.operations


def assert_survived(runs, wanted, gone, history, commit):
    """Check a rebuilt directory as the next process would find it."""
    found = runs.checkpoints()
    assert runs.skipped == []
    for one in found:
        one.verify()
        assert one.tensors()["kernel"].shape == (4, 3)
        assert one.architecture_document() is not None
    names = {one.name for one in found}
    assert wanted <= names
    assert not gone & names
    assert runs.latest_run() == ("b" if names & {"third", "fourth"} else "a")
    values = [record["value"] for record in runs.history("b")]
    assert values[: len(history)] == history
    assert len(values) <= len(history) + 1
    runs.start_run("c", {})
    assert not [*runs.path.rglob(".tmp-*"), *runs.path.rglob(".del-*")]
    commit(runs, "next").verify()
    for one in found:
        one.verify()


@pytest.mark.parametrize("case", [KILLED, WORST, *(f"dice {n}" for n in range(5))])
def test_wherever_it_stops_old_checkpoints_verify_and_the_new_is_whole_or_absent(
    tmp_path, commit, unsynced, case
):
    initial, operations = recorded(tmp_path / "run", commit)
    assert len(operations) > 40
    shutil.rmtree(tmp_path / "run")
    for stop in range(len(operations) + 1):
        disk = Disk(tmp_path / "run", copy.deepcopy(initial))
        wanted, gone, history = {"first", "second"}, set(), []
        for kind, *rest in operations[:stop]:
            if kind == "committed":
                wanted.add(rest[0])
            elif kind == "removing":
                wanted.discard(rest[0])
            elif kind == "removed":
                gone.add(rest[0])
            elif kind == "appended":
                history.append(rest[0])
            else:
                disk.apply(kind, *rest)
        dice = random.Random(f"{case} {stop}") if case.startswith("dice") else None
        rebuilt = tmp_path / f"rebuilt-{stop}"
        materialize(disk.tree, rebuilt, power_cut=case != KILLED, dice=dice)
        runs = RunDirectory(rebuilt, unsynced)
        assert_survived(runs, wanted, gone, history, commit)
        shutil.rmtree(rebuilt)
