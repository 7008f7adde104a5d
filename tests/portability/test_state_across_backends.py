"""What one backend wrote, any other restores and trains on."""

import os
import subprocess

import pytest
from support.children import command

BACKENDS = ("jax", "tensorflow", "torch")
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


def child(backend, task, *folders):
    # Each folder has the same models, so JAX need not compile them again.
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(folders[0].parent / "compiled")}
    done = subprocess.run(
        command("portability.state_child", task, *folders),
        env={**os.environ, **ENVIRONMENT, **compiled, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = f"{task} under {backend}, after {done.stdout}:\n{done.stderr[-3000:]}"
    assert done.returncode == 0, told
    assert done.stdout.splitlines()[-len(folders) :] == [*map(str, folders)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folders = {backend: tmp_path_factory.mktemp(backend) for backend in BACKENDS}
    for backend, folder in folders.items():
        child(backend, "write", folder)
    return folders


@pytest.mark.parametrize("reader", BACKENDS)
def test_a_checkpoint_of_any_backend_restores_bit_equal_and_trains_on(written, reader):
    child(reader, "read", *written.values())
