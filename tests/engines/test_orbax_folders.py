"""Folders that look as if Orbax had written them, by somebody else."""

import json

import numpy as np
import pytest
import tensorstore

from multiback.errors import CorruptCheckpointError, MissingPackageError
from multiback.store import orbax
from multiback.store.files import Files
from multiback.store.formats import read_folder, settle


def write(folder, name="w", shape=(8,), chunks=(4,), **extra):
    """Write one array; return what opens its database."""
    database = {"driver": "ocdbt", "base": f"file://{folder}/"}
    spec = {
        "driver": "zarr",
        "kvstore": {**database, "path": f"{name}/"},
        "metadata": {
            "shape": shape,
            "chunks": chunks,
            "dtype": "<f4",
            "compressor": None,
            **extra,
        },
    }
    made = tensorstore.open(spec, create=True).result()
    if np.prod(shape) < 1e6:
        made.write(
            np.arange(1, np.prod(shape) + 1, dtype="<f4").reshape(shape)
        ).result()
    return tensorstore.KvStore.open(database).result()


def read(folder):
    files = {k.partition("/")[2]: v for k, v in settle(Files(), folder).items()}
    return read_folder("orbax", folder, files)


def test_an_array_is_read_without_jax(tmp_path):
    write(tmp_path / "orbax", "a%2Fb")
    found = read(tmp_path / "orbax")
    np.testing.assert_array_equal(found["a/b"], np.arange(1, 9))


def test_an_array_that_claims_more_bytes_than_there_are_is_refused(tmp_path):
    write(tmp_path / "orbax", shape=(1 << 40,), chunks=(1 << 20,))
    with pytest.raises(CorruptCheckpointError, match="they claim"):
        read(tmp_path / "orbax")


def test_a_compressed_bomb_is_refused(tmp_path):
    write(
        tmp_path / "orbax",
        shape=(1 << 18,),
        chunks=(1 << 18,),
        compressor={"id": "zstd", "level": 1},
    )
    # Of a few kilobytes.
    kv = tensorstore.KvStore.open(
        {"driver": "ocdbt", "base": f"file://{tmp_path / 'orbax'}/"}
    ).result()
    about = json.loads(kv.read("w/.zarray").result().value)
    zeros = tensorstore.open(
        {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": str(tmp_path / "plain")},
            "metadata": {**about, "fill_value": 1},
        },
        create=True,
    ).result()
    zeros.write(np.zeros(1 << 18, "<f4")).result()
    kv.write("w/0", (tmp_path / "plain/0").read_bytes()).result()
    folder = tmp_path / "small"
    copied = tensorstore.KvStore.open(
        {"driver": "ocdbt", "base": f"file://{folder}/"}
    ).result()
    for key in kv.list().result():
        copied.write(key, kv.read(key).result().value).result()
    with pytest.raises(CorruptCheckpointError, match="they claim"):
        read(folder)


def test_a_piece_that_is_missing_is_an_error_and_no_zeros(tmp_path):
    kv = write(tmp_path / "orbax")
    kv.write("w/1", None).result()
    with pytest.raises(CorruptCheckpointError, match="Orbax wrote"):
        read(tmp_path / "orbax")


def test_a_database_that_is_none_is_an_error_of_ours(tmp_path):
    folder = tmp_path / "orbax"
    folder.mkdir()
    (folder / "manifest.ocdbt").write_bytes(b"no database" * 10)
    with pytest.raises(CorruptCheckpointError, match="Orbax wrote"):
        read(folder)


def test_a_description_that_is_none_is_an_error_of_ours(tmp_path):
    kv = write(tmp_path / "orbax")
    kv.write("w/.zarray", b'{"shape": [-1]}').result()
    with pytest.raises(CorruptCheckpointError, match="Orbax wrote"):
        read(tmp_path / "orbax")


def test_a_database_cannot_lead_out_of_its_folder(tmp_path):
    # What the reader relies on: TensorStore takes no such name.
    (tmp_path / "secret").write_bytes(b"1")
    kv = tensorstore.KvStore.open(
        {"driver": "file", "path": f"{tmp_path / 'orbax'}/"}
    ).result()
    with pytest.raises(ValueError, match="Invalid key"):
        kv.read("../secret").result()


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorstore", None)
    with pytest.raises(MissingPackageError, match=r'pip install "multiback\[orbax\]"'):
        orbax.tensorstore()
