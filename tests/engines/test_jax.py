"""JAX's arrays on several devices and in two processes, written by Orbax."""

import socket
from pathlib import Path

import pytest
from support.distributed.children import both, fewer_and_fewer, run
from support.distributed.trained_model import state_of

import multiback as mb
from multiback.store import RunDirectory

CASES = ("loop-orbax", "full", "loop-safetensors", "reading", "fit-orbax")
_TRIES = 3


def free_port():
    """Return a port that was free just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("jax")


@pytest.fixture(scope="module")
def ranks(root):
    """The reports of two processes with two devices each, for all cases."""
    for _ in range(_TRIES):
        found = run("jax", "jax_child", root, free_port(), *CASES, ranks=2)
        # JAX takes no port 0: another process may have been quicker.
        if not any("ddress already in use" in child.output for child in found):
            break
    return [child.told for child in found]


@pytest.fixture(scope="module")
def meshes(root):
    """What one process with four devices printed."""
    [child] = run("jax", "jax_child", root, 0, "meshes")
    return child.told


def test_a_state_on_four_devices_continues_on_two_and_on_one(meshes, root):
    # The kernel of four rows and eight columns.
    assert meshes["meshes.shards"] == [
        [4, [4, 2]],
        [2, [4, 4]],
        [1, [4, 8]],
        [1, [4, 8]],
    ]
    # Every bit: weights, optimizer and seeds.
    assert meshes["meshes.restored"] == [True, True, True]
    assert len(meshes["meshes.losses"]) == 5
    last = mb.load_last(root / "meshes/run")
    assert state_of(last) == meshes["meshes.state"]


@pytest.mark.parametrize("how", ["orbax", "safetensors"])
def test_processes_with_other_numbers_agree_on_those_of_process_0(ranks, how):
    assert both(ranks, f"loop-{how}.saved") == [True, True, False, False]
    assert both(ranks, f"loop-{how}.score") == 0.9
    assert "f1=0.9000" in both(ranks, f"loop-{how}.best")
    assert both(ranks, f"loop-{how}.run_id")


@pytest.mark.parametrize("how", ["orbax", "safetensors"])
def test_two_processes_restore_every_bit_onto_their_devices(ranks, how):
    assert both(ranks, f"loop-{how}.shards") == [4, [4, 2]]
    assert both(ranks, f"loop-{how}.restored") is True
    assert both(ranks, f"loop-{how}.again") == [4, [4, 2]]
    assert both(ranks, f"loop-{how}.loaded") is True


@pytest.mark.parametrize("how", ["orbax", "safetensors"])
def test_one_process_restores_every_bit(ranks, root, how):
    expected = both(ranks, f"loop-{how}.state")
    assert state_of(mb.load_best(root / f"loop-{how}/run")) == expected


@pytest.mark.skipif(
    not Path("/proc/self/io").exists(), reason="Linux counts what a process reads"
)
def test_each_process_reads_the_half_that_it_holds_on_this_mesh_and_on_others(ranks):
    for rank in ranks:
        assert rank["reading.same"] == [True, True, True]
        assert max(rank["reading.parts"]) < 0.6 * rank["reading.whole"]
        assert min(rank["reading.parts"]) > 0.4 * rank["reading.whole"]


def test_an_array_of_a_tree_comes_back_divided_as_it_was(ranks):
    assert both(ranks, "reading.tree") == [3, True, True]


def test_each_process_wrote_a_part_and_one_wrote_the_manifest(ranks, root):
    both(ranks, "loop-orbax.state")
    [checkpoint] = RunDirectory(root / "loop-orbax/run").checkpoints()
    checkpoint.verify()
    parts = {name.split("/")[1] for name in checkpoint.files if "/d/" in name}
    assert {"ocdbt.process_0", "ocdbt.process_1"} <= parts
    assert checkpoint.state_format == "orbax"


def test_fit_in_two_processes_resumes_where_both_were(ranks, root):
    both(ranks, "fit-orbax.paths")
    expected = both(ranks, "fit-orbax.state")
    assert state_of(mb.load_last(root / "fit-orbax/run")) == expected
    assert (root / "fit-orbax/run/best.keras").is_file()
    assert [one["epoch"] for one in mb.history(root / "fit-orbax/run")] == [1, 2, 3]


def test_a_process_that_cannot_write_fails_the_save_on_both(ranks, root):
    assert [rank.get("full.error", "") != "" for rank in ranks] == [True, True]
    names = sorted(p.name for p in (root / "full/run/checkpoints").iterdir())
    assert len(names) == 2
    for checkpoint in RunDirectory(root / "full/run").checkpoints():
        checkpoint.verify()


def test_a_run_of_four_continues_in_two_and_in_one_though_one_was_killed(tmp_path):
    told = fewer_and_fewer("jax", tmp_path, lambda: f"127.0.0.1:{free_port()}")
    # The processes add in another order than one does.
    assert told["losses"] == pytest.approx(told["expected"], rel=1e-4)
