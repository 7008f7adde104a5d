"""Forged folders that look as if Orbax had written them."""

import json

import numpy as np
import pytest
import tensorstore

from multiback.errors import CorruptCheckpointError, MissingPackageError
from multiback.store.disk.files import Files
from multiback.store.sharded import orbax
from multiback.store.sharded.blocks import BLOCK, PartReader, blocks_document
from multiback.store.sharded.formats import read_parts, settle


def write(folder, name="w", shape=(8,), chunks=(4,), config=None, **extra):
    """Write one array; return what opens its database."""
    database = {"driver": "ocdbt", "base": f"file://{folder}/", "config": config or {}}
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
    files = {k.partition("/")[2]: v for k, v in settle(Files(), folder)[0].items()}
    return read_parts("orbax", PartReader(folder, files, None), {})[0]


def reader_of(folder):
    entries, digits = settle(Files(), folder)
    files = {k.partition("/")[2]: v for k, v in entries.items()}
    return PartReader(folder, files, blocks_document(digits))


def anew(reader):
    """Return a reader that has seen nothing yet."""
    document = {"block": BLOCK, "files": reader._blocks}
    return PartReader(reader.folder, reader.files, document)


def flip(folder, place):
    name, begin, _ = place
    content = bytearray((folder / name).read_bytes())
    content[begin] ^= 1
    (folder / name).write_bytes(content)


@pytest.mark.parametrize("node_bytes", [1 << 23, 200])
def test_a_part_is_the_same_as_that_part_of_the_whole(tmp_path, node_bytes):
    folder = tmp_path / "orbax"
    # Names in a tree of several levels, which keeps common beginnings once.
    config = {"max_decoded_node_bytes": node_bytes}
    for number in range(5):
        name = f"kernel%2F000{number}"
        write(folder, name, (40, 30), (10, 30), config=config)
    write(folder, "step", (), (), config=config)
    whole = np.arange(1, 1201, dtype="float32").reshape(40, 30)
    regions = {"kernel/0003": [((5, 25), (3, 4)), ((39, 40), (0, 30))]}
    arrays, parts = read_parts("orbax", reader_of(folder), regions)
    assert arrays.keys() == {"step", *(f"kernel/000{n}" for n in (0, 1, 2, 4))}
    np.testing.assert_array_equal(arrays["kernel/0004"], whole)
    np.testing.assert_array_equal(arrays["step"], 1)
    np.testing.assert_array_equal(parts["kernel/0003"][0], whole[5:25, 3:4])
    np.testing.assert_array_equal(parts["kernel/0003"][1], whole[39:])


def test_a_changed_chunk_is_found_only_by_a_process_that_reads_it(tmp_path):
    folder = tmp_path / "orbax"
    # Each chunk in a block of its own.
    write(folder, "w", (4, 1 << 17), (1, 1 << 17))
    reader = reader_of(folder)
    places = orbax.places_of(tensorstore, reader)
    flip(folder, places["w/2.0"])
    _, parts = read_parts("orbax", anew(reader), {"w": [((0, 1), (0, 1 << 17))]})
    assert parts["w"][0][0, 0] == 1
    for region in (((2, 3), (5, 6)), ((0, 4), (0, 9))):
        with pytest.raises(CorruptCheckpointError, match="must have from byte"):
            read_parts("orbax", anew(reader), {"w": [region]})


@pytest.mark.parametrize("key", ["w/.zarray", None])
def test_a_changed_byte_of_what_describes_arrays_is_found(tmp_path, key):
    folder = tmp_path / "orbax"
    write(folder)
    reader = reader_of(folder)
    places = orbax.places_of(tensorstore, reader)
    flip(folder, ("manifest.ocdbt", 20, 21) if key is None else places[key])
    with pytest.raises(CorruptCheckpointError, match="must have from byte"):
        read_parts("orbax", anew(reader), {"w": [((0, 1),)]})


def test_a_chunk_that_is_nowhere_is_an_error_where_a_part_is_read(tmp_path):
    kv = write(tmp_path / "orbax")
    kv.write("w/1", None).result()
    reader = reader_of(tmp_path / "orbax")
    read_parts("orbax", reader, {"w": [((0, 2),)]})
    with pytest.raises(CorruptCheckpointError, match="Orbax wrote"):
        read_parts("orbax", reader, {"w": [((0, 5),)]})


def test_a_part_that_is_not_there_is_refused(tmp_path):
    write(tmp_path / "orbax")
    for region in (((0, 9),), ((0, 1), (0, 1)), ((3, 1),)):
        with pytest.raises(CorruptCheckpointError, match="has the shape"):
            read_parts("orbax", reader_of(tmp_path / "orbax"), {"w": [region]})


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
    # It has a few kilobytes.
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


def test_a_broken_database_is_an_error_of_ours(tmp_path):
    folder = tmp_path / "orbax"
    folder.mkdir()
    (folder / "manifest.ocdbt").write_bytes(b"no database" * 10)
    with pytest.raises(CorruptCheckpointError, match="Orbax wrote"):
        read(folder)


def test_a_broken_description_is_an_error_of_ours(tmp_path):
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
