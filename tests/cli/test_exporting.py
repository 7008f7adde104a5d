"""`export`: what it writes is read without multiback."""

import sys
import zipfile

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

import multiback as mb


class Own(keras.layers.Dense):
    """A layer that Keras does not know."""


def fresh_layers():
    return [keras.layers.Dense(4, "relu"), keras.layers.Dense(1)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A fitted model, and the path of its checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    model = keras.Sequential([keras.Input((3,)), *fresh_layers()])
    model.compile("adam", "mse", metrics=[mb.metrics.MeanSquaredError(name="own")])
    x = np.ones((8, 3), "float32")
    checkpoint = mb.ModelCheckpoint(folder, monitor="loss", mode="min")
    model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[checkpoint])
    return model, checkpoint.best_model_path


def test_a_keras_file_is_read_by_plain_keras(call, trained, tmp_path):
    # In a process without multiback: tests/checkpoint/test_exporting.py.
    model, path = trained
    out = tmp_path / "out.keras"
    result = call("export", path, out)
    assert (result.code, result.out) == (0, f"{out}\n")
    with zipfile.ZipFile(out) as archive:
        assert b"multiback" not in archive.read("config.json")
    x = np.ones((2, 3), "float32")
    found = keras.saving.load_model(out).predict(x, verbose=0)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-5)


def test_a_weights_file_is_read_by_load_weights(call, trained, tmp_path):
    model, path = trained
    assert call("export", path, tmp_path / "out.weights.h5").code == 0
    other = keras.Sequential([keras.Input((3,)), *fresh_layers()])
    other.load_weights(tmp_path / "out.weights.h5")
    for mine, its in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), its.numpy())


def test_a_safetensors_file_has_the_weights_by_path(call, trained, tmp_path):
    model, path = trained
    written = call("export", path, tmp_path / "out.safetensors", "--json").json
    assert written["size"] == (tmp_path / "out.safetensors").stat().st_size
    arrays = load_file(tmp_path / "out.safetensors")
    assert set(arrays) == {variable.path for variable in model.weights}
    for variable in model.weights:
        np.testing.assert_array_equal(arrays[variable.path], variable.numpy())


def test_a_layer_of_ones_own_is_found_in_an_imported_module(
    call, tmp_path, monkeypatch
):
    model = keras.Sequential([keras.Input((3,)), Own(1)])
    with mb.Checkpointer(tmp_path / "run") as checkpoint:
        checkpoint.step(model, {})
        saved = checkpoint.wait()
    result = call("export", saved.path, tmp_path / "out.keras")
    assert result.code == 1
    assert "Own" in result.err
    (tmp_path / "mine_to_import.py").write_text(
        "import keras\nclass Own(keras.layers.Dense):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    result = call(
        "export", saved.path, tmp_path / "out.keras", "--import", "mine_to_import"
    )
    assert result.code == 0, result.err
    assert (tmp_path / "out.keras").exists()
    result = call("export", saved.path, tmp_path / "b.keras", "--import", "no_such")
    assert result.code == 1
    assert "--import no_such" in result.err


def test_a_checkpoint_of_arrays_becomes_safetensors_only(call, tmp_path):
    with mb.Checkpointer(tmp_path / "run") as checkpoint:
        checkpoint.step({"net": {"w": np.arange(3.0)}}, {})
        saved = checkpoint.wait()
    result = call("export", saved.path, tmp_path / "out.keras")
    assert result.code == 1
    assert "no Keras model" in result.err
    assert call("export", saved.path, tmp_path / "out.safetensors").code == 0
    arrays = load_file(tmp_path / "out.safetensors")
    np.testing.assert_array_equal(arrays["net/w"], [0.0, 1.0, 2.0])


@pytest.mark.parametrize("name", ["out.h5", "out", "out.pt", ".keras"])
def test_an_ending_that_says_no_format_is_refused(call, run, tmp_path, name):
    result = call("export", run / "checkpoints" / "epoch=001", tmp_path / name)
    assert result.code == 1
    assert "out must end in .keras, .weights.h5 or .safetensors" in result.err


def test_a_file_that_is_there_is_replaced_on_request_only(call, run, tmp_path):
    path, out = run / "checkpoints" / "epoch=001", tmp_path / "out.safetensors"
    out.write_text("precious")
    result = call("export", path, out)
    assert result.code == 1
    assert "--force" in result.err
    assert out.read_text() == "precious"
    assert call("export", path, out, "--force").code == 0
    assert set(load_file(out)) == {"net/dense/kernel"}


def test_a_damaged_checkpoint_leaves_no_file_and_the_old_one(call, run, tmp_path):
    path, out = run / "checkpoints" / "epoch=001", tmp_path / "out.safetensors"
    assert call("export", path, out).code == 0
    content = out.read_bytes()
    state = path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1] + b"x")
    result = call("export", path, out, "--force")
    assert result.code == 1
    assert result.err.startswith("CorruptCheckpointError")
    assert out.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.safetensors", "run"]


def test_a_disk_error_while_exporting_leaves_nothing(call, trained, tmp_path):
    _, path = trained
    result = call("export", path, tmp_path / "absent" / "out.keras")
    assert result.code == 1
    assert "must be a directory" in result.err
    assert not (tmp_path / "absent").exists()
