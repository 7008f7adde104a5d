"""Run the command line in this process, on checkpoints that need no training."""

import numpy as np
import pytest

from multiback.store import Files, Request, RunDirectory


class UnsyncedFiles(Files):
    """Skip fsync where a test only prepares."""

    def sync(self, descriptor):
        pass

    def sync_directory(self, path):
        pass


@pytest.fixture
def save(tmp_path):
    """Commit as the callback does, into tmp_path/run."""

    def commit(epoch, *, run_id="a", score=0.5, precision=0.5, **changes):
        arguments = {
            "name": f"epoch={epoch:03d}",
            "tensors": {"weights/0000": np.full((2, 3), epoch, np.float32)},
            "documents": {
                "variables": [
                    {
                        "key": "weights/0000",
                        "group": "weights",
                        "path": "net/dense/kernel",
                        "shape": [2, 3],
                        "dtype": "float32",
                    }
                ]
            },
            "metrics": {
                "val_f1": score,
                "val_loss": 1 - score,
                "val_precision": precision,
            },
            "backend": "jax",
            "versions": {"keras": "3.13.0"},
            "architecture": {"units": 3},
            "extra": {
                "scores": {"val_f1": score},
                "modes": {"val_f1": "max"},
                "ranking": ["val_f1"],
                "weights_only": False,
            },
        }
        arguments |= changes
        name = arguments.pop("name")
        runs = RunDirectory(tmp_path / "run", UnsyncedFiles())
        request = Request(
            name, run_id=run_id, epoch=epoch, step=10 * epoch, **arguments
        )
        return runs.commit(request)

    return commit


@pytest.fixture
def run(tmp_path, save):
    """A run directory with five checkpoints of one run."""
    for epoch, (score, precision) in enumerate(
        [(0.5, 0.95), (0.9, 0.7), (0.8, 0.92), (0.6, 0.99), (0.7, 0.5)], start=1
    ):
        save(epoch, score=score, precision=precision)
    return tmp_path / "run"
