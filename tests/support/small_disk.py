"""A disk that is really full: a small one, mounted for this process only."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.children import command

PAGE = 4096
# In a namespace of their own users may mount what goes with them.
APART = ("unshare", "--user", "--map-root-user", "--mount")


def run_apart(program, folder, *arguments):
    """Run a program that mounts a disk on a folder; return what it printed."""
    if not may_mount(folder):
        pytest.skip("this system lets no user mount a disk of their own")
    apart = [*APART, *command(program, folder, *arguments)]
    done = subprocess.run(apart, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def may_mount(folder):
    """Return whether this user may mount a disk in a namespace of their own."""
    if shutil.which("unshare") is None:
        return False
    command = [*APART, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def mount(folder):
    """Mount a disk of 256 pages and 64 files."""
    options = f"size={256 * PAGE},nr_inodes=64"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    subprocess.run(command, check=True)


def fill(folder, what, free):
    """Fill the disk but for so many pages, or files; return what fills it."""
    taken = []
    with contextlib.suppress(OSError):
        for number in range(64 if what == "files" else 1):
            taken.append(Path(folder, f"ballast-{number}"))
            with taken[-1].open("wb", buffering=0) as stream:
                while what == "bytes":
                    stream.write(bytes(PAGE))
    if what == "bytes":
        os.truncate(taken[0], max(0, taken[0].stat().st_size - free * PAGE))
        return taken
    full = max(0, len(taken) - free)
    for path in taken[full:]:
        path.unlink(missing_ok=True)
    return taken[:full]
