import json
from typing import NamedTuple

import keras
import ml_dtypes
import numpy as np
import pytest

from multiback.errors import ArgumentError, StateError
from multiback.state import restore_tree, snapshot, tree
from multiback.state.tree import leaves


class Slots(NamedTuple):
    mu: object
    nu: object


def nested():
    return {
        "params": {"dense/0": {"kernel": np.ones((2, 3)), "bias": np.zeros(3)}},
        "opt": [Slots(np.full(2, 0.5), np.arange(2)), (np.float32(3.0), None)],
        "empty": {},
    }


def test_a_tree_comes_back_nested():
    source = nested()
    taken = snapshot(source)
    back = tree(taken.arrays, taken.index)
    np.testing.assert_array_equal(
        back["params"]["dense/0"]["kernel"], source["params"]["dense/0"]["kernel"]
    )
    np.testing.assert_array_equal(back["opt"][0][1], [0, 1])
    assert back["opt"][1] == [3.0, None]
    assert "empty" not in back


def test_a_template_keeps_its_structure():
    source = nested()
    taken = snapshot(source)
    back = restore_tree(source, taken.arrays, taken.index)
    assert isinstance(back["opt"][0], Slots)
    assert isinstance(back["opt"][1], tuple)
    assert back["opt"][1][1] is None
    assert back["empty"] == {}
    assert not np.shares_memory(
        back["params"]["dense/0"]["bias"], taken.arrays["params/dense~10/bias"]
    )


def test_a_tree_is_copied():
    array = np.zeros(2)
    taken = snapshot({"w": array})
    array += 1
    np.testing.assert_array_equal(taken.arrays["w"], [0, 0])


def test_backend_tensors_and_variables_are_copied_to_the_host():
    tensor = keras.ops.convert_to_tensor([1.0, 2.0])
    half = keras.ops.cast(tensor, "bfloat16")
    variable = keras.Variable([3.0, 4.0])
    taken = snapshot({"t": tensor, "h": half, "v": variable})
    variable.assign([0.0, 0.0])
    np.testing.assert_array_equal(taken.arrays["v"], [3, 4])
    np.testing.assert_array_equal(taken.arrays["t"], [1, 2])
    assert taken.arrays["h"].dtype == ml_dtypes.bfloat16


def test_different_paths_never_share_a_key():
    source = {"a/b": 1.0, "a": {"b": 2.0}, "a~1b": 3.0, "__metadata__": 4.0}
    taken = snapshot(source)
    assert len(taken.arrays) == 4
    assert "__metadata__" not in taken.arrays
    assert tree(taken.arrays, taken.index) == source


def test_every_difference_from_the_template_is_listed():
    taken = snapshot({"a": np.ones(2), "b": np.ones(2), "d": np.float64(0.1)})
    template = {"a": np.ones(3), "c": np.ones(2), "d": np.float32(0)}
    with pytest.raises(StateError) as caught:
        restore_tree(template, taken.arrays, taken.index)
    text = str(caught.value)
    assert "a: stored as float64[2], but the template has float64[3]" in text
    assert "b: not in the template" in text
    assert "c: missing in the checkpoint" in text
    assert "d: stored as float64[]" in text


@pytest.mark.parametrize("name", [0.5, None, True, ("a", "b")])
def test_a_name_that_is_not_a_string_and_no_number_is_an_error(name):
    with pytest.raises(ArgumentError, match=r"under a one is .*str\(\)"):
        snapshot({"a": {name: np.ones(1)}})


@pytest.mark.parametrize("leaf", [object(), {1, 2}, len])
def test_a_leaf_that_is_not_an_array_is_an_error(leaf):
    with pytest.raises(ArgumentError, match="'a/b' must be an array"):
        snapshot({"a": {"b": leaf}})


def test_a_model_s_snapshot_is_no_tree():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    taken = snapshot(model)
    with pytest.raises(StateError, match="snapshot of a model"):
        tree(taken.arrays, taken.index)


def test_integer_keys_come_back_and_a_list_stays_a_list():
    source = {"state": {0: {"m": np.ones(1)}, 2: [np.zeros(2), 3]}, "list": [4, 5]}
    arrays, index = leaves(source)
    again = tree(arrays, json.loads(json.dumps(index)))
    assert list(again["state"]) == [0, 2]
    assert isinstance(again["state"][2], list)
    assert isinstance(again["list"], list)
    with pytest.raises(ArgumentError, match="each once"):
        leaves({0: np.ones(1), "0": np.ones(1)})


def test_an_empty_mapping_in_a_template_takes_what_is_there():
    arrays, index = leaves({"slots": {0: {"m": np.ones(1)}}, "rate": 0.5})
    again = restore_tree({"slots": {}, "rate": 0.0}, arrays, index)
    assert again["slots"][0]["m"].tolist() == [1.0]
    assert again["rate"] == 0.5
    assert type(again["rate"]) is float
    with pytest.raises(StateError, match="rate: not in the template"):
        restore_tree({"slots": {}}, arrays, index)


def test_a_torch_optimizer_comes_back_into_a_new_one():
    torch = pytest.importorskip("torch", reason="in every environment but a user's")

    def made():
        weight = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
        return weight, torch.optim.AdamW([weight], lr=0.25)

    weight, optimizer = made()
    weight.sum().backward()
    optimizer.step()
    arrays, index = leaves({"o": optimizer.state_dict(), "w": weight})
    fresh, again = made()
    template = {"o": again.state_dict(), "w": fresh}
    saved = restore_tree(template, arrays, json.loads(json.dumps(index)))
    again.load_state_dict(saved["o"])
    assert saved["w"].dtype == torch.bfloat16
    assert torch.equal(saved["w"], weight)
    here, there = again.state_dict(), optimizer.state_dict()
    assert here["param_groups"] == there["param_groups"]
    for name, value in there["state"][0].items():
        assert torch.equal(here["state"][0][name], value), name
