"""Replay the system calls of real saves, as strace saw them, up to each and cut there.

`nox -s torture` sets MULTIBACK_SYSTEM_CALLS; it takes minutes.
"""

import copy
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.children import command
from support.powercut import KILLED, WORST, Directory, Disk, materialize

from multiback.store import RunDirectory

pytestmark = [
    pytest.mark.torture,
    pytest.mark.skipif(
        "MULTIBACK_SYSTEM_CALLS" not in os.environ,
        reason="it takes minutes: nox -s torture",
    ),
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed"
    ),
]

# Whatever can change a file or a directory; those that the replay does not know
# fail the test where they touch the run.
CALLS = (
    *("open", "openat", "creat", "mkdir", "mkdirat", "mknod", "link", "linkat"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("symlink", "symlinkat", "write", "writev", "pwrite64", "pwritev", "pwritev2"),
    *("truncate", "ftruncate", "fallocate", "copy_file_range", "sendfile", "splice"),
    *("fsync", "fdatasync", "sync_file_range"),
)
BY_DESCRIPTOR = {name for name in CALLS if "write" in name or "sync" in name} | {
    *("open", "openat", "ftruncate", "fallocate", "copy_file_range", "sendfile")
}
LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(.*)", re.ASCII)
HALF = re.compile(r"(\d+) +(\w+\(.*?) *<unfinished \.\.\.>", re.ASCII)
REST = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)", re.ASCII)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
OPENED = re.compile(r"<((?:\\x[0-9a-f]{2}|[^<>\\])*)>")


def traced(tmp_path, how):
    """Run the writer under strace; return the changes of its run, in order."""
    run, log, trace = (tmp_path / name for name in ("run", "log", "trace"))
    subprocess.run(
        [
            *("strace", "--follow-forks", "--seccomp-bpf", "--decode-fds=path", "-xx"),
            *("--string-limit=100000000", f"--output={trace}"),
            "--trace=" + ",".join(f"?{name}" for name in CALLS),
            *command("storing.traced_writer", run, log, how),
        ],
        check=True,
        timeout=500,
    )
    return list(changes(trace.read_text(), run, log))


def whole_lines(trace):
    """Yield each call once it returned; threads interrupt each other's lines."""
    begun = {}
    for line in trace.splitlines():
        if half := HALF.fullmatch(line):
            begun[half[1]] = half[2]
        elif rest := REST.fullmatch(line):
            yield f"{rest[1]} {begun.pop(rest[1])}{rest[2]}"
        else:
            yield line


def changes(trace, run, log):
    """Translate strace's lines into what happened to a run and what was noted."""
    files = set()
    for line in whole_lines(trace):
        found = LINE.fullmatch(line)
        if found is None or int(found[4]) < 0:
            continue
        name, arguments, result = found[2], found[3], int(found[4])
        texts = [unescaped(text) for text in TEXT.findall(arguments)]
        opened = OPENED.search(found[5] if name.startswith("open") else arguments)
        if opened and name in BY_DESCRIPTOR:
            paths = [Path(os.fsdecode(plain(opened[1])))]
        else:
            paths = [Path(os.fsdecode(text)) for text in texts]
        if paths == [log] and name == "write":
            yield ("noted", texts[0].decode().strip())
        elif any(path.is_relative_to(run) for path in paths):
            content = texts[0][: result if name == "write" else None] if texts else b""
            yield from one_change(name, arguments, paths, content, files)


def one_change(name, arguments, paths, content, files):
    """Translate one call that touched the run."""
    if name in ("open", "openat"):
        if paths[0] in files and "O_TRUNC" in arguments:
            yield ("truncate", paths[0], 0)
        if paths[0] not in files and "O_CREAT" in arguments:
            files.add(paths[0])
            yield ("create", paths[0])
    elif name == "write":
        # Every file here is written once, from its beginning to its end.
        yield ("append", paths[0], content)
    elif name in ("fsync", "fdatasync"):
        yield ("sync", paths[0])
    elif name in ("mkdir", "mkdirat"):
        yield ("make_directory", paths[0])
    elif name in ("unlink", "rmdir", "unlinkat"):
        files.discard(paths[0])
        yield ("delete", paths[0])
    elif name in ("rename", "renameat", "renameat2"):
        moved = {path for path in files if path.is_relative_to(paths[0])}
        files.difference_update(moved)
        files.update(paths[1] / path.relative_to(paths[0]) for path in moved)
        yield ("rename", *paths)
    elif name in ("symlink", "symlinkat"):
        yield ("symlink", paths[1], os.fsdecode(content))
    else:
        raise AssertionError(f"the replay must learn {name}")


def plain(text):
    """Return the bytes of a path that strace shows as text or in hexadecimal."""
    return unescaped(text) if text.startswith("\\x") else text.encode()


def unescaped(text):
    return bytes.fromhex(text.replace("\\x", ""))


@pytest.mark.parametrize("how", ["here", "background", "fit"])
def test_wherever_the_power_goes_every_commit_verifies_and_the_best_is_the_best(
    tmp_path, unsynced, commit, how
):
    operations = traced(tmp_path, how)
    notes = sum(kind == "noted" for kind, *_ in operations)
    assert notes == 8
    shutil.rmtree(tmp_path / "run")
    dice = random.Random(how)
    points = 0
    for case in (KILLED, WORST, *range(6)):
        disk = Disk(tmp_path, Directory())
        best, epoch = 0, 0
        for number, (kind, *rest) in enumerate(operations):
            if kind == "noted":
                best = max(best, float(rest[0].removeprefix("committed ")))
                epoch += 1
            else:
                disk.apply(kind, *rest)
            if not (tree := copy.deepcopy(disk.tree)).entries():
                continue
            # The directory of the run belongs to another user.
            tree = tree.entries()["run"]
            rebuilt = tmp_path / f"{case}-{number}"
            rolls = dice if isinstance(case, int) else None
            materialize(tree, rebuilt, power_cut=case != KILLED, dice=rolls)
            check(RunDirectory(rebuilt, unsynced), best, epoch, commit)
            shutil.rmtree(rebuilt)
            points += 1
    print(f"{how}: {len(operations)} changes, {points} points replayed")
    assert points > 1000


def check(runs, best, epoch, commit):
    """Look at what is left as the next process would."""
    found = runs.checkpoints()
    assert runs.skipped == []
    for one in found:
        one.verify()
        one.tensors()
        assert one.architecture_document() is not None
    if epoch:
        assert max(one.metrics["score"] for one in found) >= best
        assert found[-1].epoch >= epoch
        assert runs.latest_run() == found[0].run_id
    runs.start_run("next", {})
    assert not [*runs.path.rglob(".tmp-*"), *runs.path.rglob(".del-*")]
    commit(runs, "next", run_id="next").verify()
    for one in found:
        one.verify()
