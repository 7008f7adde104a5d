"""Start several processes, wait for all of them, and never longer than so long."""

import os
import signal
import subprocess
import time

from support.children import command
from support.distributed.trained_model import told

LIMIT = 300.0
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}


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


def both(ranks, name):
    """Return what both told, once it is the same."""
    zero, one = (rank[name] for rank in ranks)
    assert zero == one
    return zero
