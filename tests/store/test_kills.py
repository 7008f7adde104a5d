"""Kill a writer for real, again and again, in one and the same run directory.

MULTIBACK_KILLS sets how often; a torture session asks for a thousand.
"""

import functools
import os
import random
import signal
import time

import pytest
from support.forked import children

from multiback.store import RunDirectory

KILLS = int(os.environ.get("MULTIBACK_KILLS", "12"))
pytestmark = pytest.mark.torture


def killed_once(begin, log, seed, dice):
    """Start a writer and kill it: at a random instant, or at a random change."""
    at_change = dice.randint(1, 120) if seed % 2 else 0
    size = log.stat().st_size
    writer = begin(seed, at_change)
    while log.stat().st_size == size and writer.poll() is None:
        time.sleep(0.002)
    if at_change:
        writer.wait(60)
    else:
        time.sleep(dice.uniform(0, 0.3))
        writer.kill()
    assert writer.returncode == -signal.SIGKILL, writer.errors()


def events(log):
    """Return the commits that must be there, those that must not, and the starts."""
    wanted, gone, starts = set(), set(), []
    for line in log.read_text().splitlines():
        kind, *rest = line.split()
        if kind == "committed":
            wanted.add(tuple(rest))
            gone.discard(tuple(rest))
        elif kind == "removing":
            wanted.discard(tuple(rest))
        elif kind == "removed":
            gone.add(tuple(rest))
        else:
            starts.append(kind)
    return wanted, gone, starts


@pytest.mark.parametrize("how", ["here", "background"])
def test_no_kill_ever_costs_a_committed_checkpoint(tmp_path, how):
    run, log = tmp_path / "run", tmp_path / "log"
    log.touch()
    dice = random.Random(KILLS)
    in_the_middle = 0
    with children("storing.killed_writer", tmp_path) as start:
        begin = functools.partial(start, run, log, how)
        for seed in range(KILLS):
            killed_once(begin, log, seed, dice)
            runs = RunDirectory(run)
            found = runs.checkpoints()
            assert runs.skipped == []
            for one in found:
                one.verify()
                score = one.document("trainer")["score"]
                assert one.metrics == {"score": score}
                assert all((array == score).all() for array in one.tensors().values())
                assert one.architecture_document() == {"layers": score % 3}
            wanted, gone, starts = events(log)
            # The instant tells commits apart: the newest one's number and name are free
            # again once it is removed.
            names = {(one.name, repr(one.created)) for one in found}
            assert wanted <= names
            assert not gone & names
            # Killed between the commit and its line in the log: one at the most.
            assert len(found) <= 5
            assert "littered" not in starts
            litter = [*run.rglob(".tmp-*"), *run.rglob(".del-*")]
            in_the_middle += bool(litter)
    print(f"{how}: {KILLS} kills, {in_the_middle} in the middle of a change")
    # Otherwise the kills missed what this test is about.
    assert in_the_middle >= KILLS // 10
    RunDirectory(run).start_run("next", {})
    assert not [*run.rglob(".tmp-*"), *run.rglob(".del-*")]
