"""What `ModelCheckpoint` writes under one backend trains on under the others."""

import os
import shutil
import subprocess

import pytest
from support.children import command

BACKENDS = ("jax", "tensorflow", "torch")


def run(backend, *arguments):
    return subprocess.run(
        command("portability.train_and_load", *arguments),
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONWARNINGS": "error::UserWarning",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train once under each backend."""
    folder = tmp_path_factory.mktemp("runs")
    for backend in BACKENDS:
        result = run(backend, "train", folder / backend)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("reader", BACKENDS)
def test_every_run_loads_predicts_the_same_and_trains_on(runs, tmp_path, reader):
    copies = [shutil.copytree(runs / b, tmp_path / b, symlinks=True) for b in BACKENDS]
    result = run(reader, "load", *copies)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(BACKENDS)
