"""How a format is chosen, and what is said where it cannot be."""

import json
import sys

import keras
import numpy as np
import pytest
from support.fitting.problem import model as make

import multiback as mb
from multiback.errors import ArgumentError, MissingPackageError
from multiback.store import RunDirectory

BACKEND = keras.backend.backend()
OTHERS = {"dcp": "torch", "orbax": "jax"}


@pytest.mark.parametrize("name", [n for n, b in OTHERS.items() if b != BACKEND])
def test_a_format_of_another_backend_is_an_error_that_names_the_argument(
    tmp_path, name
):
    for kind in (mb.Checkpointer, mb.ModelCheckpoint):
        with pytest.raises(ArgumentError, match=f"format='{name}' wants .*{BACKEND}"):
            kind(tmp_path, format=name)


@pytest.mark.parametrize("name", ["zip", None, 3, "../dcp"])
def test_an_unknown_format_is_an_error_that_lists_those_there_are(tmp_path, name):
    with pytest.raises(ArgumentError, match=r'"safetensors", "dcp" .* or "orbax"'):
        mb.Checkpointer(tmp_path, format=name)


@pytest.mark.parametrize("name", [n for n, b in OTHERS.items() if b == BACKEND])
def test_a_missing_library_says_what_to_install(tmp_path, name, monkeypatch):
    for library in ("safetensors", "orbax", "orbax.checkpoint"):
        monkeypatch.setitem(sys.modules, library, None)
    wanted = {"dcp": "torch", "orbax": "orbax"}[name]
    with pytest.raises(
        MissingPackageError, match=rf'pip install "multiback\[{wanted}\]"'
    ):
        mb.Checkpointer(tmp_path, format=name)


@pytest.mark.skipif(BACKEND != "torch", reason="the format is torch's")
def test_a_url_is_refused_where_every_process_needs_a_path():
    with pytest.raises(ArgumentError, match=r"wants a directory .* not the URL"):
        mb.Checkpointer("memory://run", format="dcp")


def test_the_header_names_the_variable_of_each_array(tmp_path):
    made = make()
    with mb.Checkpointer(tmp_path, monitor=None) as checkpointer:
        checkpointer.step(made, {})
    [saved] = RunDirectory(tmp_path).checkpoints()
    raw = (saved.path / "state.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    names = json.loads(header["__metadata__"]["multiback.names"])
    paths = [variable.path for variable in made.weights]
    assert [names[f"weights/{n:04d}"] for n in range(len(paths))] == paths


@pytest.mark.skipif(BACKEND != "torch", reason="the format is torch's")
def test_one_process_writes_and_resumes_in_another_format(tmp_path):
    x, y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")

    def train(epochs):
        model = make()
        checkpoint = mb.ModelCheckpoint(
            tmp_path, monitor="loss", mode="min", resume="auto", format="dcp"
        )
        model.fit(x, y, epochs=epochs, verbose=0, callbacks=[checkpoint])
        return model

    train(1)
    trained = train(2)
    [*_, newest] = RunDirectory(tmp_path).checkpoints()
    assert newest.state_format == "dcp"
    assert newest.epoch == 2
    newest.verify()
    loaded = mb.load(newest.path)
    for a, b in zip(trained.variables, loaded.variables, strict=True):
        if "metric" not in a.path:
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.skipif(BACKEND != "torch", reason="the format is torch's")
def test_the_state_is_that_of_the_step_whatever_training_does_then(tmp_path):
    import torch

    tree = {"w": torch.zeros(1 << 20), "n": 3}
    with mb.Checkpointer(tmp_path, format="dcp") as checkpointer:
        checkpointer.step(tree, {})
        tree["w"] += 1
    saved = mb.load_last(tmp_path)
    assert not saved["w"].any()
    assert saved["n"] == 3


def test_distributed_must_be_true_or_false(tmp_path):
    with pytest.raises(ArgumentError, match="distributed="):
        mb.Checkpointer(tmp_path, distributed="no")
