"""For any bytes in a file, a reader returns valid data or raises multiback's error."""

import contextlib
import json
import math
import os
import resource

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import damaged, examples, mutated, sealed

from multiback.errors import CorruptCheckpointError, StoreError
from multiback.store import FileEntry, Request, RunDirectory, open_checkpoint
from multiback.store.format.jsontext import load
from multiback.store.format.manifest import parse_manifest
from multiback.store.format.tensor_file import read_tensors
from multiback.store.format.tensor_header import DTYPES_KEY

pytestmark = pytest.mark.torture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def saved(folder):
    runs = RunDirectory(folder / "run")
    runs.start_run("a", {"why": ["x", float("nan")]})
    runs.append_history({"run_id": "a", "epoch": 1, "step": 2, "metrics": {"f1": 0.5}})
    return runs.commit(
        Request(
            "one",
            run_id="a",
            tensors={"w": np.ones((4, 3), np.float32), "z": np.ones(2, np.complex64)},
            documents={"trainer": {"epoch": 3, "loss": float("nan")}},
            epoch=3,
            step=70,
            metrics={"val_f1": float("inf")},
            architecture={"layers": [1, 2]},
            extra={"scores": {"val_f1": 0.5}},
        )
    )


@pytest.fixture(autouse=True, scope="module")
def _little_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


@given(data=st.data())
@examples(150)
def test_a_forged_manifest_is_read_or_refused_and_stays_in_its_directory(saved, data):
    fields = json.loads((saved.path / "manifest.json").read_bytes())
    del fields["checksum"]
    forged = data.draw(mutated(fields))
    if not isinstance(forged, dict):
        forged = {"x": forged}
    try:
        manifest = parse_manifest(sealed(forged))
    except ValueError:
        return
    for name in (*manifest.files, manifest.architecture or "x"):
        path = (saved.path / name).resolve()
        assert path.parent == saved.path
    assert all(entry.size >= 0 for entry in manifest.files.values())
    assert all(type(value) is float for value in manifest.metrics.values())


def read_all(path):
    opened = open_checkpoint(path)
    opened.tensors()
    opened.document("trainer")
    opened.architecture_document()


@pytest.mark.parametrize(
    "name", ["manifest.json", "state.safetensors", "trainer.json", "architecture"]
)
@given(data=st.data())
@examples(60)
def test_any_damage_to_any_file_is_found_by_verifying_and_by_reading(saved, name, data):
    path = saved.path / name
    if name == "architecture":
        path = saved.path.parents[1] / saved.architecture
    original = path.read_bytes()
    content = data.draw(damaged(original).filter(lambda one: one != original))
    path.write_bytes(content)
    try:
        with pytest.raises(StoreError):
            open_checkpoint(saved.path).verify()
        with pytest.raises(StoreError):
            read_all(saved.path)
    finally:
        path.write_bytes(original)
    open_checkpoint(saved.path).verify()


def read_forged(folder, content):
    path = folder / "forged.safetensors"
    path.write_bytes(content)
    try:
        arrays = read_tensors(path, FileEntry.of(content))
    except CorruptCheckpointError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(content)


@given(data=st.data())
@examples(150)
def test_a_forged_header_is_read_or_refused(folder, saved, data):
    content = (saved.path / "state.safetensors").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    metadata = header["__metadata__"]
    metadata[DTYPES_KEY] = json.dumps(
        data.draw(mutated(json.loads(metadata[DTYPES_KEY])))
    )
    raw = json.dumps(data.draw(mutated(header))).encode()
    length = data.draw(st.sampled_from([len(raw), len(raw) + 1, 2**40, 0]))
    read_forged(folder, length.to_bytes(8, "little") + raw + content[end:])


@given(data=st.data())
@examples(150)
def test_a_damaged_state_whose_checksum_fits_is_read_or_refused(folder, saved, data):
    content = (saved.path / "state.safetensors").read_bytes()
    read_forged(folder, data.draw(damaged(content)))


@pytest.mark.parametrize("name", ["runs.jsonl", "history.jsonl"])
@given(data=st.data())
@examples(100)
def test_a_forged_journal_costs_records_and_nothing_else(saved, name, data):
    runs = RunDirectory(saved.path.parents[1])
    path = runs.path / name
    original = path.read_bytes()
    record = json.loads(original.splitlines()[0])
    line = json.dumps(data.draw(mutated(record))).encode()
    path.write_bytes(data.draw(damaged(line + b"\n" + original) | st.just(line)))
    try:
        assert runs.latest_run() == "a"
        assert all(isinstance(one, dict) for one in runs.history())
        assert all(one["run_id"] == "a" for one in runs.history("a"))
    finally:
        path.write_bytes(original)


@given(content=st.binary(max_size=50) | st.text().map(str.encode))
@examples(100)
def test_any_bytes_are_json_or_a_value_error(content):
    with contextlib.suppress(ValueError):
        load(content)


@pytest.mark.parametrize("depth", [200, 990, 5000, 10**6])
def test_deep_json_is_read_or_a_value_error(depth):
    content = b'{"x":"NaN","y":' + b"[" * depth + b"]" * depth + b"}"
    if depth < 300:
        assert math.isnan(load(content)["x"])
    if depth > 950:
        with pytest.raises(ValueError, match="nested"):
            load(content)


@pytest.mark.parametrize("name", ["runs.jsonl", "history.jsonl"])
def test_a_journal_that_is_a_link_or_a_pipe_or_enormous_is_refused(
    runs, commit, tmp_path, name
):
    commit(runs)
    path = runs.path / name
    secret = tmp_path / "secret"
    secret.write_bytes(b"")
    read = runs.latest_run if name == "runs.jsonl" else runs.history
    path.symlink_to(secret)
    with pytest.raises(StoreError, match="link"):
        read()
    append = {"runs.jsonl": lambda: runs.start_run("b", {})}
    with pytest.raises(StoreError, match="could not open"):
        append.get(name, lambda: runs.append_history({"x": 1}))()
    assert secret.read_bytes() == b""
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="regular"):
        read()
    path.unlink()
    path.write_bytes(b"")
    os.truncate(path, 1 << 42)
    with pytest.raises(StoreError, match="at most"):
        read()


def test_a_document_that_claims_a_terabyte_is_not_read(runs, commit):
    saved = commit(runs)
    size = 1 << 40
    os.truncate(saved.path / "trainer.json", size)
    fields = json.loads((saved.path / "manifest.json").read_bytes())
    del fields["checksum"]
    fields["files"]["trainer.json"]["size"] = size
    (saved.path / "manifest.json").write_bytes(sealed(fields))
    with pytest.raises(CorruptCheckpointError, match="at most"):
        open_checkpoint(saved.path).document("trainer")
    os.truncate(runs.path / saved.architecture, size)
    with pytest.raises(CorruptCheckpointError, match="at most"):
        open_checkpoint(saved.path).architecture_document()


def test_the_checksum_of_the_tests_is_the_stores(saved):
    content = (saved.path / "manifest.json").read_bytes()
    fields = json.loads(content)
    del fields["checksum"]
    assert sealed(fields) == content
    entry = saved.files["trainer.json"]
    raw = (saved.path / "trainer.json").read_bytes()
    assert xxhash.xxh3_128_hexdigest(raw) == entry.xxh3
