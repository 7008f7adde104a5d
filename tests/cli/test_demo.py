"""The demo trains, checks and loads on real data, under each backend."""

import importlib.util
import subprocess
from pathlib import Path

import pytest
from support.backends import BACKEND
from support.command_line import multiback

import multiback as mb
from multiback.cli.commands.demo import next_lines as demo_lines


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
    # What is copied is not broken in two.
    lines = result.stdout.split("What to type next")[0].splitlines()
    assert max(map(len, lines)) <= 80


def test_the_demo_says_how_to_install_a_backend_that_is_missing(demo):
    _, result = demo
    for backend in ("jax", "tensorflow", "torch"):
        if importlib.util.find_spec(backend) is None:
            assert f'pip install "multiback[{backend}]"' in result.stdout


def next_lines(result):
    text = result.stdout.split("What to type next")[1]
    return [line.strip() for line in text.splitlines()][1:]


def test_the_demo_ends_with_a_report_that_is_there(demo):
    folder, result = demo
    page = (folder / "runs" / "tumour" / "report.html").read_text()
    assert "runs/tumour/report.html" in result.stdout
    assert "Is the number right?" in page
    assert "agrees" in page


@pytest.mark.skipif(BACKEND != "torch", reason="each is a process that loads Keras")
def test_what_to_type_next_works_in_the_readers_shell(demo):
    folder, result = demo
    lines = next_lines(result)
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr[-2000:])
    assert "Total params" in done.stdout


@pytest.mark.parametrize("found", [True, False])
def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    found, tmp_path, monkeypatch
):
    program = tmp_path / "some env" / "multiback"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent if found else tmp_path))
    typed = "multiback" if found else "'some env/multiback'"
    assert demo_lines(Path("my runs"), BACKEND)[0] == f"{typed} ls 'my runs'"


def test_ls_shows_what_the_directory_holds(demo):
    folder, _ = demo
    result = multiback("ls", "runs/tumour", cwd=folder)
    assert result.returncode == 0, result.stderr
    names = sorted(p.name for p in (folder / "runs/tumour/checkpoints").iterdir())
    for name in names:
        assert name in result.stdout
    assert "val_f1_score" in result.stdout
