"""Under TensorFlow's MirroredStrategy each metric is what it is on one device."""

import json
import subprocess

import pytest
from support.backends import BACKEND
from support.children import command


@pytest.fixture(scope="module")
def mirrored():
    """Evaluate on two replicas, in a process that sets its devices first."""
    if BACKEND != "tensorflow":
        pytest.skip("MirroredStrategy is TensorFlow's; JAX's arrays are global")
    done = subprocess.run(
        command("distributed.replicas_child"),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_what_each_statistic_adds_up_is_right_on_two_replicas(mirrored):
    wrong = {
        name: numbers
        for name, numbers in mirrored["metrics"].items()
        if numbers["two"] != pytest.approx(numbers["one"], rel=1e-5, abs=1e-5)
    }
    assert not wrong
    assert len(mirrored["metrics"]) > 30


def test_extremes_are_not_added_up(mirrored):
    assert mirrored["extremes"] == {"max": 50.0, "min": -13.0}
