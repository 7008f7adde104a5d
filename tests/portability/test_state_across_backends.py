"""What one backend wrote, any other restores and trains on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKENDS = ("jax", "tensorflow", "torch")
CHILD = Path(__file__).with_name("state_child.py")


def child(backend, task, folder):
    done = subprocess.run(
        [sys.executable, str(CHILD), task, str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{task} under {backend}:\n{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folders = {backend: tmp_path_factory.mktemp(backend) for backend in BACKENDS}
    for backend, folder in folders.items():
        child(backend, "write", folder)
    return folders


@pytest.mark.parametrize("reader", BACKENDS)
@pytest.mark.parametrize("writer", BACKENDS)
def test_a_checkpoint_restores_bit_equal_and_trains_on(written, writer, reader):
    child(reader, "read", written[writer])
