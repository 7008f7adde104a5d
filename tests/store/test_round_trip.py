import json
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from multiback.errors import ArgumentError
from multiback.store import FileEntry, Files, RunDirectory, open_checkpoint
from multiback.store.background.buffers import Buffer, allocate_aligned
from multiback.store.format.tensor_file import read_tensors, write_tensors
from multiback.store.format.tensor_header import NATIVE, VIEWED

DTYPES = sorted({*NATIVE.values(), *VIEWED.values()}, key=lambda dtype: dtype.name)


def random_array(dtype, shape, seed):
    """Any bytes that the dtype can hold; NaN payloads and signs included."""
    generator = np.random.default_rng(seed)
    count = math.prod(shape) * dtype.itemsize
    raw = generator.integers(0, 256, count, dtype=np.uint8)
    if dtype == np.bool_:
        raw &= 1
    return raw.view(dtype).reshape(shape)


def assert_same_bits(came, wanted):
    little = wanted.astype(wanted.dtype.newbyteorder("<"), copy=False)
    assert came.shape == wanted.shape
    assert came.dtype.name == wanted.dtype.name
    assert came.tobytes() == little.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3)], ids=str)
def test_every_dtype_and_shape_comes_back_bit_for_bit(tmp_path, dtype, shape):
    array = random_array(dtype, shape, seed=1)
    path = tmp_path / "state.safetensors"
    entry = write_tensors(Files(), path, {"x": array})
    assert entry == FileEntry.of(path.read_bytes())
    assert_same_bits(read_tensors(path, entry)["x"], array)


def test_the_header_says_what_hugging_face_takes_and_what_arrays_are_called(
    runs, commit
):
    labels = {"kernel": "encoder/kernel", "absent": "x"}
    saved = commit(runs, labels=labels)
    with safe_open(saved.path / "state.safetensors", framework="np") as opened:
        assert set(opened.keys()) == {"kernel", "step"}
        metadata = opened.metadata()
    # huggingface_hub and transformers take these and refuse others.
    assert metadata["format"] in ("pt", "tf", "flax", "mlx")
    assert json.loads(metadata["multiback.names"]) == {"kernel": "encoder/kernel"}


def test_a_file_whose_header_says_np_is_still_read(tmp_path):
    path = tmp_path / "state.safetensors"
    save_file({"x": np.arange(3)}, path, {"format": "np"})
    entry = FileEntry.of(path.read_bytes())
    assert read_tensors(path, entry)["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_the_safetensors_library_reads_every_file(tmp_path, dtype):
    array = random_array(dtype, (2, 3), seed=2)
    path = tmp_path / "state.safetensors"
    write_tensors(Files(), path, {"x": array, "y": np.float64(2.5)})
    with safe_open(path, framework="np") as opened:
        assert set(opened.keys()) == {"x", "y"}
        assert opened.get_tensor("y") == 2.5
        shape = opened.get_slice("x").get_shape()
        if dtype.name in VIEWED:
            assert shape == [2, 3, dtype.itemsize]
            assert opened.get_tensor("x").tobytes() == array.tobytes()
            assert dtype.name in opened.metadata()["multiback.dtypes"]
        else:
            assert shape == [2, 3]
            if dtype.name in {"bfloat16", "float8_e4m3fn", "float8_e5m2"}:
                return  # Its NumPy face names these in newer versions only.
            assert opened.get_tensor("x").tobytes() == array.tobytes()


@given(
    names=st.lists(st.text(max_size=8), unique=True, max_size=6),
    data=st.data(),
)
@settings(max_examples=60)
def test_any_mix_of_arrays_comes_back_bit_for_bit(tmp_path, names, data):
    shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
    tensors = {
        name: random_array(
            data.draw(st.sampled_from(DTYPES)),
            data.draw(shapes),
            seed=data.draw(st.integers(0, 99)),
        )
        for name in names
    }
    path = tmp_path / "state.safetensors"
    path.unlink(missing_ok=True)
    entry = write_tensors(Files(), path, tensors)
    came = read_tensors(path, entry)
    assert set(came) == set(tensors)
    for name, array in tensors.items():
        assert_same_bits(came[name], array)
    with safe_open(path, framework="np") as opened:
        assert set(opened.keys()) == set(tensors)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-3],
        np.arange(6, dtype=np.int16).reshape(2, 3).T,
        np.arange(6, dtype=">f8").reshape(2, 3),
        np.array(3, dtype=">i4"),
        np.array([1 + 2j], dtype=">c16"),
        np.broadcast_to(np.float16(1.5), (3, 2)),
        np.arange(8, dtype=ml_dtypes.bfloat16)[::2],
        np.float32(4),
    ],
    ids=range(8),
)
def test_strided_and_big_endian_arrays_come_back_equal(tmp_path, array):
    path = tmp_path / "state.safetensors"
    came = read_tensors(path, write_tensors(Files(), path, {"x": array}))["x"]
    assert_same_bits(came, array)


def test_large_arrays_cross_the_piece_size_unharmed(tmp_path):
    array = random_array(np.dtype(np.uint8), ((9 << 20) + 3,), seed=3)
    path = tmp_path / "state.safetensors"
    entry = write_tensors(Files(), path, {"x": array})
    np.testing.assert_array_equal(read_tensors(path, entry)["x"], array)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.array([object()]),
        np.array([1], dtype="datetime64[s]"),
        np.zeros(1, dtype=[("a", "f4")]),
        [1.0],
    ],
    ids=["text", "object", "time", "record", "list"],
)
def test_anything_but_a_number_is_refused_before_anything_is_written(
    runs, commit, array
):
    with pytest.raises(ArgumentError, match=r"tensors\['x'\] must"):
        commit(runs, tensors={"x": array})
    assert not runs.path.exists()


def test_a_commit_reads_back_as_it_was_given(runs, commit, tmp_path):
    source = tmp_path / "vocabulary.txt"
    source.write_bytes(b"words\n" * 1000)
    saved = commit(
        runs,
        "epoch=001-val_f1=0.9134",
        metrics={"nan": math.nan, "inf": math.inf, "low": -math.inf, "f": 0.1},
        backend="jax",
        versions={"keras": "3.15.1"},
        extra={"weights_only": True, "pair": (1, np.float32(2)), "text": "NaN"},
        extra_files={"vocabulary.txt": source},
    )
    [found] = runs.checkpoints()
    assert found == saved
    assert found.name == "epoch=001-val_f1=0.9134"
    assert found.path == runs.path / "checkpoints" / found.name
    for one in (saved, found, open_checkpoint(found.path)):
        one.verify()
        assert math.isnan(one.metrics["nan"])
        assert dict(one.metrics, nan=0) == {
            "nan": 0,
            "inf": math.inf,
            "low": -math.inf,
            "f": 0.1,
        }
        assert (one.run_id, one.sequence, one.epoch, one.step) == ("a", 1, 3, 70)
        assert one.extra == {"weights_only": True, "pair": [1, 2.0], "text": "NaN"}
        assert (one.backend, one.versions) == ("jax", {"keras": "3.15.1"})
    assert (found.path / "vocabulary.txt").read_bytes() == source.read_bytes()
    assert found.tensors()["kernel"].shape == (4, 3)
    trainer = found.document("trainer")
    assert trainer["epoch"] == 3
    assert math.isnan(trainer["loss"])
    assert found.architecture_document() == {
        "class_name": "Sequential",
        "layers": [1, 2],
    }


def test_one_architecture_is_stored_once_and_another_beside_it(runs, commit):
    commit(runs, "one")
    commit(runs, "two")
    commit(runs, "three", architecture={"other": 1})
    commit(runs, "four", architecture=None)
    assert len(list(runs.path.glob("arch-*.json"))) == 2
    *_, other, none = runs.checkpoints()
    assert other.architecture_document() == {"other": 1}
    assert none.architecture_document() is None


def test_a_damaged_architecture_is_written_again_by_the_next_commit(runs, commit):
    saved = commit(runs, "one")
    (runs.path / saved.architecture).write_bytes(b"{}")
    commit(runs, "two")
    for one in runs.checkpoints():
        one.verify()


class Watching(Files):
    """See the memory of every write."""

    def __init__(self):
        self.seen = []

    def write(self, descriptor, data):
        self.seen.append(np.frombuffer(data, np.uint8))
        return super().write(descriptor, data)


def test_large_tensors_are_not_copied_and_small_ones_go_together(tmp_path):
    """The bytes handed to the file are those of the arrays themselves."""
    # Each call of the system may wait for the GIL: their number matters.
    large = {str(i): np.full(1 << 18, i, np.float32) for i in range(3)}
    small = {f"small{i}": np.full(3, i, np.float32) for i in range(100)}
    files = Watching()
    write_tensors(files, tmp_path / "state.safetensors", {**large, **small})
    _, *middle, last = files.seen
    assert len(middle) == 3
    for piece, array in zip(middle, large.values(), strict=True):
        assert np.shares_memory(piece, array)
    assert last.size == sum(array.nbytes for array in small.values())
    again = load_file(tmp_path / "state.safetensors")
    for name, array in {**large, **small}.items():
        np.testing.assert_array_equal(again[name], array)


def test_a_buffers_tensors_are_written_as_one_piece_of_memory(tmp_path):
    kinds = {
        **{f"w{i}": (np.float32, (3, 1 << 17)) for i in range(4)},
        "flag": (np.bool_, ()),
        "none": (np.float64, (0, 3)),
        "half": (np.float16, (5,)),
    }
    arrays = Buffer().arrays(kinds, allocate_aligned)
    for value, array in enumerate(arrays.values()):
        array[...] = value
    other = {"w2b": np.ones(3, np.float32), "w2c": np.zeros((0,), np.float32)}
    for extra, writes in (({}, 2), (other, 4)):
        files = Watching()
        path = tmp_path / str(len(extra))
        write_tensors(files, path, {**arrays, **extra})
        # The header first; a stranger in the middle cuts the piece in two.
        assert len(files.seen) == writes
        again = load_file(path)
        for name, array in {**arrays, **extra}.items():
            np.testing.assert_array_equal(again[name], array)


def test_listing_an_absent_directory_is_empty_and_creates_nothing(tmp_path):
    runs = RunDirectory(tmp_path / "absent")
    assert runs.checkpoints() == []
    assert runs.latest_run() is None
    assert runs.history() == []
    assert runs.collect_garbage() == []
    assert not runs.path.exists()
