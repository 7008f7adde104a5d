"""Metrics and checkpoints under keras.distribution, on four devices of one process.

Sums of floats depend on the devices that they are added on: by a few float32 roundings.
"""

import numpy as np
import pytest
from support.distributed.children import run

import multiback as mb

TOLERANCE = 16 * 2.0**-24


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("parallel")


@pytest.fixture(scope="module")
def told(root):
    [child] = run("jax", "parallel_child", root)
    return child.told


def assert_alike(found, expected):
    assert found["curves"].keys() == expected["curves"].keys()
    for name, curve in expected["curves"].items():
        np.testing.assert_allclose(found["curves"][name], curve, atol=TOLERANCE)
    for ours, right in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(ours, right, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["data", "model"])
def test_every_metric_is_that_of_one_device(told, kind):
    assert (told["alone"]["devices"], told[kind]["devices"]) == (1, 4)
    assert_alike(told[kind], told["alone"])


def test_a_resume_of_a_sharded_model_is_the_run_that_was_not_stopped(told):
    assert told["resumed"]["devices"] == 4
    assert len(told["resumed"]["curves"]["val_auroc"]) == 4
    assert_alike(told["resumed"], told["longer"])


@pytest.mark.parametrize("kind", ["data", "model"])
def test_the_best_loads_where_there_is_one_device(told, root, kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype("float32")
    y = (x[:, :1] + rng.normal(size=(64, 1)) > 0).astype("float32")
    logs = mb.load_best(root / kind).evaluate(
        x[:48], y[:48], verbose=0, return_dict=True
    )
    recorded = max(row["val_auroc"] for row in mb.history(root / kind))
    assert logs["auroc"] == pytest.approx(recorded, abs=TOLERANCE)
