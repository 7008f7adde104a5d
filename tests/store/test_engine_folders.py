"""The folder of an engine: hostile ones are refused before anything is read from it."""

import numpy as np
import pytest
from support.dcp_files import commit_dcp, piece

from multiback.errors import ArgumentError, CorruptCheckpointError, StoreError
from multiback.store import FileEntry, Request, RunDirectory
from multiback.store.disk.files import Files
from multiback.store.format.manifest import manifest_bytes, parse_manifest
from multiback.store.format.names import path_fault
from multiback.store.sharded.blocks import PartReader
from multiback.store.sharded.formats import read_parts, settle


def halves(folder):
    folder.mkdir()
    whole = np.arange(6, dtype="float32").reshape(3, 2)
    piece(folder / "a", {"w": whole[:1]}, {"w": [0, 0]})
    piece(folder / "b", {"w": whole[1:]}, {"w": [1, 0]})


def committed(tmp_path, write=halves):
    return commit_dcp(tmp_path / "run", write, {"x": np.ones(2, "float32")})


def test_pieces_are_joined_and_each_file_is_in_the_manifest(tmp_path):
    checkpoint = committed(tmp_path)
    assert sorted(checkpoint.files) == [
        "dcp/a",
        "dcp/b",
        "state-blocks.json",
        "state.safetensors",
    ]
    checkpoint.verify()
    arrays = checkpoint.tensors()
    np.testing.assert_array_equal(arrays["w"], np.arange(6).reshape(3, 2))
    np.testing.assert_array_equal(arrays["x"], [1, 1])
    streamed = dict(checkpoint.stream_tensors())
    np.testing.assert_array_equal(streamed["w"], arrays["w"])
    [listed] = RunDirectory(tmp_path / "run").checkpoints()
    assert listed == checkpoint


def test_a_flipped_bit_in_any_file_of_the_folder_is_found(tmp_path):
    checkpoint = committed(tmp_path)
    for name in ("dcp/a", "dcp/b"):
        path = checkpoint.path / name
        whole = path.read_bytes()
        for at in (3, len(whole) // 2, len(whole) - 1):
            bad = bytearray(whole)
            bad[at] ^= 4
            path.write_bytes(bad)
            with pytest.raises(CorruptCheckpointError):
                checkpoint.verify()
            with pytest.raises(CorruptCheckpointError):
                checkpoint.tensors()
        path.write_bytes(whole)
    checkpoint.verify()


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path):
    committed(tmp_path)

    def fail(folder):
        folder.mkdir()
        (folder / "half").write_bytes(b"1")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        committed(tmp_path, fail)
    found = [path.name for path in (tmp_path / "run/checkpoints").iterdir()]
    assert found == ["one"]


@pytest.mark.parametrize(
    "place", ["dcp", "dcp/a", "dcp/more"], ids=["folder", "file", "beside"]
)
def test_a_link_in_the_folder_is_refused(tmp_path, place):
    checkpoint = committed(tmp_path)
    target = checkpoint.path / place
    if target.exists():
        target.rename(tmp_path / "elsewhere")
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target.symlink_to("/etc/hostname")
    with pytest.raises(CorruptCheckpointError):
        checkpoint.verify()
    with pytest.raises(CorruptCheckpointError):
        checkpoint.tensors()


@pytest.mark.parametrize(
    "name",
    [
        "dcp/../../x",
        "dcp//x",
        "/etc/passwd",
        "dcp/.metadata",
        "orbax/x",
        "a/b",
        "dcp/c:/x",
        "dcp/" + "x/" * 9 + "y",
    ],
)
def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path, name):
    raw = (committed(tmp_path).path / "manifest.json").read_bytes()
    manifest = parse_manifest(raw)
    manifest.files[name] = FileEntry(1, "0")
    with pytest.raises(ValueError, match="it names the file"):
        parse_manifest(manifest_bytes(manifest))


def test_a_state_of_ours_has_no_folder(tmp_path):
    manifest = parse_manifest((committed(tmp_path).path / "manifest.json").read_bytes())
    vars(manifest)["state_format"] = "safetensors"
    with pytest.raises(ValueError, match="another folder than 'safetensors'"):
        parse_manifest(manifest_bytes(manifest))


def test_an_older_reader_says_to_upgrade(tmp_path):
    raw = (committed(tmp_path).path / "manifest.json").read_bytes()
    assert b'"format_version": 2' in raw


def test_an_unknown_format_is_an_error_that_says_so(tmp_path):
    with pytest.raises(StoreError, match="newer multiback"):
        read_parts("zip", PartReader(tmp_path, {}, None), {})


def test_a_name_that_is_taken_by_the_folder_is_refused():
    with pytest.raises(ArgumentError, match="taken"):
        Request(
            "one",
            run_id="a",
            tensors={},
            epoch=1,
            step=1,
            metrics={},
            extra_files={"DCP": "x"},
            state_format="dcp",
        )


def ones(*shape):
    return np.ones(shape, "float32")


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([({"w": ones(2)}, {"w": [0]}), ({"w": ones(2)}, {"w": [4]})], "do not fill"),
        ([({"w": ones(2)}, {"w": [1]}), ({"w": ones(2)}, {"w": [2]})], "overlap|fill"),
        ([({"w": ones(2)}, {"w": [1 << 40]})], "do not fill"),
        ([({"w": ones(2)}, {"w": [-1]})], "offsets"),
        ([({"w": ones(2)}, {"w": [True]})], "offsets"),
        ([({"w": ones(2)}, {"w": [0, 0]})], "offsets"),
        ([({"w": ones(2)}, {"w": "0"})], "offsets"),
        ([({"w": ones(2)}, {"w": [0]}), ({"w": ones(1, 2)}, {"w": [2, 0]})], "differ"),
        # As many elements as the array has.
        (
            [({"w": ones(1, 2)}, {"w": [0, 0]})] * 2
            + [({"w": ones(1, 1)}, {"w": at}) for at in ([1, 1], [2, 0])],
            "overlap",
        ),
    ],
)
def test_pieces_that_make_no_array_are_refused(tmp_path, pieces, why):
    folder = tmp_path / "dcp"
    folder.mkdir()
    for number, (arrays, places) in enumerate(pieces):
        piece(folder / str(number), arrays, places)
    files = {k.split("/")[1]: v for k, v in settle(Files(), folder)[0].items()}
    with pytest.raises(CorruptCheckpointError, match=why):
        read_parts("dcp", PartReader(folder, files, None), {})


def test_a_piece_that_is_a_pickle_is_refused(tmp_path):
    import pickle

    class Hostile:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    folder = tmp_path / "dcp"
    folder.mkdir()
    (folder / "__0_0.distcp").write_bytes(pickle.dumps(Hostile()))
    files = {k.split("/")[1]: v for k, v in settle(Files(), folder)[0].items()}
    with pytest.raises(CorruptCheckpointError, match="safetensors"):
        read_parts("dcp", PartReader(folder, files, None), {})


def test_a_path_has_names_for_its_parts():
    assert path_fault("orbax/ocdbt.process_0/d/0f") is None
    assert "dot" in path_fault("orbax/.hidden")
    assert path_fault(None) is not None
