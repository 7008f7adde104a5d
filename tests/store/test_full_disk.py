"""A disk that is really full, and one save after the other with a little more room."""

import errno
import json
import re

import pytest
from support.small_disk import run_apart

pytestmark = pytest.mark.torture


@pytest.mark.parametrize("what", ["bytes", "files"])
def test_a_full_disk_is_reported_costs_nothing_and_is_saved_to_once_there_is_room(
    tmp_path, what
):
    printed = run_apart("storing.filled_disk", tmp_path, what)
    rounds = [json.loads(line) for line in printed.splitlines()]
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
