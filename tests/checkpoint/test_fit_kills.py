"""Kill a training process for real, resume it, and kill it again.

MULTIBACK_FIT_KILLS sets how often; a torture session asks for more.
"""

import os
import random
import signal
import time

import numpy as np
import pytest
from support.forked import children

import multiback as mb
from multiback.store import RunDirectory

KILLS = int(os.environ.get("MULTIBACK_FIT_KILLS", "1"))
pytestmark = pytest.mark.torture


def killed_once(start, run, log, scores, delay):
    """Train in a child, and kill it some time after two epochs were noted.

    When the second is noted the first is on the disk, or the disk is what it was.
    """
    wanted = log.read_text().count("\n") + 2
    child = start(run, log, ",".join(map(str, scores)))
    while log.read_text().count("\n") < wanted and child.poll() is None:
        time.sleep(0.005)
    time.sleep(delay)
    assert child.kill() == -signal.SIGKILL, child.errors()


def litter(run):
    return {*run.rglob(".tmp-*"), *run.rglob(".del-*")}


def check(run, log, scores, begin, committed):
    """Look at the run of a training that was killed; return its last epoch noted."""
    noted = [int(line) for line in log.read_text().split()]
    # Resumed where it was: no epoch is missing. One that was cut may be twice,
    # and one may be committed and killed before it was noted.
    assert committed.union(noted) == set(range(1, noted[-1] + 1))
    assert noted[-1] > begin

    found = RunDirectory(run).checkpoints()
    assert len({one.run_id for one in found}) == 1
    for one in found:
        one.verify()
    # The newest may not have been on the disk yet; the one before it was.
    assert found[-1].epoch in (noted[-1] - 1, noted[-1], noted[-1] + 1)
    committed.add(found[-1].epoch)
    best = 1 + int(np.argmax(scores[: found[-1].epoch]))
    assert any(one.epoch == best for one in found)

    assert mb.load_last(run).optimizer.iterations.numpy() == 2 * found[-1].epoch
    assert mb.load_best(run).optimizer.iterations.numpy() == 2 * best
    return noted[-1]


def test_no_kill_of_a_training_costs_its_best_or_its_last(tmp_path, monkeypatch):
    run, log, elsewhere = (tmp_path / name for name in ("run", "log", "elsewhere"))
    log.touch()
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))  # The children's.
    dice = random.Random(KILLS)
    scores = [dice.random() for _ in range(2000)]
    begin, committed, left, in_the_middle = 0, set(), set(), 0
    with children("fitting.killed_fit", tmp_path) as start:
        for _ in range(KILLS):
            killed_once(start, run, log, scores, dice.uniform(0, 0.5))
            begin = check(run, log, scores, begin, committed)
            # This start has removed what the last kill left.
            assert not left & litter(run)
            left = litter(run)
            in_the_middle += bool(left)
            assert [one for one in elsewhere.rglob("*") if one.is_file()] == []
    print(f"{KILLS} kills in {begin} epochs, {in_the_middle} in the middle of a change")
    RunDirectory(run).start_run("next", {})
    assert litter(run) == set()
