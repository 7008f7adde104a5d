"""Shared helpers: a small commit, and a disk that need not be waited for."""

import numpy as np
import pytest

from multiback.store import Files, Request, RunDirectory


@pytest.fixture
def runs(tmp_path):
    return RunDirectory(tmp_path / "run")


class UnsyncedFiles(Files):
    """Skip fsync where a test only prepares: it takes most of the time."""

    def sync(self, descriptor):
        pass

    def sync_directory(self, path):
        pass


@pytest.fixture
def unsynced():
    return UnsyncedFiles()


@pytest.fixture
def commit():
    """Commit a small checkpoint with every kind of file."""

    def commit_small(runs, name="one", *, run_id="a", value=1.0, **changes):
        arguments = {
            "tensors": {
                "kernel": np.full((4, 3), value, np.float32),
                "step": np.int64(7),
            },
            "documents": {"trainer": {"epoch": 3, "loss": float("nan")}},
            "epoch": 3,
            "step": 70,
            "metrics": {"val_f1": value},
            "architecture": {"class_name": "Sequential", "layers": [1, 2]},
        }
        return runs.commit(Request(name, run_id=run_id, **(arguments | changes)))

    return commit_small
