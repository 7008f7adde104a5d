"""Temporary folders of processes that were killed are removed by the next one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from multiback.store.disk import temporary
from multiback.store.disk.temporary import make_temporary, remove_temporary

CHILD = """
import sys, time
from multiback.store.disk.temporary import make_temporary
print(make_temporary(), flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "_YOUNG", -1.0)
    return tmp_path


def child(place, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(seconds)],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(place):
    alive, killed = child(place, 60), child(place, 60)
    try:
        kept, left = (one.stdout.readline().strip() for one in (alive, killed))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        own = make_temporary()
        assert Path(kept).is_dir()
        assert not Path(left).exists()
        again = make_temporary()
        assert own.is_dir()
        for one in (own, again):
            remove_temporary(one)
        assert [str(one / "content") for one in place.iterdir()] == [kept]
    finally:
        for one in (alive, killed):
            one.kill()
            one.communicate()


def test_a_process_that_ends_removes_its_own(place):
    one = child(place, 0)
    one.communicate()
    assert list(place.iterdir()) == []


def test_what_another_program_left_and_links_are_not_touched(place, tmp_path_factory):
    behind = tmp_path_factory.mktemp("behind")
    (behind / "in-use").touch()
    (place / "multiback-link").symlink_to(behind)
    (place / "multiback-other").mkdir()
    (place / "multiback-file").touch()
    remove_temporary(make_temporary())
    assert (behind / "in-use").exists()
    assert len(list(place.iterdir())) == 3
