"""A training that was killed and resumed equals one that was not, bit for bit.

MULTIBACK_FIT_KILLS sets how often it is killed; a torture session asks for more.
"""

import json
import os
import random
import signal

import pytest
from support.forked import children

from multiback.store import RunDirectory

KILLS = int(os.environ.get("MULTIBACK_FIT_KILLS", "2"))
BATCHES = 6
# Less than two epochs, so that no life is the last.
LONGEST_LIFE = 11
EPOCHS = 2 * KILLS + 2
pytestmark = pytest.mark.torture


def train(start, run, result, kill_at=0):
    """Train in a child; return what it wrote, or None where it was killed."""
    child = start(run, result, EPOCHS, kill_at)
    expected = -signal.SIGKILL if kill_at else 0
    assert child.wait(3600) == expected, child.errors()
    return None if kill_at else json.loads(result.read_text())


def batches_done(run):
    """Return how many batches the newest checkpoint has behind it, in all epochs."""
    found = RunDirectory(run).checkpoints()
    if not found:
        return 0
    facts = found[-1].document("trainer")
    return BATCHES * facts["epoch"] + (facts["batch"] or 0)


def test_kills_at_random_steps_change_nothing_at_all(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))  # The children's.
    dice = random.Random(9)
    resumed_at = []
    with children("fitting.resumed_fit", tmp_path) as start:
        expected, begun = train(start, tmp_path / "whole", tmp_path / "whole.json")
        assert begun == BATCHES * EPOCHS
        for _ in range(KILLS):
            life = dice.randint(3, LONGEST_LIFE)
            train(start, tmp_path / "run", tmp_path / "none", life)
            resumed_at.append(batches_done(tmp_path / "run"))
            assert [one for one in elsewhere.rglob("*") if one.is_file()] == []
        found, begun = train(start, tmp_path / "run", tmp_path / "run.json")
    # A kill may come before the only commit of a short life has ended.
    assert sorted(resumed_at) == resumed_at
    assert len(set(resumed_at)) > KILLS // 2
    assert any(batches % BATCHES for batches in resumed_at)
    assert begun == BATCHES * EPOCHS - resumed_at[-1]
    assert found == expected
    run = tmp_path / "run"
    assert [*run.rglob(".tmp-*"), *run.rglob(".del-*")] == []
    print(f"{KILLS} kills in {EPOCHS} epochs, resumed at batches {resumed_at}")
