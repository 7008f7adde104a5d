"""Two replicas under TensorFlow's MirroredStrategy, in the format of any backend."""

import pytest
from children import run
from trained_model import numbers_of

import multiback as mb


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("tensorflow")


@pytest.fixture(scope="module")
def told(root):
    [child] = run("tensorflow", "tensorflow_child.py", root)
    return child.told


def test_a_state_is_restored_under_a_strategy_and_without_one(told):
    assert told["replicas"] == 2
    assert told["restored"] is True
    assert told["loaded"] is True
    assert told["alone"] is True
    assert told["under"] is True


def test_a_resumed_training_is_that_which_was_not_interrupted(told):
    assert told["resumed"] == told["whole"]
    assert told["resumed_state"] == told["state"]


def test_another_backend_loads_every_bit_of_it(told, root):
    loaded = mb.load_last(root / "run")
    assert numbers_of(loaded) == told["resumed_numbers"]
