import ml_dtypes
import numpy as np
import pytest

from multiback.errors import CorruptCheckpointError
from multiback.store import RunDirectory, compare


def by_name(difference):
    return {one.name: one for one in difference.arrays}


def test_equal_states_are_the_same_bit_for_bit(runs, commit):
    a, b = commit(runs, "a"), commit(runs, "b")
    difference = compare(a, b)
    assert difference.same_state
    assert {one.verdict for one in difference.arrays} == {"same"}
    assert {one.largest for one in difference.arrays} == {0.0}
    assert difference.fields == difference.architecture == {}
    assert difference.metrics == {"val_f1": (1.0, 1.0)}


def test_a_changed_array_has_its_norms_and_its_largest_change(runs, commit):
    a = commit(runs, "a", tensors={"w": np.array([[3.0, 4.0]], np.float32)})
    b = commit(runs, "b", tensors={"w": np.array([[3.0, -8.0]], np.float32)})
    [one] = compare(a, b).arrays
    assert one.verdict == "changed"
    assert one.norms == (5.0, np.sqrt(73.0))
    assert (one.change, one.largest) == (12.0, 12.0)
    assert not compare(a, b).same_state


@pytest.mark.parametrize(
    "dtype",
    [
        np.bool_,
        np.uint8,
        np.int64,
        np.float16,
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.int4,
        np.complex64,
    ],
)
def test_every_kind_of_number_is_compared_without_overflow(runs, commit, dtype):
    low, high = np.array([0, 1, 0], dtype), np.array([1, 0, 0], dtype)
    a = commit(runs, "a", tensors={"w": low})
    b = commit(runs, "b", tensors={"w": high})
    [one] = compare(a, b).arrays
    assert one.largest == 1.0
    np.testing.assert_allclose(one.change, np.sqrt(2))


def test_arrays_that_are_new_gone_or_of_another_shape_are_told_apart(runs, commit):
    a = commit(runs, "a", tensors={"old": np.ones(2), "w": np.ones((2, 3))})
    b = commit(runs, "b", tensors={"new": np.zeros(1), "w": np.ones((3, 2))})
    found = by_name(compare(a, b))
    assert {name: one.verdict for name, one in found.items()} == {
        "new": "only in b",
        "old": "only in a",
        "w": "reshaped",
    }
    assert found["w"].shapes == ((2, 3), (3, 2))
    assert found["w"].largest is None
    assert found["new"].shapes == (None, (1,))


def test_another_dtype_with_equal_values_is_a_change_of_zero(runs, commit):
    a = commit(runs, "a", tensors={"w": np.ones(3, np.float32), "v": np.ones(1)})
    b = commit(runs, "b", tensors={"w": np.ones(3, np.float16), "v": np.ones(1)})
    one = by_name(compare(a, b))["w"]
    assert (one.verdict, one.largest) == ("changed", 0.0)
    assert one.dtypes == ("float32", "float16")


def test_empty_scalar_and_nan_arrays_compare(runs, commit):
    tensors = {
        "empty": np.empty((0, 3)),
        "scalar": np.int64(2),
        "nan": np.array([np.nan]),
    }
    a = commit(runs, "a", tensors=tensors)
    b = commit(runs, "b", tensors=tensors | {"scalar": np.int64(5)})
    found = by_name(compare(a, b))
    assert found["empty"].verdict == found["nan"].verdict == "same"
    assert found["scalar"].largest == 3.0
    c = commit(runs, "c", tensors=tensors | {"nan": np.array([1.0])})
    assert np.isnan(by_name(compare(a, c))["nan"].largest)


def test_fields_metrics_and_architecture_that_differ_are_listed(runs, commit):
    a = commit(runs, "a", metrics={"f1": 0.5, "old": 1}, backend="jax", step=1)
    b = commit(
        runs,
        "b",
        metrics={"f1": 0.6},
        backend="torch",
        step=2,
        architecture={"class_name": "Sequential", "layers": [1, {"units": 3}, 4]},
    )
    difference = compare(a, b)
    assert difference.fields == {"backend": ("jax", "torch"), "step": (1, 2)}
    assert difference.metrics == {"f1": (0.5, 0.6), "old": (1.0, None)}
    assert difference.architecture == {
        "layers[1]": (2, {"units": 3}),
        "layers[2]": ("(absent)", 4),
    }


def test_checkpoints_of_two_directories_compare(tmp_path, commit):
    a = commit(RunDirectory(tmp_path / "one"))
    b = commit(RunDirectory(tmp_path / "two"), run_id="b", value=2.0)
    assert by_name(compare(a, b))["kernel"].largest == 1.0


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_state_is_an_error_and_no_difference(runs, commit, which):
    pair = commit(runs, "a"), commit(runs, "b")
    path = pair[which].path / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match="checksum"):
        compare(*pair)


def test_two_large_states_are_compared_in_the_memory_of_two_arrays(runs, commit):
    import tracemalloc

    megabyte = 1 << 20
    tensors = {f"w{i:02d}": np.ones(megabyte // 8) for i in range(24)}
    a = commit(runs, "a", tensors=tensors)
    b = commit(runs, "b", tensors=tensors | {"w03": np.zeros(megabyte // 8)})
    tracemalloc.start()
    try:
        found = by_name(compare(a, b))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found["w03"].verdict == "changed"
    assert peak < 10 * megabyte
