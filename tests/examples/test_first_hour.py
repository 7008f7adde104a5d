"""The scripts of a first hour run on each backend, all in one process."""

import re
import runpy
from pathlib import Path

import keras
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "first_hour"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.every_case
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_of_the_first_hour_runs_as_it_stands(
    script, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(script)])
    keras.backend.clear_session(
        free_memory=False
    )  # Names of layers as in a process of their own.
    runpy.run_path(str(script), run_name="__main__")
    assert capfd.readouterr().out.count("\n") >= 2
    assert list(tmp_path.rglob("checkpoints/*/manifest.json"))


def test_the_examples_page_lists_each_script_once():
    page = (FOLDER.parent / "README.md").read_text()
    listed = re.findall(r"\(first_hour/(\w+\.py)\)", page)
    assert sorted(listed) == [script.name for script in SCRIPTS]
