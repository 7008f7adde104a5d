"""Stop the process between any two system calls, and cut the power as well.

A recorder notes every change of a run directory. For every prefix of these
changes the test rebuilds what a disk may hold if the machine stopped there: what
was fsynced is there; of the rest, each directory kept some of its changes, in
order, and each file kept some of its bytes or got zeros for them.
"""

import copy
import random
import shutil
from dataclasses import dataclass, field

import pytest

from multiback.store import Files, RunDirectory


@dataclass
class File:
    """A file's content, and how much of it is certainly on the disk."""

    data: bytes = b""
    durable: int = 0

    def survivors(self, dice):
        """Return the content after a power cut; without dice, the worst case."""
        kept = dice.randint(self.durable, len(self.data)) if dice else self.durable
        zeros = dice.choice([0, len(self.data) - kept]) if dice else 0
        return self.data[:kept] + bytes(zeros)


@dataclass
class Directory:
    """A directory's entries as a log of changes, and how many are certain."""

    log: list = field(default_factory=list)
    durable: int = 0

    def entries(self, count=None):
        entries = {}
        for name, node, old_name in self.log[:count]:
            if old_name is not None:
                entries.pop(old_name, None)
            if node is None:
                entries.pop(name, None)
            else:
                entries[name] = node
        return entries


class Link(str):
    """A symbolic link's target."""

    __slots__ = ()


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
        self.note("write", self.open[descriptor], bytes(data[:taken]))
        return taken

    def sync(self, descriptor):
        self.note("sync", self.open[descriptor])

    def sync_directory(self, path):
        self.note("sync_directory", path)

    def rename(self, source, target):
        super().rename(source, target)
        self.note("rename", source, target)

    def replace(self, source, target):
        super().replace(source, target)
        self.note("rename", source, target)

    def symlink(self, target, path):
        super().symlink(target, path)
        self.note("symlink", path, target)

    def unlink(self, path):
        super().unlink(path)
        self.note("delete", path)

    def remove_directory(self, path):
        super().remove_directory(path)
        self.note("delete", path)


class Disk:
    """What the operating system was asked to hold, and what it must hold."""

    def __init__(self, root, tree):
        self.root = root
        self.tree = tree

    def node(self, path):
        node = self.tree
        for part in path.relative_to(self.root).parts:
            node = node.entries()[part]
        return node

    def change(self, path, node, old_name=None):
        self.node(path.parent).log.append((path.name, node, old_name))

    def apply(self, kind, path, *rest):
        if kind == "make_directory":
            self.change(path, Directory())
        elif kind == "create":
            self.change(path, File())
        elif kind == "symlink":
            self.change(path, Link(rest[0]))
        elif kind == "delete":
            self.change(path, None)
        elif kind == "rename":
            assert path.parent == rest[0].parent, "two directories: two fsyncs"
            self.change(rest[0], self.node(path), path.name)
        elif kind == "write":
            self.node(path).data += rest[0]
        elif kind == "sync":
            self.node(path).durable = len(self.node(path).data)
        elif kind == "sync_directory":
            self.node(path).durable = len(self.node(path).log)


def scanned(path):
    """Read a directory into a tree that is wholly on the disk."""
    tree = Directory()
    for child in sorted(path.iterdir()):
        if child.is_dir():
            node = scanned(child)
        else:
            content = child.read_bytes()
            node = File(content, len(content))
        tree.log.append((child.name, node, None))
    tree.durable = len(tree.log)
    return tree


def materialize(tree, path, *, power_cut, dice):
    """Write out what survives."""
    path.mkdir()
    kept = len(tree.log)
    if power_cut:
        kept = dice.randint(tree.durable, kept) if dice else tree.durable
    for name, node in tree.entries(kept).items():
        if isinstance(node, Link):
            (path / name).symlink_to(node)
        elif isinstance(node, Directory):
            materialize(node, path / name, power_cut=power_cut, dice=dice)
        else:
            content = node.survivors(dice) if power_cut else node.data
            (path / name).write_bytes(content)


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


@pytest.mark.parametrize("case", ["killed", "worst", *(f"dice {n}" for n in range(5))])
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
        materialize(disk.tree, rebuilt, power_cut=case != "killed", dice=dice)
        runs = RunDirectory(rebuilt, unsynced)
        assert_survived(runs, wanted, gone, history, commit)
        shutil.rmtree(rebuilt)
