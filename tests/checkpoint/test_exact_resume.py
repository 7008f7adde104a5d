"""A training that was killed and resumed equals one that was not, bit for bit.

MULTIBACK_FIT_KILLS sets how often it is killed; a torture session asks for more.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("MULTIBACK_FIT_KILLS", "3"))
CHILD = Path(__file__).with_name("resumed_fit.py")
# A life ends before its seventh batch, so within its third epoch at the latest.
LONGEST_LIFE = 7
EPOCHS = 2 * KILLS + 2


def train(run, result, kill_at=0):
    """Train in a child; return what it wrote, or None where it was killed."""
    done = subprocess.run(
        [sys.executable, CHILD, str(run), str(result), str(EPOCHS), str(kill_at)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    expected = -signal.SIGKILL if kill_at else 0
    assert done.returncode == expected, done.stderr[-3000:]
    return None if kill_at else json.loads(result.read_text())


def test_kills_at_random_steps_change_nothing_at_all(tmp_path):
    expected = train(tmp_path / "whole", tmp_path / "whole.json")
    dice = random.Random(KILLS)
    for _ in range(KILLS):
        train(tmp_path / "run", tmp_path / "none", dice.randint(1, LONGEST_LIFE))
    found = train(tmp_path / "run", tmp_path / "run.json")
    assert found == expected
