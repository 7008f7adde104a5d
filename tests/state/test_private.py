"""Notice when one of the private names that state/ leans on moves."""

import zipfile

import keras
import pytest
from support import models

from multiback import keras_private
from multiback.errors import StateError


def test_layers_are_walked_below_plain_layers():
    inner = keras.layers.Bidirectional(keras.layers.LSTM(2))
    model = keras.Sequential([keras.Input((3, 2)), inner])
    kinds = [type(layer) for layer in keras_private.layers_of(model)]
    assert kinds.count(keras.layers.LSTM) == 2
    assert model in keras_private.layers_of(model)


def test_the_sharing_scope_marks_an_object_that_is_named_twice():
    layer = keras.layers.Dense(2)
    with keras_private.sharing():
        first, second = keras.saving.serialize_keras_object([layer, layer])
    assert first["shared_object_id"] == second["shared_object_id"]
    with keras_private.sharing():
        one, other = keras.saving.deserialize_keras_object([first, second])
    assert one is other


def test_keras_s_classes_live_where_we_look():
    assert keras.layers.Dense.__module__.startswith(keras_private.KERAS_SOURCE)


def test_the_compile_config_is_hidden_for_a_while():
    model = models.mlp()
    model.compile("sgd", "mse")
    with keras_private.no_compile_config(model):
        assert not keras.saving.serialize_keras_object(model)["compile_config"]
    assert keras.saving.serialize_keras_object(model)["compile_config"]


def test_a_keras_file_that_would_fill_the_memory_is_not_read(tmp_path, monkeypatch):
    """Keras 3.13, the oldest that we claim, reads it."""
    path = tmp_path / "forged.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\0" * 1_000_000)
    monkeypatch.setattr(keras_private, "_SMALL", 1000)
    with (
        pytest.raises(StateError, match="would become 1000000: it may be forged"),
        keras_private.stores_of(path),
    ):
        pass
