"""What `on_save_error="warn"` does while nothing can be saved, and after that."""

import os
import shutil
import threading
import warnings

import numpy as np
import pytest

import multiback as mb
from multiback.errors import StoreError
from multiback.store import Files, RunDirectory


class Refusing(Files):
    error = None

    def create(self, path):
        if self.error is not None:
            raise self.error
        return super().create(path)


def saving(path, files=None, **arguments):
    ckpt = mb.Checkpointer(path, save_top_k=-1, save_on_background=False, **arguments)
    if files is not None:
        ckpt.directory._files = files
    return ckpt


def steps(ckpt, count):
    """Save so often; return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(count):
            ckpt.step({"w": np.ones(1)}, {})
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("error", [MemoryError(), OSError(24, os.strerror(24))])
def test_a_warning_is_repeated_at_doubling_intervals_and_at_the_end(tmp_path, error):
    files = Refusing()
    ckpt = saving(tmp_path, files, on_save_error="warn")
    assert steps(ckpt, 1) == []
    files.error = error
    # Each step loses its line of history and its checkpoint.
    told = steps(ckpt, 8)
    assert [text.partition(":")[0] for text in told] == [
        "Something was not saved, and training continues",
        *(f"{n} saves in a row failed" for n in (2, 4, 8)),
    ]
    files.error = None
    assert steps(ckpt, 1) == []
    files.error = error
    assert len(steps(ckpt, 2)) == 2
    with pytest.warns(UserWarning, match="The last 2 saves into .* failed"):
        ckpt.finish()
    assert len(RunDirectory(tmp_path).checkpoints()) == 2


@pytest.mark.parametrize("kind", [MemoryError, RuntimeError])
def test_memory_and_threads_that_are_lacking_are_errors_of_ours(
    tmp_path, monkeypatch, kind
):
    def refuse(*_):
        raise kind("can't start new thread")

    ckpt = mb.Checkpointer(tmp_path, save_top_k=-1, on_save_error="raise")
    ckpt.step({"w": np.ones(1)}, {})
    ckpt.wait()
    with monkeypatch.context() as patched:
        if kind is RuntimeError:
            patched.setattr(threading.Thread, "start", refuse)
        else:
            patched.setattr(np, "empty", refuse)
            ckpt._saver.close()
        with pytest.raises(StoreError, match=r"thread|memory"):
            ckpt.step({"w": np.ones(1)}, {})
    ckpt.step({"w": np.ones(1)}, {})
    ckpt.finish()


@pytest.mark.parametrize("lost", ["lock", "directory"])
def test_a_lock_or_a_directory_that_was_removed_ends_no_saving(tmp_path, lost):
    run = tmp_path / "run"
    ckpt = saving(run, on_save_error="warn")
    steps(ckpt, 2)
    if lost == "directory":
        shutil.rmtree(run)
    else:
        for path in run.glob("lock-*"):
            path.unlink()
    assert steps(ckpt, 2) == []
    ckpt.finish()
    assert len(RunDirectory(run).checkpoints()) == (2 if lost == "directory" else 4)
