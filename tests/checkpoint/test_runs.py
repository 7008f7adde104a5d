"""Several runs in one directory, resumed runs, failing disks."""

import os
import shutil

import keras
import numpy as np
import pytest
from support.fitting.problem import VALIDATION, Says, fit, model, warns

import multiback as mb
from multiback.errors import (
    ArgumentError,
    CorruptCheckpointError,
    NoCheckpointError,
    StoreError,
)
from multiback.store import Files, RunDirectory

SCORE = mb.Monitor("score", mode="max", early=False)


class Epochs(keras.callbacks.Callback):
    """Note which epochs ran."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.seen.append(epoch)


def train(folder, scores, epochs=None, made=None, **arguments):
    """Fit once; return the callback, the model and the epochs that ran."""
    callback = mb.ModelCheckpoint(folder, SCORE, **arguments)
    ran = Epochs()
    made = made or model()
    fit(made, Says(score=scores), callback, ran, epochs=epochs or len(scores))
    return callback, made, ran.seen


def damage(path):
    """Flip one bit in a checkpoint's weights."""
    file = next(iter([p for p in [path] if p.is_file()]), path / "state.safetensors")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def files(folder):
    """Return every file of the checkpoints, with its content."""
    return {p: p.read_bytes() for p in folder.rglob("checkpoints/*/*")}


def test_a_new_run_never_touches_what_another_wrote(tmp_path):
    first, *_ = train(tmp_path, [0.9, 0.8], filename="same-name")
    before = files(tmp_path)
    second, *_ = train(tmp_path, [0.1, 0.2, 0.15], filename="same-name")
    assert before.items() <= files(tmp_path).items()
    assert first.run_id != second.run_id
    assert second.best_model_score == 0.2
    assert "same-name" in second.best_model_path


def test_loading_takes_the_latest_run_by_default(tmp_path):
    first, *_ = train(tmp_path, [0.9], epochs=1)
    train(tmp_path, [0.1, 0.2], epochs=2)
    with warns('run="all"'):
        assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 4
    old = mb.load_best(tmp_path, run=first.run_id)
    assert old.optimizer.iterations.numpy() == 2
    with pytest.raises(
        NoCheckpointError, match=f"of the run 'other'. Its runs.* are: '{first.run_id}'"
    ):
        mb.load_best(tmp_path, run="other")


@pytest.mark.parametrize("resume", ["auto", "must"])
def test_a_resumed_run_keeps_its_best_and_continues_where_it_was(tmp_path, resume):
    first, before, _ = train(tmp_path, [0.9, 0.8])
    second, after, ran = train(
        tmp_path, [None, None, 0.5, 0.6], made=model(), resume=resume
    )
    assert ran == [2, 3]
    assert second.run_id == first.run_id
    assert second.best_model_path == first.best_model_path
    assert second.best_model_score == 0.9
    assert after.optimizer.iterations.numpy() == 8
    assert before.optimizer.iterations.numpy() == 4
    # A later fit of the same model starts at its own beginning.
    ran = Epochs()
    fit(after, ran, epochs=2)
    assert ran.seen == [0, 1]


def test_a_resumed_run_restores_the_weights_before_the_first_step(tmp_path):
    _, before, _ = train(tmp_path, [0.9, 0.8])

    class Compare(keras.callbacks.Callback):
        same = None

        def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            if self.same is None:
                here = self.model.get_weights()
                pairs = zip(here, before.get_weights(), strict=True)
                self.same = all(np.array_equal(a, b) for a, b in pairs)

    compare = Compare()
    callback = mb.ModelCheckpoint(tmp_path, SCORE, resume="must")
    fit(model(), callback, compare, Says(score=[0] * 3), epochs=3)
    assert compare.same


def test_a_run_that_was_finished_runs_no_epoch_and_leaves_nothing_behind(tmp_path):
    train(tmp_path, [0.9, 0.8])
    with warns("Nothing is left to train"):
        _, made, ran = train(tmp_path, [0.9, 0.8], resume="auto")
    assert ran == []
    ran = Epochs()
    fit(made, ran, epochs=1)
    assert ran.seen == [0]


def test_an_error_in_a_resumed_fit_leaves_nothing_behind_either(tmp_path):
    train(tmp_path, [0.9])

    class Fails(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
            raise ZeroDivisionError

    made = model()
    callback = mb.ModelCheckpoint(tmp_path, SCORE, resume="must")
    with pytest.raises(ZeroDivisionError):
        fit(made, callback, Fails())
    assert fit(made, epochs=1).epoch == [0]


def test_there_may_be_nothing_to_resume(tmp_path):
    _, _, ran = train(tmp_path / "a", [0.5, 0.6], resume="auto")
    assert ran == [0, 1]
    with pytest.raises(NoCheckpointError, match='resume="must" wants a run'):
        train(tmp_path / "b", [0.5], resume="must")


def test_resuming_passes_over_a_damaged_newest(tmp_path):
    first, *_ = train(tmp_path, [0.8, 0.9], keep=[mb.All()])
    damage(RunDirectory(tmp_path).checkpoints()[-1].path)
    with warns("Passed over epoch=002"):
        second, _, ran = train(tmp_path, [0, 0, 0], resume="auto", keep=[mb.All()])
    assert ran == [1, 2]
    assert second.run_id == first.run_id
    # Not counted among the best any more, and not deleted either.
    assert second.best_model_score == 0.8
    assert len(list(tmp_path.glob("checkpoints/epoch=002*"))) == 2


def test_weights_alone_resume_with_a_fresh_optimizer_and_say_so(tmp_path):
    train(tmp_path, [0.9, 0.8], save_weights_only=True)
    [*_, newest] = RunDirectory(tmp_path).checkpoints()
    groups = {entry["group"] for entry in newest.document("variables")}
    assert groups == {"weights"}
    with warns("holds no optimizer"):
        _, made, ran = train(tmp_path, [0, 0, 0], resume="auto")
    assert ran == [2]
    assert made.optimizer.iterations.numpy() == 2


def test_a_monitor_that_is_new_in_the_resumed_part_judges_the_old_ones_too(tmp_path):
    train(tmp_path, [0.5, 0.9], keep=[mb.All()])
    callback = mb.ModelCheckpoint(tmp_path, "loss", resume="must", keep=[mb.All()])
    history = fit(model(), callback, epochs=3).history["loss"]
    assert len(callback.best_k_models) == 1
    assert callback.best_model_score <= min(history)
    recorded = [one.metrics["loss"] for one in RunDirectory(tmp_path).checkpoints()]
    assert callback.best_model_score == min(recorded)


def test_a_damaged_best_falls_back_to_the_next_best_with_a_warning(tmp_path):
    callback, *_ = train(tmp_path, [0.7, 0.9, 0.8], save_top_k=2)
    best = RunDirectory(tmp_path).path / "best"
    damage(best.resolve())
    with warns("Passed over epoch=002.*checksum"):
        made = mb.load_best(tmp_path)
    assert made.optimizer.iterations.numpy() == 6
    with pytest.raises(CorruptCheckpointError):
        mb.load(callback.best_model_path)
    with warns("Passed over epoch=002"):
        mb.restore(model(), tmp_path)


def test_a_damaged_manifest_is_reported_as_well(tmp_path):
    train(tmp_path, [0.7, 0.9], save_top_k=2)
    damage(RunDirectory(tmp_path).checkpoints()[-1].path / "manifest.json")
    with warns(r"Passed over .*manifest\.json"):
        assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 2


def test_where_all_are_damaged_it_says_so(tmp_path):
    train(tmp_path, [0.7, 0.9])
    for checkpoint in RunDirectory(tmp_path).checkpoints():
        damage(checkpoint.path)
    with (
        warns("Passed over"),
        pytest.raises(CorruptCheckpointError),
    ):
        mb.load_last(tmp_path)


class FullDisk(Files):
    """Refuse to write a weights file after some."""

    left = 2

    def create(self, path):
        if path.name == "state.safetensors":
            self.left -= 1
            if self.left < 0:
                raise OSError(28, os.strerror(28))
        return super().create(path)


class NoRemoval(Files):
    """Refuse to remove checkpoints."""

    def rename(self, source, target):
        if target.name.startswith(".del-"):
            raise OSError(13, os.strerror(13))
        super().rename(source, target)


def with_files(folder, files, **arguments):
    """Make a callback whose disk misbehaves."""
    callback = mb.ModelCheckpoint(folder, SCORE, **arguments)
    callback._checkpointer.kept.directory = RunDirectory(folder, files)
    return callback


def test_a_full_disk_stops_training_and_leaves_the_earlier_ones(tmp_path):
    callback = with_files(tmp_path, FullDisk())
    with pytest.raises(StoreError, match="Free some space"):
        fit(model(), Says(score=[0.5, 0.9, 0.8]), callback)
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 4
    assert callback.best_model_score == 0.9
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_checkpoint_that_cannot_be_removed_costs_a_warning_not_the_training(tmp_path):
    callback = with_files(tmp_path, NoRemoval())
    with warns("tidying up failed"):
        fit(model(), Says(score=[0.5, 0.9, 0.8]), callback)
    assert callback.best_model_score == 0.9
    assert len(RunDirectory(tmp_path).checkpoints()) == 3


def test_a_folder_called_best_costs_a_warning_not_the_training(tmp_path):
    (tmp_path / "best").mkdir()
    with warns("is a directory"):
        callback, *_ = train(tmp_path, [0.5, 0.9])
    assert callback.best_model_score == 0.9


def test_a_checkpoint_that_a_person_deleted_is_not_missed(tmp_path):
    class Vandal(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            if epoch == 0:
                shutil.rmtree(callback.best_model_path)

    callback = mb.ModelCheckpoint(tmp_path, SCORE, save_last=False)
    fit(model(), Says(score=[0.5, 0.9]), callback, Vandal(), epochs=2)
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 4


def test_a_path_that_cannot_be_a_directory_fails_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = Epochs()
    with pytest.raises(StoreError, match="file"):
        fit(model(), ran, mb.ModelCheckpoint(tmp_path / "file" / "run", SCORE))
    assert ran.seen == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"dirpath": ""}, "dirpath="),
        ({"dirpath": None}, "dirpath="),
        ({"every_n_epochs": 0}, "every_n_epochs="),
        ({"save_top_k": -2}, "save_top_k="),
        ({"save_top_k": 0, "save_last": False}, "Nothing would ever be saved"),
        ({"keep": []}, "keep="),
        ({"keep": ["val_f1"]}, "keep="),
        ({"resume": "yes"}, "resume="),
        ({"filename": "{val_f1:d}"}, "filename="),
        ({"mode": "best"}, "mode="),
        ({"save_last": "yes"}, "save_last= wants True or False"),
        ({"save_weights_only": 1}, "save_weights_only="),
        ({"auto_insert_metric_name": None}, "auto_insert_metric_name="),
        ({"restore_best": "best"}, "restore_best="),
        ({"prefixes": "val_"}, "prefixes="),
        ({"dirpath": "a\0b"}, "dirpath="),
        ({"dirpath": __file__}, "is a file"),
        ({"resume": __file__}, "is a file"),
    ],
)
def test_a_wrong_argument_fails_when_it_is_given(tmp_path, arguments, text):
    with pytest.raises(ArgumentError, match=text):
        mb.ModelCheckpoint(**{"dirpath": tmp_path, "monitor": "val_f1", **arguments})


def test_every_epoch_is_in_the_history_whether_saved_or_not(tmp_path):
    train(tmp_path, [0.9, 0.5, 0.4, 0.3], save_last=False, every_n_epochs=2)
    records = RunDirectory(tmp_path).history()
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    assert [record["step"] for record in records] == [2, 4, 6, 8]
    assert [record["metrics"]["score"] for record in records] == [0.9, 0.5, 0.4, 0.3]
    assert len(RunDirectory(tmp_path).checkpoints()) == 1


def test_the_links_lead_to_the_best_and_the_last(tmp_path):
    callback, *_ = train(tmp_path, [0.9, 0.5, 0.4])
    assert str((tmp_path / "best").resolve()) == callback.best_model_path
    assert str((tmp_path / "last").resolve()) == callback.last_model_path
    assert mb.load(tmp_path / "best").optimizer.iterations.numpy() == 2
    with_validation = mb.ModelCheckpoint(tmp_path, "val_loss")
    fit(model(), with_validation, **VALIDATION)
    assert str((tmp_path / "best").resolve()) == with_validation.best_model_path
