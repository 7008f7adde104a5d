"""Saving while training continues: true copies, nothing lost, no error swallowed."""

import copy
import errno
import os
import re
import tempfile
import threading
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from support.fitting.problem import Says, fit, model, warns

import multiback as mb
from multiback.errors import ArgumentError, StoreError
from multiback.store import Files, RunDirectory, SlowDiskWarning

SCORE = mb.Monitor("score", mode="max", early=False)


class GatedFiles(Files):
    """A disk that stops at the first byte until it is released."""

    def __init__(self):
        self.reached, self.gate = threading.Event(), threading.Event()

    def write(self, descriptor, data):
        if threading.current_thread().name == "multiback-writer":
            self.reached.set()
            assert self.gate.wait(60)
        return super().write(descriptor, data)


class FullFiles(Files):
    """A disk that is full while it says so."""

    is_full = False

    def write(self, descriptor, data):
        if self.is_full and threading.current_thread().name == "multiback-writer":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, data)


class Does(keras.callbacks.Callback):
    """Do something at some hooks, by epoch or batch."""

    def __init__(self, **hooks):
        super().__init__()
        for name, action in hooks.items():
            setattr(self, name, lambda index, *_, _do=action, **__: _do(index))


def on(files, made):
    """Let a callback or an engine use a disk."""
    engine = getattr(made, "_checkpointer", made)
    engine.kept.directory = RunDirectory(engine.dirpath, files)
    return made


def callback(folder, files, **arguments):
    return on(files, mb.ModelCheckpoint(folder, SCORE, **arguments))


def steps(folder):
    return [one.step for one in RunDirectory(folder).checkpoints()]


def state_of(made):
    """Copy everything in a model, in the way that Keras promises to copy."""
    return [v.numpy().copy() for v in (*made.variables, *made.optimizer.variables)]


def test_training_continues_and_what_is_saved_is_the_state_of_that_moment(tmp_path):
    files, then, seen = GatedFiles(), [], []
    made = model("accuracy")
    ckpt = callback(tmp_path, files, keep=[mb.All()])

    def after_epoch(epoch):
        if epoch == 0:
            assert files.reached.wait(60)
            then.extend(state_of(made))

    def after_batch(batch):
        # A step of the second epoch: JAX has donated every buffer by now, and torch
        # has changed every parameter.
        if batch == 1 and files.reached.is_set() and not files.gate.is_set():
            seen.append((batch, steps(tmp_path)))
            files.gate.set()

    watch = Does(on_epoch_end=after_epoch, on_train_batch_begin=after_batch)
    fit(made, Says(score=[1.0, 0.5, 0.3]), ckpt, watch, epochs=3)
    assert seen == [(1, [])]
    assert steps(tmp_path) == [2, 4, 6]
    first = mb.load(RunDirectory(tmp_path).checkpoints()[0].path)
    for here, there in zip(state_of(first), then, strict=True):
        np.testing.assert_array_equal(here, there)


def test_arrays_that_change_after_a_save_were_copied(tmp_path):
    files = GatedFiles()
    ckpt = on(files, mb.Checkpointer(tmp_path, save_top_k=-1))
    tree = {"w": np.ones(3), "list": [np.zeros(2, np.float32)]}
    further = np.ones(2)
    ckpt.extras = lambda _: ({}, {"mine": further})
    ckpt.step(tree, {})
    tree["w"] += 1
    tree["list"][0] += 1
    further += 1
    files.gate.set()
    arrays = ckpt.wait().tensors()
    assert arrays["w"].tolist() == [1, 1, 1]
    assert arrays["list/0"].tolist() == [0, 0]
    assert arrays["mine"].tolist() == [1, 1]


def test_each_of_many_saves_holds_its_own_state(tmp_path):
    """Two buffers change hands; none is filled while it is being written."""
    big = np.zeros(1 << 18)
    with mb.Checkpointer(tmp_path, save_top_k=-1) as ckpt:
        for value in range(12):
            big[...] = value
            ckpt.step({"w": big}, {}, step=value)
    found = RunDirectory(tmp_path).checkpoints()
    assert [one.step for one in found] == list(range(12))
    for one in found:
        array = one.tensors()["w"]
        assert array.min() == array.max() == one.step


@pytest.mark.parametrize(("buffers", "waits_at"), [(1, 2), (2, 3)])
def test_a_save_too_many_waits_and_says_so_once(
    tmp_path, monkeypatch, buffers, waits_at
):
    quick = "multiback.store.background.writer._WORTH_TELLING_SECONDS"
    monkeypatch.setattr(quick, 0.1)
    files = GatedFiles()
    ckpt = on(files, mb.Checkpointer(tmp_path, save_top_k=-1, buffers=buffers))
    made = {"w": np.ones(4)}
    copied = []

    def source():
        copied.append(len(copied))
        return made

    ckpt.step(source, {})
    timer = threading.Timer(0.3, files.gate.set)
    timer.start()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(waits_at):
            ckpt.step(source, {})
    assert [one.category for one in told] == [SlowDiskWarning]
    ckpt.wait()
    assert len(steps(tmp_path)) == 1 + waits_at


def test_what_speaks_of_a_checkpoint_waits_until_it_is_there(tmp_path):
    files = GatedFiles()
    ckpt = on(files, mb.Checkpointer(tmp_path, SCORE))
    assert ckpt.step({"w": np.ones(1)}, {"score": 0.5})
    threading.Timer(0.2, files.gate.set).start()
    assert Path(ckpt.best_model_path).is_dir()
    files.gate.clear()
    ckpt.step({"w": np.ones(1)}, {"score": 0.9})
    threading.Timer(0.2, files.gate.set).start()
    assert ckpt.best_model_score == 0.9
    files.gate.clear()
    ckpt.step({"w": np.full(1, 3.0)}, {"score": 0.95})
    threading.Timer(0.2, files.gate.set).start()
    # A reader in the same program, which knows nothing of the writer.
    assert mb.load_best(tmp_path)["w"] == 3.0
    assert Path(ckpt.last_model_path).is_dir()


def test_links_and_removal_come_after_the_new_one_is_there(tmp_path):
    files = GatedFiles()
    files.gate.set()
    ckpt = on(files, mb.Checkpointer(tmp_path, SCORE))
    ckpt.step({"w": np.ones(1)}, {"score": 0.5}, step=1)
    ckpt.wait()
    files.gate.clear()
    ckpt.step({"w": np.ones(1)}, {"score": 0.9}, step=2)
    assert files.reached.wait(60)
    [old] = RunDirectory(tmp_path).checkpoints()
    assert (tmp_path / "best").resolve() == old.path
    old.verify()
    files.gate.set()
    new = ckpt.wait()
    assert (steps(tmp_path), (tmp_path / "best").resolve()) == ([2], new.path)


def test_the_slots_count_with_the_one_that_is_being_written(tmp_path):
    files = GatedFiles()
    ckpt = on(files, mb.Checkpointer(tmp_path, SCORE, save_last=False))
    assert ckpt.step({"w": np.ones(1)}, {"score": 0.9})
    assert not ckpt.step({"w": np.ones(1)}, {"score": 0.5})
    files.gate.set()
    assert ckpt.wait().metrics == {"score": 0.9}


@pytest.mark.parametrize("last", [False, True])
def test_a_full_disk_is_an_error_of_the_next_step_or_of_the_end(tmp_path, last):
    files, ran = FullFiles(), []
    ckpt = callback(tmp_path, files)
    fails = 2 if last else 1

    def fill(epoch):
        ckpt.wait()
        files.is_full = epoch == fails

    before = Does(on_epoch_end=fill)
    after = Does(
        on_train_batch_begin=ran.append,
        on_epoch_end=lambda _: ckpt._checkpointer._saver.settle(),
    )
    with pytest.raises(StoreError, match="Free some space") as caught:
        fit(model(), Says(score=[0.1, 0.5, 0.9]), before, ckpt, after, epochs=3)
    assert caught.value.errno == errno.ENOSPC
    text = str(caught.value)
    assert re.search(r"write \d+ bytes at position \d+ of \S+/checkpoints/", text)
    # At once, not an epoch later.
    assert len(ran) == (6 if last else 4)
    for one in RunDirectory(tmp_path).checkpoints():
        one.verify()
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 2 * fails
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("background", [True, False])
def test_training_continues_without_a_checkpoint_if_asked_to(tmp_path, background):
    files = FullFiles()
    ckpt = callback(
        tmp_path, files, on_save_error="warn", save_on_background=background
    )

    def fill(epoch):
        ckpt.wait()
        files.is_full = epoch == 1

    says = Says(score=[0.5, 0.9, 0.7, 0.6])
    with warns("training continues: could not write .* No space left"):
        fit(model(), says, Does(on_epoch_end=fill), ckpt, epochs=4)
    # The next one is saved once there is room, and is the best of those on the disk.
    assert steps(tmp_path) == [6, 8]
    assert ckpt.best_model_score == 0.7
    assert mb.load_best(tmp_path).optimizer.iterations.numpy() == 6


def test_an_error_of_our_own_program_is_never_only_a_warning(tmp_path):
    class Broken(Files):
        is_broken = False

        def write(self, *arguments):
            if self.is_broken:
                raise ZeroDivisionError
            return super().write(*arguments)

    files = Broken()
    ckpt = on(files, mb.Checkpointer(tmp_path, on_save_error="warn"))
    ckpt.start()
    files.is_broken = True
    ckpt.save({"w": np.ones(1)})
    with pytest.raises(ZeroDivisionError):
        ckpt.wait()
    assert ckpt.last_model_path == ""


def test_an_error_on_its_way_goes_first_and_waits_for_the_disk(tmp_path):
    files = GatedFiles()
    ckpt = callback(tmp_path, files)
    threading.Timer(0.3, files.gate.set).start()
    fails = Does(on_epoch_begin=lambda epoch: 1 / 0 if epoch == 1 else None)
    with pytest.raises(ZeroDivisionError), ckpt:
        fit(model(), Says(score=[0.5]), ckpt, fails)
    assert steps(tmp_path) == [2]


def test_without_background_a_checkpoint_is_there_when_a_step_returns(tmp_path):
    ckpt = mb.Checkpointer(tmp_path, save_top_k=-1, save_on_background=False)
    for number in range(1, 4):
        ckpt.step({"w": np.ones(1)}, {})
        assert len(steps(tmp_path)) == number


class Secretive(keras.layers.Layer):
    """Keeps state outside of variables, as a tokenizer does."""

    secret = b""

    def call(self, inputs):
        return inputs

    def save_assets(self, dir_path):
        Path(dir_path, "secret").write_bytes(self.secret)

    def load_assets(self, dir_path):
        self.secret = Path(dir_path, "secret").read_bytes()


def test_a_file_of_keras_lives_until_it_is_written_and_no_longer(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    layer = Secretive()
    made = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
    files = GatedFiles()
    ckpt = on(files, mb.Checkpointer(tmp_path / "run"))
    layer.secret = b"of the first"
    ckpt.step(made, {})
    layer.secret = b"of later"
    assert list(scratch.iterdir()) == []
    [held] = (tmp_path / "run").glob(".tmp-*/model.keras")
    files.gate.set()
    path = ckpt.wait().path
    assert not held.parent.exists()
    again = mb.load(path, custom_objects={"Secretive": Secretive})
    assert again.layers[0].secret == b"of the first"
    full = FullFiles()
    failing = on(full, mb.Checkpointer(tmp_path / "other"))
    failing.start()
    full.is_full = True
    failing.save(made)
    with pytest.raises(StoreError):
        failing.wait()
    assert not list(scratch.iterdir())


def test_a_copy_of_a_callback_that_is_saving_has_its_own_writer(tmp_path):
    files = GatedFiles()
    ckpt = on(files, mb.Checkpointer(tmp_path, SCORE))
    ckpt.step({"w": np.ones(1)}, {"score": 0.5})
    twin = copy.deepcopy(ckpt)
    assert twin.best_model_path == ""
    files.gate.set()
    assert ckpt.best_model_score == 0.5
    twin.step({"w": np.ones(1)}, {"score": 0.9})
    assert twin.best_model_score == 0.9
    assert ckpt.best_model_score == 0.5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"buffers": 0}, "buffers must be"), ({"on_save_error": "ignore"}, "on_save_err")],
)
def test_an_argument_that_makes_no_sense_is_refused(tmp_path, arguments, text):
    with pytest.raises(ArgumentError, match=text):
        mb.ModelCheckpoint(tmp_path, **arguments)


def test_a_model_with_every_dtype_is_copied_bit_for_bit(tmp_path):
    made = model()
    for dtype in ("bfloat16", "float16", "int8", "uint8", "int32", "bool"):
        made.add_weight(shape=(3,), initializer="ones", dtype=dtype, trainable=False)
    with warnings.catch_warnings(), mb.Checkpointer(tmp_path) as ckpt:
        warnings.simplefilter("ignore")
        ckpt.step(made, {})
    [saved] = RunDirectory(tmp_path).checkpoints()
    arrays = saved.tensors()
    index = {entry["key"]: entry for entry in saved.document("variables")}
    values = [made.variables[int(k[8:])] for k in index if k.startswith("weights/")]
    dtypes = {str(value.dtype) for value in values}
    assert {"bfloat16", "float16", "int8", "bool"} <= dtypes
    for key, value in zip(
        (k for k in index if k[:8] == "weights/"), values, strict=True
    ):
        want = np.asarray(value.numpy())
        assert arrays[key].dtype == want.dtype
        assert arrays[key].tobytes() == want.tobytes()


def test_a_second_fit_waits_for_what_the_first_left(tmp_path):
    files = GatedFiles()
    ckpt = callback(tmp_path, files, save_last=False)
    fails = Does(on_epoch_begin=lambda epoch: 1 / 0 if epoch == 1 else None)
    with pytest.raises(ZeroDivisionError):
        fit(model(), Says(score=[0.5]), ckpt, fails)
    assert steps(tmp_path) == []
    threading.Timer(0.2, files.gate.set).start()
    resumed = mb.ModelCheckpoint(tmp_path, SCORE, resume="must")
    fit(model(), Says(score=[None, 0.3]), resumed, epochs=2)
    assert resumed.best_model_score == 0.5
