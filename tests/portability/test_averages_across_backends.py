"""What `mb.average` writes under one backend predicts the same under the others."""

import os
import subprocess

import pytest
from support.children import command

BACKENDS = ("jax", "tensorflow", "torch")


def run(backend, *arguments):
    return subprocess.run(
        command("portability.average_and_load", *arguments),
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Average once under each backend."""
    folder = tmp_path_factory.mktemp("runs")
    for backend in BACKENDS:
        result = run(backend, "average", folder / backend)
        assert result.returncode == 0, result.stderr
    return [folder / backend for backend in BACKENDS]


@pytest.mark.parametrize("reader", BACKENDS)
def test_every_average_predicts_the_same(runs, reader):
    result = run(reader, "load", *runs)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(BACKENDS)
