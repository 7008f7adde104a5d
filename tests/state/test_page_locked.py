"""A state on a GPU is copied into page-locked memory, as far as a CPU can tell."""

import keras
import ml_dtypes
import numpy as np
import pytest
from support import models

import multiback as mb
from multiback.state import host, page_locked_for, snapshot
from multiback.store import RunDirectory

torch = pytest.importorskip("torch", reason="only torch's variables are copied so")
from multiback.state import torch as ours  # noqa: E402 - once torch is there

is_torch = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="variables are torch tensors here only"
)
# As NumPy names them: float8 and bfloat16 are ml_dtypes's.
DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
    *("int8", "uint8", "int16", "int32", "int64", "bool", "complex64"),
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (4, 3, 2)])
def test_tensors_are_copied_byte_for_byte(dtype, shape):
    values = np.random.default_rng(0).integers(0, 2, shape)
    tensor = torch.tensor(values).to(getattr(torch, dtype))
    target = np.full(shape, 7, getattr(ml_dtypes, dtype, dtype))
    ours.copy_to_host([(tensor, target)])
    np.testing.assert_array_equal(target.astype("complex64"), values)


def test_a_tensor_in_another_order_is_copied_in_ours():
    target = np.empty((3, 2), np.float32)
    ours.copy_to_host([(torch.arange(6.0).reshape(2, 3).T, target)])
    np.testing.assert_array_equal(target, [[0, 3], [1, 4], [2, 5]])


def test_variables_of_a_cpu_get_plain_memory():
    assert page_locked_for(models.trained("an MLP").variables) is None


@pytest.fixture
def on_a_gpu(monkeypatch):
    """Let tensors claim to be on a GPU; return what was asked to be page-locked."""
    locked, empty = [], torch.empty

    def asked(*args, pin_memory=False, **kwargs):
        locked.extend(args if pin_memory else ())
        return empty(*args, **kwargs)

    monkeypatch.setattr(ours.torch, "empty", asked)
    monkeypatch.setattr(host, "is_on_cuda", host.is_whole_tensor)
    return locked


@is_torch
def test_variables_of_a_gpu_get_page_locked_memory_once_a_buffer(tmp_path, on_a_gpu):
    model = models.trained("an MLP")
    with mb.Checkpointer(tmp_path) as ckpt:
        for _ in range(4):
            ckpt.step(model, {})
    expected = snapshot(model)
    [saved] = RunDirectory(tmp_path).checkpoints()
    size = sum(array.nbytes for array in expected.arrays.values())
    # One, or two where the disk is slower than this.
    assert 1 <= len(on_a_gpu) <= 2
    assert all(asked >= size for asked in on_a_gpu)
    arrays = saved.tensors()
    for key, value in expected.arrays.items():
        assert arrays[key].dtype == value.dtype
        assert arrays[key].tobytes() == value.tobytes()


@is_torch
@pytest.mark.parametrize("case", models.CASES)
def test_every_state_is_the_same_by_either_way(monkeypatch, case):
    model = models.trained(case)
    plain = snapshot(model)
    monkeypatch.setattr(host, "is_on_cuda", host.is_whole_tensor)
    for key, array in snapshot(model).arrays.items():
        assert array.dtype == plain.arrays[key].dtype
        assert array.tobytes() == plain.arrays[key].tobytes()


def test_where_nothing_can_be_locked_it_is_plain_memory_and_says_why(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("CUDA error: out of memory\nCompile with ...")

    monkeypatch.setattr(ours.torch, "empty", refuse)
    with pytest.warns(UserWarning, match="CUDA error: out of memory") as caught:
        memory = ours.page_locked(10)
    assert memory.shape == (10,)
    assert memory.dtype == np.uint8
    text = str(caught[0].message)
    assert "10 bytes could not be page-locked" in text
    assert "ulimit -l" in text
