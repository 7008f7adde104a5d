import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiback.errors import ArgumentError
from multiback.store.format.jsontext import dump, load

special = st.sampled_from(["NaN", "~NaN", "~~-Infinity", "Infinity", "nan", "~"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | special
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | special, inner),
    max_leaves=20,
)


@given(values)
def test_any_json_value_comes_back_equal_from_strict_json(value):
    raw = dump(value, argument="value")
    json.loads(raw, parse_constant=pytest.fail)
    assert load(raw) == value


def test_nan_and_infinities_survive():
    came = load(dump([math.nan, math.inf, -math.inf, np.float32("nan")], argument="x"))
    assert math.isnan(came[0])
    assert came[1:3] == [math.inf, -math.inf]
    assert math.isnan(came[3])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": [1, {2: 3}]}, r"x\['a'\]\[1\] must have strings as keys"),
        ({"a": {1}}, r"x\['a'\] must hold only what JSON can.*is a set"),
        ([np.zeros(2)], r"x\[0\] must hold.*ndarray"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_its_place(value, words):
    with pytest.raises(ArgumentError, match=words):
        dump(value, argument="x")


def test_a_value_that_contains_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(ArgumentError, match="contains itself"):
        dump(value, argument="x")


@pytest.mark.parametrize(
    "raw",
    [b"", b"NaN", b'{"a":1,"a":2}', b"\xff", b"[" * 200_000, b"9" * 10_000],
    ids=["empty", "NaN", "twice", "no text", "deep", "long"],
)
def test_anything_but_strict_json_is_a_value_error(raw):
    with pytest.raises(ValueError, match=r"."):
        load(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb'{"a":"\u004eaN"}', {"a": math.nan}),
        (rb'["\u0049nfinity"]', [math.inf]),
        (b'{"NaN":"x"}', {"NaN": "x"}),
        (b'["~NaN"]', ["NaN"]),
    ],
)
def test_a_special_value_is_found_however_it_is_spelt(raw, value):
    np.testing.assert_equal(load(raw), value)
