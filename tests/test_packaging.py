"""What is installed is what stands in the repository, and nothing else."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from support import lightning_files

import multiback
from multiback.store import Request, RunDirectory

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_with_modules_is_in_the_list_of_packages():
    folders = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for path in (ROOT / "multiback").rglob("__init__.py")
    }
    folders |= {
        "multiback." + str(path.parent.relative_to(ROOT)).replace("/", ".")
        for path in (ROOT / "adapters").rglob("__init__.py")
    }
    assert sorted(folders) == PROJECT["tool"]["setuptools"]["packages"]


def test_adapters_are_imported_as_a_part_of_multiback_only():
    assert (
        importlib.import_module("multiback.adapters").__name__ == "multiback.adapters"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", "import adapters"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert "No module named 'adapters'" in result.stderr


@pytest.mark.skipif(
    "MULTIBACK_TEST_INSTALLED" not in os.environ,
    reason="nox sets it where the wheel is installed",
)
def test_the_tests_run_against_the_installed_wheel():
    assert not Path(multiback.__file__).is_relative_to(ROOT / "multiback")


COMMAND = """
import sys
ours, lightnings = sys.argv[1:]
sys.argv = ["anything", "ls", ours, "--json"]
from multiback.cli import main
for place in (ours, lightnings):
    assert "multiback.adapters" not in sys.modules
    sys.argv[2] = place
    try:
        main()
    except SystemExit as stop:
        assert not stop.code
assert "multiback.adapters" in sys.modules
for name in ("keras", "lightning", "pytorch_lightning", "torch"):
    assert name not in sys.modules, f"the command loaded {name}"
import multiback
assert multiback.Best("f1", mode="max").k == 1
assert "keras" not in sys.modules
assert multiback.metrics.F1Score and multiback.errors.StoreError
from multiback import ModelCheckpoint, load_best
assert "keras" in sys.modules
try:
    from multiback import Nothing
except ImportError as error:
    assert "cannot import name 'Nothing' from 'multiback'" in str(error)
"""


def test_the_command_lists_without_keras_and_finds_every_name_all_the_same(tmp_path):
    request = Request(
        "one", run_id="a", tensors={"w": np.ones(1)}, epoch=0, step=0, metrics={}
    )
    RunDirectory(tmp_path / "ours").commit(request)
    (tmp_path / "theirs").mkdir()
    lightning_files.plain(tmp_path / "theirs" / "epoch=1.ckpt")
    folders = [str(tmp_path / name) for name in ("ours", "theirs")]
    child = [sys.executable, "-c", COMMAND, *folders]
    result = subprocess.run(child, capture_output=True, text=True, check=False, cwd="/")
    assert result.returncode == 0, result.stderr
    assert '"one"' in result.stdout
    assert '"epoch=1.ckpt"' in result.stdout


def test_the_public_names_are_sorted_and_complete():
    assert multiback.__all__ == sorted(multiback.__all__)
    shown = {name for name in dir(multiback) if not name.startswith("_")}
    inside = {"adapters", "checkpoint", "cli", "comparison", "distributed", "show"}
    inside |= {"state", "store", "progress", "warn"}
    inside |= {"keras_import", "keras_private", "markup", "other_names"}
    assert shown - inside == set(multiback.__all__)
    for name in multiback.__all__:
        assert getattr(multiback, name) is not None
