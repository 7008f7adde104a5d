"""Of the writers in one process, one at a time writes a run."""

import copy

import keras
import pytest
from support.fitting.problem import Says, fit, model

import multiback as mb
from multiback.checkpoint import Checkpointer
from multiback.errors import ArgumentError, CheckpointWarning, StoreError

A, B = (mb.Monitor(name, mode="max", early=False) for name in "AB")


@pytest.fixture
def made():
    """A model to save."""
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def everything(folder):
    """Return each file of a folder, with its content."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "words", [("auto", "auto"), ("must", "never"), ("never", "auto")]
)
def test_two_callbacks_of_one_directory_may_not_resume(tmp_path, words):
    fit(model(), Says(A=[0.5]), mb.ModelCheckpoint(tmp_path, A), epochs=1)
    before = everything(tmp_path)
    both = [
        mb.ModelCheckpoint(tmp_path, monitor, resume=word)
        for monitor, word in zip((A, B), words, strict=True)
    ]
    with pytest.raises(ArgumentError, match=r"directory of its own.*keep=\[Best"):
        fit(model(), Says(A=[0.5, 0.6], B=[0.5, 0.6]), *both, epochs=2)
    assert everything(tmp_path) == before
    assert [one.run_id for one in both] == ["", ""]


def test_two_callbacks_that_do_not_resume_write_a_run_each(tmp_path):
    both = [mb.ModelCheckpoint(tmp_path, monitor) for monitor in (A, B)]
    with pytest.raises(CheckpointWarning, match="each a run of its own"):
        fit(model(), Says(A=[0.5], B=[0.5]), *both, epochs=1)


def test_a_run_is_written_by_whom_it_was_started_last(tmp_path, made):
    first = Checkpointer(tmp_path, A, resume="auto")
    first.resume(made)
    first.step(made, {"A": 0.9})
    second = Checkpointer(tmp_path, A, resume="auto")
    second.resume(made)
    assert second.run_id == first.run_id
    second.step(made, {"A": 0.1})
    second.wait()
    before = everything(tmp_path)
    for write in (
        lambda: first.step(made, {"A": 0.5}),
        lambda: first.save(made),
        lambda: first.record(made, {"A": 0.5}),
    ):
        with pytest.raises(StoreError, match=r"wants one writer.*Nothing was changed"):
            write()
    # The first one does not release the run that the second one writes.
    first.finish()
    assert everything(tmp_path) == before
    assert [one.run_id for one in second.directory.writers()] == [second.run_id]
    second.step(made, {"A": 0.2})
    second.finish()
    assert second.directory.writers() == []


def test_a_copy_writes_a_run_of_its_own(tmp_path, made):
    first = Checkpointer(tmp_path, A)
    first.step(made, {"A": 0.9})
    second = copy.deepcopy(first)
    # It does not release the original's run either.
    second.end()
    assert [one.run_id for one in first.directory.writers()] == [first.run_id]
    second.step(made, {"A": 0.5})
    first.step(made, {"A": 0.5})
    for one in (first, second):
        one.finish()
    assert first.run_id != second.run_id


def test_an_interrupted_writer_does_not_keep_its_run(tmp_path, made):
    first = Checkpointer(tmp_path, A, resume="auto")
    first.step(made, {"A": 0.9})
    # As in a notebook: the loop ended with an error, and its cell runs again.
    with Checkpointer(tmp_path, A, resume="must") as second:
        second.resume(made)
        second.step(made, {"A": 0.5})
    assert second.run_id == first.run_id
    assert second.best_model_score == 0.9
    # It may begin again.
    first.resume(made)
    first.step(made, {"A": 0.95})
    first.finish()
    assert first.run_id == second.run_id
    with pytest.raises(StoreError, match="wants one writer"):
        second.save(made, batch=1)


def test_a_finished_writer_may_still_save(tmp_path, made):
    with Checkpointer(tmp_path, A) as first:
        first.step(made, {"A": 0.9})
    assert first.save(made)
    first.finish()
