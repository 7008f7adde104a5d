"""Kill a training process for real, resume it, and kill it again.

MULTIBACK_FIT_KILLS sets how often; a torture session asks for more.
"""

import os
import random
import signal
import subprocess
import time

import numpy as np
import pytest
from support.children import command

import multiback as mb
from multiback.store import RunDirectory

KILLS = int(os.environ.get("MULTIBACK_FIT_KILLS", "1"))
pytestmark = pytest.mark.torture


def killed_once(run, log, scores, delay):
    """Train in a child, and kill it some time after two epochs were noted.

    When the second is noted the first is on the disk, or the disk is what it was.
    """
    wanted = len(log.read_text().splitlines()) + 2
    text = ",".join(map(str, scores))
    program = command("fitting.killed_fit", run, log, text)
    with subprocess.Popen(program, stderr=subprocess.PIPE) as child:
        while log.read_text().count("\n") < wanted and child.poll() is None:
            time.sleep(0.005)
        time.sleep(delay)
        child.kill()
        errors = child.stderr.read().decode()
    assert child.returncode == -signal.SIGKILL, errors[-3000:]


def test_no_kill_of_a_training_costs_its_best_or_its_last(tmp_path):
    run, log = tmp_path / "run", tmp_path / "log"
    log.touch()
    dice = random.Random(KILLS)
    scores = [dice.random() for _ in range(2000)]
    begin, committed = 0, set()
    for _ in range(KILLS):
        killed_once(run, log, scores, dice.uniform(0, 0.5))
        noted = [int(line) for line in log.read_text().split()]
        # Resumed where it was: no epoch is missing. One that was cut may be twice,
        # and one may be committed and killed before it was noted.
        assert committed.union(noted) == set(range(1, noted[-1] + 1))
        assert noted[-1] > begin
        begin = noted[-1]

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
