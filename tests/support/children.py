"""Programs of this package as processes of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 300.0
HIDING = Path(__file__).parents[1] / "hidden"
# What Keras imports where it is installed, or looks for in `fit`. A process without it
# starts in half of the time.
SELDOM_NEEDED = {
    *("jax", "matplotlib", "orbax", "pandas", "sklearn", "tensorflow", "torch")
}


def command(program, *arguments):
    """Return the command that runs a module of this package.

    It is found because `tests/conftest.py` puts the folder on `PYTHONPATH`.
    """
    return [sys.executable, "-m", f"support.{program}", *map(str, arguments)]


def under(backend, *needed):
    """Return the environment of a process that needs one backend and little more."""
    hidden = SELDOM_NEEDED - {backend, *needed}
    path = os.pathsep.join(
        dict.fromkeys([str(HIDING), *os.environ["PYTHONPATH"].split(os.pathsep)])
    )
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "MULTIBACK_TEST_HIDDEN": ",".join(sorted(hidden)),
        "PYTHONPATH": path,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }


class Child:
    """A process that was waited for."""

    def __init__(self, returncode, output):
        self.returncode, self.output = returncode, output

    @property
    def told(self):
        """The facts that it printed, each line of them "TOLD" and JSON."""
        assert self.returncode == 0, self.output
        facts = {}
        for line in self.output.splitlines():
            if line.startswith("TOLD "):
                facts |= json.loads(line.removeprefix("TOLD "))
        return facts


def together(*programs):
    """Run several programs at once, and wait for all, but never longer than LIMIT.

    Args:
        programs: A command and its environment for each.
    """
    children = [
        subprocess.Popen(
            program,
            cwd="/",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for program, environment in programs
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
                child.kill()
                outputs.append(child.communicate()[0])
                print(outputs[-1])
    return [
        Child(child.returncode, output)
        for child, output in zip(children, outputs, strict=True)
    ]
