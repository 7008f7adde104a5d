"""Every script in examples/ does what it says, as a reader would run it."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))
BACKEND = keras.backend.backend()
# Under torch all but the loops of other backends. They show what no backend changes,
# and each is a process that compiles: others run their own loop. What the quickstart
# does, test_pages.py does under each, in this process.
LOOPS = {"loop_jax", "loop_tensorflow", "loop_torch"}
CHOSEN = {script.stem for script in SCRIPTS} - LOOPS if BACKEND == "torch" else set()
CHOSEN |= {f"loop_{BACKEND}"}
RUNNABLE = [script for script in SCRIPTS if script.stem in CHOSEN]

# "/path/file.py:12: SomeWarning: text", unless the file belongs to a backend. On a
# busy machine a small save may wait for the one before it, and says so.
WARNING = re.compile(
    r"^(?P<file>.*):\d+: (?!SlowDiskWarning)\w*Warning: .*$", re.MULTILINE
)
NOT_OURS = re.compile(r"/site-packages/(keras|jax|tensorflow|torch|google)/")


def our_warnings(stderr):
    found = WARNING.finditer(stderr)
    return [match[0] for match in found if not NOT_OURS.search(match["file"])]


def run(script, folder):
    return subprocess.run(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, "KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("script", RUNNABLE, ids=lambda script: script.stem)
def test_an_example_runs_without_a_warning_and_shows_what_it_claims(script, tmp_path):
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) >= 4
    assert done.stdout.splitlines()[-1].startswith("Shown: ")
    assert our_warnings(done.stderr) == []
    assert list(tmp_path.rglob("checkpoints/*/*")), "it wrote no checkpoint"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_says_what_people_do_and_what_to_do_and_checks_it(script):
    module = ast.parse(script.read_text())
    docstring = ast.get_docstring(module) or ""
    assert "What people do today:" in docstring
    assert "What to do:" in docstring
    assert any(isinstance(node, ast.Assert) for node in ast.walk(module))


def test_the_readme_lists_each_example_once():
    listed = re.findall(r"\]\((\w+\.py)\)", (FOLDER / "README.md").read_text())
    assert sorted(listed) == [script.name for script in SCRIPTS]


def test_a_failing_script_and_a_warning_of_ours_would_be_noticed(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("import warnings\nwarnings.warn('careful')\nassert False\n")
    done = run(script, tmp_path)
    assert done.returncode == 1
    assert len(our_warnings(done.stderr)) == 1
    theirs = "/venv/site-packages/keras/src/ops.py:1: UserWarning: int64"
    assert our_warnings(theirs) == []
