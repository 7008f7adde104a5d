"""The commands as a user runs them: in a process, on real data."""

import importlib.util
import os
import subprocess
import sys

import pytest
from support.backends import BACKEND

import multiback as mb


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


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, multiback("demo", "--epochs", "4", cwd=folder)


def test_the_demo_does_the_main_job(demo):
    folder, result = demo
    assert result.returncode == 0, result.stderr
    assert "569 patients, 212 of them malignant" in result.stdout
    assert result.stdout.count("← best") >= 1
    assert f"{BACKEND:<11} same predictions, largest difference" in result.stdout
    assert "DIFFERENT" not in result.stdout
    assert "agrees" in result.stdout
    best = mb.load_best(folder / "runs" / "tumour")
    assert {m.name for m in best.metrics} >= {"loss"}


def test_the_demo_fits_80_columns(demo):
    _, result = demo
    assert max(map(len, result.stdout.splitlines())) <= 80 or "python -c" in max(
        result.stdout.splitlines(), key=len
    )


def test_the_demo_says_how_to_install_a_backend_that_is_missing(demo):
    _, result = demo
    for backend in ("jax", "tensorflow", "torch"):
        if importlib.util.find_spec(backend) is None:
            assert f'pip install "multiback[{backend}]"' in result.stdout


def test_the_demo_runs_without_the_optional_libraries(tmp_path):
    without = ("sklearn", "torchmetrics")
    result = multiback("demo", "--epochs", "2", cwd=tmp_path, without=without)
    assert result.returncode == 0, result.stderr
    assert 'pip install "multiback[sklearn]"' in result.stdout
    assert 'pip install "multiback[torchmetrics]"' in result.stdout
    assert "What to type next" in result.stdout


def test_ls_shows_what_the_directory_holds(demo):
    folder, _ = demo
    result = multiback("ls", "runs/tumour", cwd=folder)
    assert result.returncode == 0, result.stderr
    names = sorted(p.name for p in (folder / "runs/tumour/checkpoints").iterdir())
    for name in names:
        assert name in result.stdout
    assert "val_f1_score" in result.stdout


def test_an_error_of_ours_is_one_message_and_not_a_traceback(tmp_path):
    result = multiback("ls", "nothing", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("NoCheckpointError: nothing holds no committed")
    assert "Traceback" not in result.stderr
