"""What a loader's state is made of can be written as JSON, and read again."""

import json

import ml_dtypes
import numpy as np
import pytest
import torch

from multiback.data.plain import from_plain, to_plain
from multiback.errors import ArgumentError, StateError


def through(value):
    return from_plain(json.loads(json.dumps(to_plain(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": [1, 2.5, True, "ü", None], "b": {}},
        {"random": (3, tuple(range(5)), None)},
        {0: "a", (1, "b"): [b"\x00\xff"]},
        {"$bytes": "no bytes"},
        2**200,
    ],
)
def test_values_come_back(value):
    found = through(value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("dtype", ["uint8", "<i8", ">i8", "float32", "bool"])
def test_arrays_come_back(dtype):
    value = np.arange(6).reshape(2, 3).astype(dtype)[:, ::2]
    found = through({"a": value})["a"]
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype.newbyteorder("=")
    found[:] = 0


def test_a_generator_of_torch_draws_on():
    generator = torch.Generator().manual_seed(3)
    saved = to_plain(generator.get_state())
    drawn = torch.rand(4, generator=generator).tolist()
    generator.set_state(from_plain(json.loads(json.dumps(saved))))
    assert torch.rand(4, generator=generator).tolist() == drawn


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, np.array([object()]), np.zeros(2, ml_dtypes.bfloat16)]
)
def test_anything_but_data_is_refused_by_its_place(value):
    with pytest.raises(ArgumentError, match=r"state\['a'\]\[1\] is of type"):
        to_plain({"a": [0, value]})


def test_what_a_newer_version_wrote_is_refused():
    with pytest.raises(StateError, match="newer multiback"):
        from_plain({"$unheard": 1})
