"""Programs of this package as processes of their own."""

import sys


def command(program, *arguments):
    """Return the command that runs a module of this package.

    It is found because `tests/conftest.py` puts the folder on `PYTHONPATH`.
    """
    return [sys.executable, "-m", f"support.{program}", *map(str, arguments)]
