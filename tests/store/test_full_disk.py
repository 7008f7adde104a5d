"""A disk that is really full: a small one, mounted where nobody else sees it."""

import errno
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("filled_disk.py")
APART = ["unshare", "--user", "--map-root-user", "--mount"]


def may_mount(folder):
    """Tell whether this user may mount a disk in a namespace of their own."""
    if shutil.which("unshare") is None:
        return False
    command = [*APART, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("what", ["bytes", "files"])
def test_a_full_disk_is_told_of_costs_nothing_and_is_saved_to_once_there_is_room(
    tmp_path, what
):
    if not may_mount(tmp_path):
        pytest.skip("this system lets no user mount a disk of their own")
    command = [*APART, sys.executable, str(CHILD), str(tmp_path), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == 40
    for each in rounds:
        assert each["same"], each
        assert each["litter"] == each["skipped"] == 0, each
    failed = [each for each in rounds if each["error"]]
    # From no room at all to room enough.
    assert failed[0]["free"] == 0
    assert 5 < len(failed) < 40
    for each in failed:
        text = each["error"]["text"]
        assert each["error"]["errno"] == errno.ENOSPC
        assert str(tmp_path / "run") in text
        assert "Free some space" in text
    texts = " ".join(each["error"]["text"] for each in failed)
    if what == "bytes":
        assert re.search(
            r"could not write \d+ bytes at position \d+ of \S+state\.safetensors", texts
        )
    else:
        assert "could not create" in texts
