"""Forged manifests and files with the right checksums are refused, at little cost."""

import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import sealed

from multiback.errors import ArgumentError, CorruptCheckpointError, StoreError
from multiback.store import FileEntry, Files, RunDirectory, open_checkpoint
from multiback.store.format import jsontext
from multiback.store.format.manifest import parse_manifest
from multiback.store.format.tensor_file import read_tensors, write_tensors
from multiback.store.local import commits

GOOD = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


def safetensors_bytes(header, payload=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + payload


def tensor(dtype, shape, offsets, payload=b""):
    """Return a file with one array."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return safetensors_bytes({"a": entry}, payload)


HOSTILE = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "a length beyond the file": (1 << 62).to_bytes(8, "little"),
    "the largest length": b"\xff" * 8,
    "no JSON": safetensors_bytes(b"{"),
    "a list": safetensors_bytes([]),
    "deep JSON": safetensors_bytes(b"[" * 100_000),
    "a huge shape": tensor("F32", [1 << 40], [0, 1 << 42]),
    "a shape that overflows to the right size": tensor(
        "U8", [1 << 32, 1 << 32], [0, 0]
    ),
    "an empty shape beyond memory": tensor("F64", [0, (1 << 63) - 1, 1 << 62], [0, 0]),
    "a shape beyond its offsets": tensor("F32", [1 << 40], [0, 4], b"xxxx"),
    "a shape short of its offsets": tensor("U8", [3], [0, 4], b"xxxx"),
    "too many axes": tensor("U8", [1] * 99, [0, 1], b"x"),
    "a negative offset": tensor("U8", [2], [-2, 0]),
    "a negative size": tensor("U8", [-1, -2], [0, 2], b"xx"),
    "a float size": tensor("U8", [2.0], [0, 2], b"xx"),
    "a boolean size": tensor("U8", [True], [0, 1], b"x"),
    "offsets beyond the file": safetensors_bytes({"a": GOOD}, b"x"),
    "overlapping arrays": safetensors_bytes({"a": GOOD, "b": GOOD}, b"xx"),
    "partly overlapping arrays": safetensors_bytes(
        {"a": GOOD, "b": {**GOOD, "data_offsets": [1, 3]}}, b"xxx"
    ),
    "a gap": safetensors_bytes(
        {"a": GOOD, "b": {**GOOD, "data_offsets": [3, 5]}}, b"xxxxx"
    ),
    "bytes behind the last array": safetensors_bytes({"a": GOOD}, b"xxx"),
    "one name twice": safetensors_bytes(
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
        b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    ),
    "an unknown dtype": tensor("PICKLE", [2], [0, 2], b"xx"),
    "a dtype that is a list": tensor(["U8"], [2], [0, 2], b"xx"),
    "an entry that is a number": safetensors_bytes({"a": 1}),
    "metadata that is a list": safetensors_bytes({"__metadata__": []}),
    "a true dtype of another module": safetensors_bytes(
        {"__metadata__": {"multiback.dtypes": '{"a":"finfo"}'}, "a": GOOD}, b"xx"
    ),
    "a true dtype of another size": safetensors_bytes(
        {"__metadata__": {"multiback.dtypes": '{"a":"complex128"}'}, "a": GOOD}, b"xx"
    ),
    "a true dtype of an absent array": safetensors_bytes(
        {"__metadata__": {"multiback.dtypes": '{"b":"int4"}'}, "a": GOOD}, b"xx"
    ),
    "true dtypes that are not an object": safetensors_bytes(
        {"__metadata__": {"multiback.dtypes": "[1]"}}
    ),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_is_refused_with_a_matching_checksum(tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match=r"state\.safetensors must be"):
        read_tensors(path, FileEntry.of(content))


def test_the_reserved_name_is_refused_when_writing(tmp_path):
    with pytest.raises(ArgumentError, match="__metadata__"):
        write_tensors(Files(), tmp_path / "x", {"__metadata__": np.zeros(1)})


def forged(path, change):
    """Change a manifest and give it the checksum that fits: not damage but intent."""
    fields = json.loads(path.read_bytes())
    del fields["checksum"]
    change(fields)
    path.write_bytes(sealed(fields))


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "/etc/passwd",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "C:secret",
        "nul\0",
        "",
        "x" * 300,
        "end.",
    ],
)
@pytest.mark.parametrize("where", ["files", "architecture"])
def test_a_manifest_cannot_point_outside_its_directory(runs, commit, name, where):
    path = commit(runs).path / "manifest.json"

    def change(fields):
        if where == "files":
            fields["files"][name] = {"size": 0, "xxh3": "0"}
        else:
            fields["architecture"] = name

    forged(path, change)
    with pytest.raises(CorruptCheckpointError, match="name"):
        open_checkpoint(path.parent)
    assert runs.checkpoints() == []
    assert len(runs.skipped) == 1


CHANGES = {
    "a boolean sequence": lambda fields: fields.update(sequence=True),
    "a text epoch": lambda fields: fields.update(epoch="1"),
    "no run": lambda fields: fields.pop("run_id"),
    "metrics as a list": lambda fields: fields.update(metrics=[1]),
    "a metric that is a list": lambda fields: fields["metrics"].update(x=[1]),
    "a metric beyond floats": lambda fields: fields["metrics"].update(x=10**400),
    "a negative file size": lambda fields: fields["files"]["trainer.json"].update(
        size=-1
    ),
    "a file entry that is a text": lambda fields: fields["files"].update(x="y"),
    "another format": lambda fields: fields.update(format="zip"),
    "version 0": lambda fields: fields.update(format_version=0),
    "a text version": lambda fields: fields.update(format_version="1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_manifest_with_a_wrong_field_is_refused(runs, commit, change):
    path = commit(runs).path / "manifest.json"
    forged(path, dict)
    assert len(runs.checkpoints()) == 1
    forged(path, change)
    with pytest.raises(CorruptCheckpointError, match="must be a checkpoint's manifest"):
        open_checkpoint(path.parent)
    assert runs.checkpoints() == []


def test_a_newer_format_says_to_upgrade_whatever_its_checksum(runs, commit):
    path = commit(runs).path / "manifest.json"
    path.write_bytes(
        path.read_bytes().replace(b'"format_version": 1', b'"format_version": 3')
    )
    assert runs.checkpoints() == []
    [(skipped, reason)] = runs.skipped
    assert skipped == path.parent
    assert "upgrade multiback" in reason


def test_a_key_from_a_later_minor_version_is_ignored(runs, commit):
    path = commit(runs).path / "manifest.json"
    forged(path, lambda fields: fields.update(later={"x": 1}))
    runs.checkpoints()[0].verify()


@given(st.binary(max_size=200))
def test_any_bytes_as_a_manifest_are_a_value_error(raw):
    with pytest.raises(ValueError, match=r"."):
        parse_manifest(raw)


def test_an_enormous_manifest_is_not_read_whole(runs, commit):
    path = commit(runs).path / "manifest.json"
    with path.open("r+b") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(CorruptCheckpointError, match="more than"):
        open_checkpoint(path.parent)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "C:x",
        ".tmp-x",
        "a\n",
        "a\0",
        "x" * 201,
        "é" * 101,
        "end.",
        "end ",
        3,
        None,
        "\udc80",
    ],
)
def test_a_name_that_is_not_a_plain_file_name_is_refused(runs, commit, name):
    with pytest.raises(ArgumentError, match="name must be a plain file name"):
        commit(runs, name)
    assert not runs.path.exists()


@pytest.mark.parametrize("name", ["epoch=003-step=1200", "x" * 200, "ünï 日本", "a.b"])
def test_a_plain_name_is_kept(runs, commit, name):
    assert commit(runs, name).path.name == name


@pytest.mark.parametrize(
    "changes",
    [
        {"documents": {"../x": 1}},
        {"documents": {"manifest": 1}},
        {"documents": {"a": 1, "A": 2}},
        {"extra_files": {"manifest.json": "x"}},
        {"extra_files": {"State.safetensors": "x"}},
        {"extra_files": {"trainer.json": "x"}},
        {"extra_files": {"/etc/passwd": "x"}},
        {"documents": {"trainer": {1}}},
        {"architecture": {1: 2}},
        {"extra": {"x": ...}},
        {"metrics": {"x": "high"}},
        {"epoch": 1.5},
        {"step": None},
        {"run_id": ""},
        {"backend": None},
        {"versions": {"keras": 3}},
        {"tensors": {1: np.zeros(1)}},
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_before_the_disk_is_touched(runs, commit, changes):
    with pytest.raises(ArgumentError):
        commit(runs, **changes)
    assert not runs.path.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "x" * (20 << 20)},
        {"run_id": "x" * 1001},
        {"metrics": {f"metric-{n}": 0.0 for n in range(300_000)}},
        {"metrics": {"x" * 2000: 0.0}},
        {"metrics": {"x": 10**400}},
        {"created": 1e300},
        {"created": -1},
        {"epoch": 10**400},
        {"sequence": 1 << 70},
    ],
    ids=lambda changes: f"{next(iter(changes))} {str(changes)[:40]}",
)
def test_a_manifest_that_is_far_too_large_is_passed_over_and_hides_no_other(
    runs, commit, changes
):
    commit(runs, "sound")
    bad = commit(runs, "bad")
    forged(bad.path / "manifest.json", lambda fields: fields.update(changes))
    began = time.perf_counter()
    [found] = RunDirectory(runs.path).checkpoints()
    assert time.perf_counter() - began < 2
    tracemalloc.start()
    try:
        RunDirectory(runs.path).checkpoints()
        assert tracemalloc.get_traced_memory()[1] < 256 << 20
    finally:
        tracemalloc.stop()
    assert found.name == "sound"
    [(path, why)] = runs.checkpoints() and runs.skipped
    assert path == bad.path
    assert len(why) < 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "x" * 1001},
        {"metrics": {str(n): 0.0 for n in range(10_001)}},
        {"metrics": {"x" * 1001: 0.0}},
        {"epoch": 1 << 63},
        {"step": -(1 << 63) - 1},
        {"backend": "x" * 1001},
        {"extra": {"text": "x" * (8 << 20)}},
        {"documents": {"trainer": ["x" * (1 << 20)]}},
        {"documents": {"trainer": [0] * 2000}},
        {"architecture": [0] * 2000},
    ],
    ids=lambda changes: f"{next(iter(changes))} {str(changes)[:40]}",
)
def test_what_readers_refuse_cannot_be_written(runs, commit, changes, monkeypatch):
    monkeypatch.setattr(jsontext, "MAX_DOCUMENT", 1 << 20)
    monkeypatch.setattr(jsontext, "MAX_VALUES", 1000)
    with pytest.raises((ArgumentError, StoreError), match="want"):
        commit(runs, **changes)
    assert not runs.path.exists()


def test_a_vocabulary_of_40_mb_is_saved_and_read_back(runs, commit):
    vocabulary = ["word" * 1000] * 10_000
    saved = commit(runs, architecture={"vocabulary": vocabulary})
    assert saved.architecture_document() == {"vocabulary": vocabulary}


def test_a_document_of_too_many_values_is_refused_before_it_is_parsed(runs, commit):
    saved = commit(runs)
    content = b"[" + b"[]," * (8 << 20) + b"[]]"
    (saved.path / "trainer.json").write_bytes(content)
    saved.files["trainer.json"] = FileEntry.of(content)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptCheckpointError, match="at most 8388608 values"):
            saved.document("trainer")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_record_that_no_reader_takes_is_not_appended(runs):
    with pytest.raises(StoreError, match="record wants at most"):
        runs.append_history({"epoch": 1, "text": "x" * (16 << 20)})
    assert runs.records() == []


def test_a_manifest_whose_files_have_too_many_names_is_refused_whole(
    runs, commit, monkeypatch
):
    monkeypatch.setattr(commits, "MAX_MANIFEST", 200)
    with pytest.raises(StoreError, match="manifest"):
        commit(runs)
    assert runs.checkpoints() == []
