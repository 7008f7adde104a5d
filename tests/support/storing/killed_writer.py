"""The process that test_kills.py kills: commit for ever, keep the best three.

Its `main` takes RUN LOG HOW SEED DIES_AT; with DIES_AT above 0 it kills
itself right after that many changes of the disk, which no timing can aim at. HOW is
"here" or "background": there the next state is copied while the last is written.
"""

import os
import random
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
from support.storing import without_keras  # noqa: F401

from multiback.store import Files, Request, RunDirectory, SlowDiskWarning, Writer

assert "keras" not in sys.modules


class DyingFiles(Files):
    """Kill the own process after a number of changes."""

    left = 0


def _dying(name):
    def call(self, *arguments):
        result = getattr(Files, name)(self, *arguments)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


for _name in [name for name in vars(Files) if not name.startswith("_")]:
    setattr(DyingFiles, _name, _dying(_name))


def main(run, log, how, seed, dies_at):
    seed, dies_at = int(seed), int(dies_at)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(*words):
        os.write(descriptor, (" ".join(words) + "\n").encode())

    # Each takes over from the one that was killed before.
    warnings.filterwarnings("ignore", message="The run 'torture'")
    files = DyingFiles()
    runs = RunDirectory(run, files)
    note("ready")
    files.left = dies_at
    runs.start_run("torture", {"seed": seed})
    litter = [*Path(run).rglob(".tmp-*"), *Path(run).rglob(".del-*")]
    note("littered" if litter else "clean")
    dice = random.Random(seed)
    warnings.simplefilter("ignore", SlowDiskWarning)
    writer = Writer(runs)

    def after(saved):
        note("committed", saved.name, repr(saved.created))
        runs.point("last", saved)
        ranked = sorted(runs.checkpoints(), key=lambda one: one.metrics["score"])
        for worst in ranked[:-3]:
            note("removing", worst.name, repr(worst.created))
            runs.remove(worst, run_id="torture")
            note("removed", worst.name, repr(worst.created))

    while True:
        score = dice.randrange(1000)
        kinds = {
            "kernel": (np.float32, (dice.randrange(1 << 18, 1 << 20),)),
            "bias": (np.float16, (3, 5)),
        }
        tensors = writer.buffer(kinds)
        for array in tensors.values():
            array[...] = score
        fields = {
            "run_id": "torture",
            "tensors": tensors,
            "documents": {"trainer": {"score": score}},
            "epoch": 0,
            "step": 0,
            "metrics": {"score": score},
            "architecture": {"layers": score % 3},
        }
        request = Request(f"score={score:03d}", **fields)
        if how == "background":
            writer.submit(request, then=after)
        else:
            after(runs.commit(request))
