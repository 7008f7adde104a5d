"""What `ModelCheckpoint` writes under one backend trains on under the others."""

import itertools
import json
import os
import shutil
import subprocess

import pytest
from support.children import command
from support.command_line import multiback

from multiback.store import RunDirectory

BACKENDS = ("jax", "tensorflow", "torch")


def run(backend, *arguments):
    return subprocess.run(
        command("portability.train_and_load", *arguments),
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONWARNINGS": "error::UserWarning",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Train once under each backend."""
    folder = tmp_path_factory.mktemp("runs")
    for backend in BACKENDS:
        result = run(backend, "train", folder / backend)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("reader", BACKENDS)
def test_every_run_loads_predicts_the_same_and_trains_on(runs, tmp_path, reader):
    copies = [shutil.copytree(runs / b, tmp_path / b, symlinks=True) for b in BACKENDS]
    result = run(reader, "load", *copies)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == len(BACKENDS)


def compared(one, other, folder):
    """Return what `multiback diff` finds between the newest checkpoints of two runs."""
    newest = [RunDirectory(run).checkpoints()[-1].path for run in (one, other)]
    done = multiback("diff", *newest, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    weights = [one for one in found["variables"] if one["key"].startswith("weights")]
    assert len(weights) == 4
    assert {one["verdict"] for one in weights} <= {"same", "changed"}
    return found, max(one["largest"] for one in weights)


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(BACKENDS, 2)), ids="-".join
)
def test_the_same_training_under_two_backends_differs_by_rounding_only(
    runs, tmp_path, pair
):
    one, other = (runs / backend / "whole" for backend in pair)
    found, largest = compared(one, other, tmp_path)
    assert found["fields"]["backend"] == list(pair)
    assert found["architecture"] == {}
    assert largest < 1e-4
    # A few batches less are no rounding.
    assert compared(one, runs / pair[0] / "stopped", tmp_path)[1] > 1e-3
