"""However a process ends, a pending commit is whole or absent and no error is lost."""

import os
import re
import subprocess

import pytest
from support.backends import BACKEND
from support.children import command

import multiback as mb
from multiback.store import RunDirectory

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.every_case,  # All processes end before the first case asks.
]

# Its status, what it prints, and the steps of the checkpoints that it leaves.
ENDINGS = {
    "error": (1, "ZeroDivisionError", [2]),
    "error-full": (1, "ZeroDivisionError.*No space left", []),
    "exit": (5, "", [2]),
    "exit-with-full": (5, "could not be saved.*No space left", []),
    "interrupt-with": (-2, "KeyboardInterrupt", [2, 3]),
    "interrupt-with-full": (-2, "No space left.*KeyboardInterrupt", []),
    "terminate": (-15, "", []),
    "terminate-with": (143, "", [2, 3]),
    "loop-full": (0, "StoreError.*No space left", []),
}
# Each process of JAX or TensorFlow begins with seconds of compiling, and only how `fit`
# is left differs there.
if BACKEND != "torch":
    kept = ("error", "exit-with-full", "interrupt-with", "terminate")
    ENDINGS = {ending: ENDINGS[ending] for ending in kept}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Let one process end in each way; return the folder and the statuses."""
    folder = tmp_path_factory.mktemp("ended")
    program = command("fitting.ended_fit", folder, *ENDINGS)
    done = subprocess.run(program, check=True, capture_output=True, text=True, cwd="/")
    return folder, dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_a_process_ends_checkpoints_are_whole_and_errors_are_said(
    ended, ending
):
    folder, statuses = ended
    status, printed, steps = ENDINGS[ending]
    text = (folder / f"{ending}.txt").read_text()
    print(text)
    assert text.startswith("pending: True\n")
    assert int(statuses[ending]) == status
    assert re.search(printed, text, re.DOTALL)
    assert ("No space left" in text) == ending.endswith("full")
    run = folder / ending
    found = RunDirectory(run).checkpoints()
    assert [one.step for one in found] == steps
    for one in found:
        one.verify()
    if ending != "terminate":
        assert not list(run.rglob(".tmp-*"))
        assert not list(run.glob("lock-*"))
    if steps:
        assert (run / "last").resolve() == found[-1].path


def test_what_a_signal_left_is_collected_when_the_run_continues(ended):
    folder, _ = ended
    run = folder / "terminate"
    assert list(run.rglob(".tmp-*"))
    ckpt = mb.Checkpointer(run, "score", mode="max", resume="auto")
    ckpt.step({"w": 1.0}, {"score": 1.0})
    ckpt.finish()
    assert not list(run.rglob(".tmp-*"))
    assert not list(run.glob("lock-*"))
