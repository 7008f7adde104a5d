"""Start several processes, wait for all of them, and never longer than so long."""

import os
import signal
import subprocess
import time

from support.children import command
from support.distributed.trained_model import told

import multiback as mb
from multiback.store import RunDirectory

LIMIT = 300.0
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
# Each child of JAX compiles its models again, which took most of its time.
COMPILING_LITTLE = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)


class Child:
    """One process that was waited for."""

    def __init__(self, returncode, output):
        self.returncode = returncode
        self.output = output

    @property
    def told(self):
        assert self.returncode == 0, self.output
        return told(self.output)


def run(backend, program, *arguments, ranks=1, **environment):
    """Run a program of this folder in so many processes at once."""
    if backend == "jax":
        environment["XLA_FLAGS"] = COMPILING_LITTLE
    children = [
        subprocess.Popen(
            command(f"distributed.{program}", rank, *arguments),
            cwd="/",
            env={**os.environ, **QUIET, "KERAS_BACKEND": backend, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(ranks)
    ]
    end = time.monotonic() + LIMIT
    outputs = []
    try:
        outputs.extend(
            child.communicate(timeout=end - time.monotonic())[0] for child in children
        )
    finally:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                outputs.append(child.communicate()[0])
                print(outputs[-1])
    return [
        Child(child.returncode, output)
        for child, output in zip(children, outputs, strict=True)
    ]


def fewer_and_fewer(backend, root, meeting):
    """Train in four processes and kill one in a commit; then in two; then in one.

    Args:
        backend: "torch" or "jax".
        root: A folder.
        meeting: Returns where the processes meet, another place each time.

    Returns:
        What the last process printed.
    """
    first = run(*(backend, "fewer_child", root, 4, 2, meeting(), 2), ranks=4)
    assert first[3].returncode == -signal.SIGKILL, first[3].output
    # JAX ends the others when process 0 has ended.
    for child in first[: 1 if backend == "jax" else 3]:
        assert child.told["error"]
    # What was saved before is whole, and the next start removes the rest.
    [checkpoint] = RunDirectory(root / "run").checkpoints()
    assert checkpoint.epoch == 1
    checkpoint.verify()
    run_ids = {checkpoint.run_id}
    second = run(backend, "fewer_child", root, 2, 3, meeting(), 0, ranks=2)
    assert len({tuple(child.told["losses"]) for child in second}) == 1
    [third] = run(backend, "fewer_child", root, 1, 4, "alone", 0)
    rows = mb.history(root / "run")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert {row["run_id"] for row in rows} == run_ids
    left = [one.name for one in (root / "run/checkpoints").iterdir()]
    assert not [name for name in left if name.startswith(".")]
    return third.told


def both(ranks, name):
    """Return what both printed, after checking that it is the same."""
    zero, one = (rank[name] for rank in ranks)
    assert zero == one
    return zero
