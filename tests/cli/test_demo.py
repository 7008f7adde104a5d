"""The demo trains, checks and loads on real data, under each backend."""

import importlib.util

import pytest
from support.backends import BACKEND
from support.command_line import multiback

import multiback as mb


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


def test_ls_shows_what_the_directory_holds(demo):
    folder, _ = demo
    result = multiback("ls", "runs/tumour", cwd=folder)
    assert result.returncode == 0, result.stderr
    names = sorted(p.name for p in (folder / "runs/tumour/checkpoints").iterdir())
    for name in names:
        assert name in result.stdout
    assert "val_f1_score" in result.stdout
