"""What is written under one backend predicts, trains on and resumes under the others.

That a backend reads what it wrote itself, each session of a backend shows.
"""

import itertools
import json
import shutil

import pytest
from support.children import command, together, under
from support.command_line import multiback

from multiback.store import RunDirectory

BACKENDS = ("jax", "tensorflow", "torch")
PAIRS = list(itertools.permutations(BACKENDS, 2))


def children(task, folders):
    """Start one process for each backend, with its folders; return what each told."""
    found = together(
        *(
            (
                command("portability.child", task, *folders[backend]),
                # Real data are scikit-learn's.
                under(backend, "sklearn") | {"PYTHONWARNINGS": "error::UserWarning"},
            )
            for backend in BACKENDS
        )
    )
    return {backend: child.told for backend, child in zip(BACKENDS, found, strict=True)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write once under each backend."""
    folder = tmp_path_factory.mktemp("written")
    folders = {backend: [folder / backend] for backend in BACKENDS}
    for [made] in folders.values():
        made.mkdir()
    for backend, told in children("write", folders).items():
        assert len(told) == 3
        for question, error in told.items():
            assert not error, f"{question} under {backend}: {error}"
    return folder


@pytest.fixture(scope="module")
def loaded(written, tmp_path_factory):
    """Load a copy under each other backend; return what each told."""
    folder = tmp_path_factory.mktemp("loaded")
    copies = {backend: [] for backend in BACKENDS}
    for writer, reader in PAIRS:
        copy = folder / reader / writer
        shutil.copytree(written / writer, copy, symlinks=True)
        copies[reader].append(copy)
    return children("load", copies)


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_a_state_restores_bit_equal_and_trains_on(loaded, writer, reader):
    assert loaded[reader][f"states of {writer}"] == ""


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_a_run_loads_predicts_the_same_and_trains_on(loaded, writer, reader):
    assert loaded[reader][f"trained of {writer}"] == ""


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_an_average_predicts_the_same(loaded, writer, reader):
    assert loaded[reader][f"averages of {writer}"] == ""


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
    written, tmp_path, pair
):
    one, other = (written / backend / "trained" / "whole" for backend in pair)
    found, largest = compared(one, other, tmp_path)
    assert found["fields"]["backend"] == list(pair)
    assert found["architecture"] == {}
    assert largest < 1e-4
    # A few batches less are no rounding.
    assert compared(one, one.with_name("stopped"), tmp_path)[1] > 1e-3
