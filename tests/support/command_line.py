"""The command line in a process of its own, as a user runs it."""

import os
import subprocess
import sys


def multiback(*arguments, cwd, without=()):
    """Run a command; `without` makes libraries look as if not installed."""
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in without)
    code = f"import sys; {blocked}from multiback.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "COLUMNS": "80", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
