"""Training into a URL and loading from it, as another process would."""

import copy
import json
import threading
import time

import fsspec
import keras
import numpy as np
import pytest
from support.fitting.problem import Says, X, fit, model, warns
from typer.testing import CliRunner

import multiback as mb
from multiback.cli.app import app
from multiback.errors import ArgumentError, NoCheckpointError, StoreError
from multiback.store import open_run_directory
from multiback.store.remote import mirror

URL = "memory://bucket/runs/tumour"


@pytest.fixture(autouse=True)
def memory():
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    mirror._mirrors.clear()
    yield fs
    fs.store.clear()
    mirror._mirrors.clear()


def train(scores, **arguments):
    callback = mb.ModelCheckpoint(
        URL, mb.Monitor("score", mode="max", early=False), **arguments
    )
    made = model("accuracy")
    fit(made, Says(score=scores), callback, epochs=len(scores))
    mirror._mirrors.clear()
    return callback, made


def test_the_best_of_a_remote_run_loads_by_the_run_and_by_its_own_url():
    callback, _ = train([0.5, 0.9, 0.7])
    assert callback.dirpath == URL
    assert callback.best_model_path.startswith(f"{URL}/checkpoints/epoch=002")
    assert callback.best_model_score == 0.9
    assert callback.last_model_path.startswith(f"{URL}/checkpoints/epoch=003")
    kept = [one.epoch for one in open_run_directory(URL).checkpoints()]
    assert kept == [2, 3]
    best = mb.load_best(URL)
    assert best.optimizer.iterations.numpy() == 4
    same = mb.load(callback.best_model_path)
    predictions = [np.array(one.predict(X, verbose=0)) for one in (best, same)]
    np.testing.assert_array_equal(*predictions)
    assert mb.load_last(URL).optimizer.iterations.numpy() == 6
    assert [one["score"] for one in mb.history(URL)] == [0.5, 0.9, 0.7]
    for path in (URL, callback.best_model_path):
        assert mb.restore(model("accuracy"), path).restored["weights"] == 2


class Asks(keras.callbacks.Callback):
    """Put the object that asks for a checkpoint, and wait until it is seen."""

    def __init__(self, checkpoint, at):
        super().__init__()
        self.request, self.left = checkpoint._triggers._request, at

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.left -= 1
        if self.left == 0:
            assert not self.request.exists()
            fsspec.filesystem("memory").pipe_file(f"{URL}/save-now", b"")
            end = time.monotonic() + 60
            while not self.request.exists():
                assert time.monotonic() < end


def test_an_object_in_a_remote_run_asks_for_a_checkpoint(memory, monkeypatch):
    monkeypatch.setattr("multiback.checkpoint.choosing.triggers._LOOK_SECONDS", 0.0)
    monkeypatch.setattr("multiback.store.remote.save_request.LOOK_SECONDS", 0.0)
    callback = mb.ModelCheckpoint(URL, save_last=False, keep=[mb.Every(epochs=9)])
    twin = copy.deepcopy(callback)
    fit(model(), Asks(callback, 4), callback, epochs=2, batch_size=4)
    found = open_run_directory(URL).checkpoints()
    assert [one.step for one in found] == [3]
    assert found[0].extra["asked"]
    assert not memory.exists(f"{URL}/save-now")
    # Seen once more by a look that began before it was taken away, it says nothing.
    assert not callback._triggers._request.exists()
    assert twin._triggers._request is not callback._triggers._request


def test_a_save_request_that_is_slow_or_fails_does_not_delay_training(monkeypatch):
    monkeypatch.setattr("multiback.store.remote.save_request.LOOK_SECONDS", 0.0)
    request = open_run_directory(URL).save_request
    looking, go_on = threading.Event(), threading.Event()

    def cut(_):
        looking.set()
        assert go_on.wait(60)
        raise StoreError("the connection is cut")

    monkeypatch.setattr(request._bucket, "list", cut)
    monkeypatch.setattr(request._bucket, "delete", cut)
    assert not request.exists()
    assert looking.wait(60)
    assert not request.exists()
    go_on.set()
    request._looking.join()
    assert not request.exists()
    request.unlink()


def test_a_remote_run_continues_where_it_was_and_a_branch_begins_there():
    callback, _ = train([0.5, 0.9])
    resumed, made = train([0.0, 0.0, 0.7], resume="must")
    assert resumed.run_id == callback.run_id
    assert resumed.best_model_score == 0.9
    assert made.optimizer.iterations.numpy() == 6
    branch, made = train([0.1, 0.1, 0.1, 0.1], resume=resumed.last_model_path)
    assert branch.run_id != callback.run_id
    assert made.optimizer.iterations.numpy() == 8
    [started] = [
        record["info"]["branch_of"]
        for record in open_run_directory(URL)._runs.records()
        if record["run_id"] == branch.run_id
    ]
    assert started == resumed.last_model_path


def test_a_damaged_remote_best_falls_back_with_a_warning(memory):
    callback, _ = train([0.7, 0.9], save_top_k=2)
    path = callback.best_model_path.removeprefix("memory:/") + "/state.safetensors"
    content = bytearray(memory.cat(path))
    content[-1] ^= 1
    memory.pipe(path, bytes(content))
    with warns("Passed over epoch=002.*memory://"):
        assert mb.load_best(URL).optimizer.iterations.numpy() == 2


def test_a_checkpointer_of_a_url_can_be_copied_and_closed():
    with mb.Checkpointer(URL, "f1_score") as checkpointer:
        checkpointer.step({"w": np.ones(3)}, {"f1_score": 0.5})
        other = copy.deepcopy(checkpointer)
        other.step({"w": np.zeros(3)}, {"f1_score": 0.6})
    np.testing.assert_array_equal(mb.load_best(URL)["w"], np.zeros(3))


def test_restore_best_puts_remote_weights_back():
    _, made = train([0.9, 0.1], restore_best=True)
    best = open_run_directory(URL).checkpoints()[0].tensors()
    np.testing.assert_array_equal(
        np.array(made.weights[0].numpy()), best["weights/0000"]
    )


def told(*arguments, code=0):
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    return result.stdout


def test_every_command_takes_a_url(tmp_path, memory):
    callback, _ = train([0.5, 0.9, 0.7], keep=[mb.All()])
    listed = json.loads(told("ls", URL, "--json"))
    assert listed["directory"] == URL
    assert len(listed["checkpoints"]) == 3
    assert "epoch=002" in told("ls", URL)
    assert told("best", URL, "--by", "score", "--mode", "max").strip().startswith(URL)
    shown = json.loads(told("show", callback.last_model_path, "--json"))
    assert shown["path"] == callback.last_model_path
    assert json.loads(told("verify", URL, "--json"))["intact"] == 3
    paths = [one["path"] for one in listed["checkpoints"]]
    difference = json.loads(told("diff", *paths[:2], "--json"))
    assert [difference["a"], difference["b"]] == paths[:2]
    assert not difference["same"]
    told("export", paths[0], str(tmp_path / "out.keras"))
    assert (tmp_path / "out.keras").stat().st_size > 0
    pruned = json.loads(told("prune", URL, "--keep", "Last(1)", "--json"))
    assert len(pruned["removed"]) == 2
    assert json.loads(told("gc", URL, "--json"))["removed"] == []
    path = paths[2].removeprefix("memory:/") + "/state.safetensors"
    content = memory.cat(path)
    memory.pipe(path, content[:-1] + bytes([content[-1] ^ 1]))
    assert "state.safetensors" in told("verify", URL, "--json", code=2)
    with pytest.raises(ArgumentError, match=f"{URL}/checkpoints/NAME"):
        told("show", URL)
    with pytest.raises(NoCheckpointError, match="memory://other"):
        told("ls", "memory://other")
