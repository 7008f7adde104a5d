"""Parts of arrays: what is read is verified, and what is not needed is not read."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dcp_files import commit_dcp, piece
from support.hostile import examples, mutated

from multiback.errors import ArgumentError, CorruptCheckpointError, MultibackError
from multiback.store import Request
from multiback.store.sharded import blocks
from multiback.store.sharded.blocks import (
    BLOCK,
    PartReader,
    blocks_document,
    digests_of,
)
from multiback.store.sharded.formats import read_parts

ROWS, COLUMNS = 1024, 512


WHOLE = np.arange(ROWS * COLUMNS, dtype="float32").reshape(ROWS, COLUMNS)
SMALL = np.arange(3, dtype="float32")


def halves(folder):
    folder.mkdir()
    half = ROWS // 2
    piece(
        folder / "a", {"w": WHOLE[:half], "small": SMALL}, {"w": [0, 0], "small": [0]}
    )
    piece(folder / "b", {"w": WHOLE[half:]}, {"w": [half, 0]})


def committed(tmp_path, write=halves):
    return commit_dcp(tmp_path / "run", write, {"x": np.arange(4.0)})


def flip(path, position):
    with path.open("r+b") as stream:
        stream.seek(position)
        [byte] = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte ^ 1]))


BOXES = [
    ((0, ROWS), (0, COLUMNS)),
    ((0, ROWS // 2), (0, COLUMNS)),
    ((10, 700), (3, 5)),
    ((511, 513), (511, 512)),
    ((5, 5), (0, COLUMNS)),
]


@pytest.mark.parametrize("region", BOXES)
def test_a_part_is_the_same_as_that_part_of_the_whole(tmp_path, region):
    arrays, parts = committed(tmp_path).tensors_in_parts(
        {"w": [region], "x": [((1, 3),)]}
    )
    rows, columns = (slice(*each) for each in region)
    np.testing.assert_array_equal(parts["w"][0], WHOLE[rows, columns])
    np.testing.assert_array_equal(parts["x"][0], [1.0, 2.0])
    assert arrays.keys() == {"small"}
    np.testing.assert_array_equal(arrays["small"], SMALL)


@pytest.mark.parametrize("with_blocks", [True, False])
def test_files_that_are_not_needed_are_not_read(tmp_path, monkeypatch, with_blocks):
    checkpoint = committed(tmp_path)
    read = []
    real = blocks._range
    monkeypatch.setattr(
        blocks,
        "_range",
        lambda path, *at: read.append((path.name, at)) or real(path, *at),
    )
    if not with_blocks:
        # As before there were blocks.
        del checkpoint.files["state-blocks.json"]
    [part] = checkpoint.tensors_in_parts({"w": [((0, 256), (0, COLUMNS))]})[1]["w"]
    np.testing.assert_array_equal(part, WHOLE[:256])
    assert max(end for name, (_, _, end) in read if name == "b") <= BLOCK
    # The second half of the other file's rows is read: what follows it is wanted.
    left_out = range(3 * BLOCK, 4 * BLOCK)
    for name, (_, begin, end) in read:
        assert name != "a" or begin >= left_out.stop or end <= left_out.start


@pytest.mark.parametrize("position", [3, 30, 1 << 10, 300_000, 524_288 + 70_000])
def test_a_changed_byte_that_is_read_is_found(tmp_path, position):
    checkpoint = committed(tmp_path)
    flip(checkpoint.path / "dcp/a", position)
    with pytest.raises(CorruptCheckpointError, match=r"dcp/a must"):
        checkpoint.tensors_in_parts({"w": [((0, ROWS), (0, COLUMNS))]})


def test_a_changed_byte_elsewhere_is_left_to_verify(tmp_path):
    checkpoint = committed(tmp_path)
    flip(checkpoint.path / "dcp/b", checkpoint.files["dcp/b"].size - 1)
    [part] = checkpoint.tensors_in_parts({"w": [((0, 512), (0, COLUMNS))]})[1]["w"]
    np.testing.assert_array_equal(part, WHOLE[:512])
    with pytest.raises(CorruptCheckpointError, match="dcp/b"):
        checkpoint.verify()
    with pytest.raises(CorruptCheckpointError, match="dcp/b"):
        checkpoint.tensors()


def test_without_checksums_of_blocks_a_file_is_verified_whole(tmp_path):
    checkpoint = committed(tmp_path)
    flip(checkpoint.path / "dcp/b", checkpoint.files["dcp/b"].size - 1)
    del checkpoint.files["state-blocks.json"]
    # Its header is read.
    with pytest.raises(CorruptCheckpointError, match="dcp/b must have the xxh3"):
        checkpoint.tensors_in_parts({"w": [((0, 512), (0, COLUMNS))]})


def test_changed_checksums_of_blocks_are_found(tmp_path):
    checkpoint = committed(tmp_path)
    flip(checkpoint.path / "state-blocks.json", 40)
    with pytest.raises(CorruptCheckpointError, match="state-blocks"):
        checkpoint.tensors_in_parts({"w": [((0, 512), (0, COLUMNS))]})
    with pytest.raises(CorruptCheckpointError, match="state-blocks"):
        checkpoint.verify()


@pytest.mark.parametrize("document", [[], {}, {"block": 1, "files": {}}, {"files": 3}])
def test_malformed_checksums_are_refused(tmp_path, document):
    with pytest.raises(CorruptCheckpointError, match="checksums of blocks"):
        PartReader(tmp_path / "dcp", {}, document)


def test_checksums_of_too_few_blocks_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * (BLOCK + 1))
    entry, digits = digests_of(tmp_path / "a")
    for known in ("", digits[:16], digits[:-1]):
        document = {"block": BLOCK, "files": {"a": known}}
        reader = PartReader(tmp_path, {"a": entry}, document)
        with pytest.raises(CorruptCheckpointError, match="must have from byte"):
            reader.read("a", 0, BLOCK + 1)


@pytest.mark.parametrize(
    "region", [((0, ROWS + 1), (0, 1)), ((0, 1),), ((5, 1), (0, 1)), ((-1, 1), (0, 1))]
)
def test_a_part_that_is_not_there_is_refused_before_anything_is_made(tmp_path, region):
    with pytest.raises(CorruptCheckpointError):
        committed(tmp_path).tensors_in_parts({"w": [region]})


def test_an_array_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CorruptCheckpointError, match="must hold the array 'v'"):
        committed(tmp_path).tensors_in_parts({"v": [((0, 1),)]})


def test_a_document_may_not_take_the_name_of_the_file_of_checksums():
    with pytest.raises(ArgumentError, match=r"'state-blocks\.json' is taken"):
        Request(
            "one",
            run_id="a",
            tensors={},
            epoch=1,
            step=1,
            metrics={},
            documents={"state-blocks": 1},
        )


PLACES = {"w": {"saved_offsets": [0, 0]}, "s": {"saved_offsets": [0]}}
HEADER = {
    "w": {"dtype": "F32", "shape": [8, 4], "data_offsets": [0, 128]},
    "s": {"dtype": "F32", "shape": [3], "data_offsets": [128, 140]},
}


@pytest.mark.torture
@given(data=st.data())
@examples(50)
def test_a_forged_header_with_right_checksums_is_read_or_refused(tmp_path, data):
    places = data.draw(mutated(PLACES)) if data.draw(st.booleans()) else PLACES
    header = {"__metadata__": {"DCP_SHARDING_INFO": json.dumps(places)}, **HEADER}
    text = json.dumps(data.draw(mutated(header))).encode()
    length = data.draw(st.sampled_from([len(text), len(text), 0, 2**40, 2**64 - 1]))
    path = tmp_path / "dcp/a"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(length.to_bytes(8, "little") + text + bytes(140))
    entry, digits = digests_of(path)
    reader = PartReader(path.parent, {"a": entry}, blocks_document({"a": digits}))
    with contextlib.suppress(MultibackError):
        read_parts("dcp", reader, {"w": [((1, 3), (0, 4)), ((0, 0), (0, 4))]})
