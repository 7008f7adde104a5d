"""What people and other programs do to a run directory while a training uses it."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import multiback as mb
from multiback.errors import MultibackWarning
from multiback.store import RunDirectory


def steps_of(folder):
    return [one.step for one in RunDirectory(folder).checkpoints()]


def step(ckpt, number, score):
    ckpt.step({"w": np.full(3, number)}, {"score": score}, epoch=number, step=number)
    ckpt.wait()


@pytest.mark.parametrize("how", ["deleted", "pruned", "renamed"])
def test_a_best_that_a_person_took_away_is_best_no_more(tmp_path, how):
    run = tmp_path / "run"
    with mb.Checkpointer(run, "score", mode="max", save_last=False) as ckpt:
        step(ckpt, 1, 0.9)
        best = Path(ckpt.best_model_path)
        if how == "deleted":
            shutil.rmtree(best)
        elif how == "renamed":
            best.rename(best.with_name("mine"))
        else:
            RunDirectory(run).prune(lambda _: [], run_id=ckpt.run_id)
        step(ckpt, 2, 0.7)
        step(ckpt, 3, 0.5)
        assert ckpt.best_model_score == 0.7
        assert Path(ckpt.best_model_path).is_dir()
    assert steps_of(run) == ([1, 2] if how == "renamed" else [2])


def test_a_disk_that_is_not_mounted_for_a_while_has_lost_nothing(tmp_path):
    run = tmp_path / "run"
    with mb.Checkpointer(run, "score", mode="max", save_last=False) as ckpt:
        step(ckpt, 1, 0.9)
        (run / "checkpoints").rename(tmp_path / "away")
        ckpt.step({"w": np.ones(3)}, {"score": 0.7}, epoch=2, step=2)
        (tmp_path / "away").rename(run / "checkpoints")
        assert ckpt.best_model_score == 0.9
    assert steps_of(run) == [1]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_something_named_best_is_left_alone_and_keeps_nothing_on_the_disk(
    tmp_path, what
):
    best = tmp_path / "best"
    if what == "file":
        best.write_text("my notes")
    else:
        best.mkdir()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with mb.Checkpointer(tmp_path, "score", mode="max") as ckpt:
            for number in range(4):
                step(ckpt, number, number / 10)
    [text] = [
        str(one.message) for one in heard if issubclass(one.category, MultibackWarning)
    ]
    assert f"{best} must be a link or absent, but is a" in text
    assert steps_of(tmp_path) == [3]
    assert best.is_dir() if what == "folder" else best.read_text() == "my notes"
    assert (tmp_path / "last").is_symlink()


@pytest.mark.parametrize("name", ["a-copy", "z-copy"])
def test_a_copy_that_a_person_made_is_kept_and_takes_no_place(tmp_path, name):
    with mb.Checkpointer(tmp_path, "score", mode="max", save_top_k=2) as ckpt:
        for number, score in enumerate([0.9, 0.8, 0.1], 1):
            step(ckpt, number, score)
        best = Path(ckpt.best_model_path)
    shutil.copytree(best, best.with_name(name))
    arguments = {"mode": "max", "save_top_k": 2, "resume": "auto"}
    with mb.Checkpointer(tmp_path, "score", **arguments) as ckpt:
        ckpt.resume({"w": np.zeros(3)})
        step(ckpt, 4, 0.2)
        # It is no second best.
        assert list(ckpt.best_k_models.values()) == [0.9, 0.8]
        assert ckpt.best_model_path == str(best)
        for number in (5, 6):
            step(ckpt, number, number)
    assert not best.exists()
    assert best.with_name(name).is_dir()
    assert sorted(steps_of(tmp_path)) == [1, 5, 6]


def test_a_renamed_checkpoint_is_kept_and_training_continues_from_it(tmp_path):
    with mb.Checkpointer(tmp_path, "score", mode="max", save_top_k=2) as ckpt:
        for number, score in enumerate([0.9, 0.8, 0.85], 1):
            step(ckpt, number, score)
    first, newest = (one.path for one in RunDirectory(tmp_path).checkpoints())
    newest.rename(newest.with_name("mine"))
    with mb.Checkpointer(
        tmp_path, "score", mode="max", save_top_k=1, save_last=False, resume="auto"
    ) as ckpt:
        # Read like any other, for it is the newest state.
        found = ckpt.resume({"w": np.zeros(3)})
        assert found["w"][0] == ckpt.epoch == 3
        assert ckpt.best_k_models == {str(first): 0.9}
        step(ckpt, 4, 0.95)
        step(ckpt, 5, 0.96)
    assert not first.exists()
    assert steps_of(tmp_path) == [3, 5]
    assert newest.with_name("mine").is_dir()
