"""Two replicas under TensorFlow's MirroredStrategy, in the format of any backend."""

import json
import socket

import pytest
from support.distributed.children import run
from support.distributed.trained_model import numbers_of

import multiback as mb


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("tensorflow")


@pytest.fixture(scope="module")
def told(root):
    [child] = run("tensorflow", "tensorflow_child", root)
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


@pytest.fixture
def cluster():
    """Two addresses that were free just now."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]


def test_keras_does_not_train_on_two_workers_and_checkpoints_say_so(tmp_path, cluster):
    """Once `fit` trains here, `refuse_workers` has to go and the workers to agree."""
    ranks = run("tensorflow", "workers_child", json.dumps(cluster), tmp_path, ranks=2)
    for rank in ranks:
        assert rank.told["replicas"] == 2
        assert "Attempt to convert a value (PerReplica" in rank.told["fit"]
        assert "TF_CONFIG names 2 workers" in rank.told["error"]
        assert rank.told["alone"]
