"""What nox hides from a session is hidden, and nothing else is."""

import importlib.util
import os
import subprocess
import sys

import pytest

HIDDEN = os.environ.get("MULTIBACK_TEST_HIDDEN", "")
pytestmark = pytest.mark.skipif(not HIDDEN, reason="nox names what a session hides")
CHILD = """
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name)
"""


def test_it_cannot_be_imported_here_nor_in_a_child():
    names = HIDDEN.split(",")
    for name in names:
        assert importlib.util.find_spec(name) is None
        with pytest.raises(ModuleNotFoundError):
            __import__(name)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *names, "numpy"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert child.stdout.split() == names


def test_all_that_is_hidden_is_installed():
    shown = {**os.environ, "MULTIBACK_TEST_HIDDEN": ""}
    code = "import importlib.util as u, sys; print(*map(u.find_spec, sys.argv[1:]))"
    child = subprocess.run(
        [sys.executable, "-c", code, *HIDDEN.split(",")],
        capture_output=True,
        text=True,
        check=True,
        env=shown,
    )
    assert "None" not in child.stdout.split()
