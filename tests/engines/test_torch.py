"""Two torch processes train together: they agree, and each writes its part."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.distributed.children import both, fewer_and_fewer, run

import multiback as mb
from multiback.errors import StoreError
from multiback.store import RunDirectory

CASES = (
    "loop-dcp",
    "loop-safetensors",
    "fit-dcp",
    "shards",
    "reading",
    "full",
    "alone",
    "differing",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("torch")


@pytest.fixture(scope="module")
def ranks(root):
    """The reports of two processes, for all cases."""
    found = run("torch", "torch_child", root, *CASES, ranks=2)
    return [child.told for child in found]


@pytest.mark.parametrize("how", ["dcp", "safetensors"])
def test_ranks_with_other_numbers_agree_on_the_numbers_of_rank_0(ranks, how):
    assert both(ranks, f"loop-{how}.saved") == [True, True, False, False]
    assert both(ranks, f"loop-{how}.score") == 0.9
    assert "f1=0.9000" in both(ranks, f"loop-{how}.best")
    assert both(ranks, f"loop-{how}.run_id")


@pytest.mark.parametrize("how", ["dcp", "safetensors"])
def test_both_restore_every_bit(ranks, how):
    state = both(ranks, f"loop-{how}.state")
    assert both(ranks, f"loop-{how}.restored") == state
    assert both(ranks, f"loop-{how}.loaded") == state


@pytest.mark.parametrize("how", ["dcp", "safetensors"])
def test_one_process_under_another_backend_restores_every_bit(ranks, root, how):
    from support.distributed.trained_model import state_of

    expected = both(ranks, f"loop-{how}.state")
    assert state_of(mb.load_best(root / f"loop-{how}/run")) == expected


def test_each_process_wrote_a_part_and_one_wrote_the_manifest(ranks, root):
    both(ranks, "loop-dcp.state")
    [checkpoint] = RunDirectory(root / "loop-dcp/run").checkpoints()
    checkpoint.verify()
    parts = sorted(name for name in checkpoint.files if name.startswith("dcp/"))
    assert len(parts) == 2
    assert min(checkpoint.files[part].size for part in parts) > 500
    assert checkpoint.state_format == "dcp"


def test_fit_in_two_processes_resumes_where_both_were(ranks, root):
    best = both(ranks, "fit-dcp.best")
    assert [len(names) for names in both(ranks, "fit-dcp.held")] == [1, 1]
    [checkpoint] = RunDirectory(root / "fit-dcp/run").checkpoints()
    assert checkpoint.epoch == 3
    assert checkpoint.metrics["val_loss"] == best[-1][1]
    assert (root / "fit-dcp/run/best.keras").is_file()
    epochs = [one["epoch"] for one in mb.history(root / "fit-dcp/run")]
    assert epochs == [1, 2, 3]


def test_shards_come_back_as_shards(ranks, root):
    assert both(ranks, "shards.same") is True
    assert both(ranks, "shards.step") == 3
    assert both(ranks, "shards.placements") == [
        "(Shard(dim=0),)",
        "(Shard(dim=1),)",
        "(Replicate(),)",
    ]
    whole = np.arange(24.0).reshape(6, 4)
    assert [rank["shards.local"] for rank in ranks] == [
        whole[:3].tolist(),
        whole[3:].tolist(),
    ]
    for how in ("dcp", "safetensors"):
        tree = mb.load_last(root / "shards" / how)
        assert tree["rows"].dtype == np.float32
        assert str(tree["columns"].dtype) == "bfloat16"
        for name in ("rows", "columns", "all"):
            np.testing.assert_array_equal(tree[name].astype("float64"), whole)


@pytest.mark.skipif(
    not Path("/proc/self/io").exists(), reason="Linux counts what a process reads"
)
def test_each_process_reads_the_half_that_it_holds(ranks):
    for rank in ranks:
        (part, peak), (whole, whole_peak) = rank["reading.part"], rank["reading.whole"]
        assert 0.4 * whole < part < 0.6 * whole
        assert peak < 0.6 * whole_peak


def test_what_was_divided_by_rows_comes_back_divided_by_columns(ranks):
    assert both(ranks, "reading.same") == [True] * 6
    assert both(ranks, "reading.placements") == ["(Shard(dim=1),)", "(Shard(dim=0),)"]


def test_a_rank_that_cannot_write_fails_the_save_on_every_rank(ranks, root):
    text = both(ranks, "full.error")
    assert "rank 1" in text
    assert "No space left on device" in text
    # The next one is whole, and nothing of the one that failed is left.
    names = sorted(p.name for p in (root / "full/run/checkpoints").iterdir())
    assert names == ["epoch=001-step=0", "epoch=003-step=1"]
    for checkpoint in RunDirectory(root / "full/run").checkpoints():
        checkpoint.verify()


def test_ranks_that_ask_for_different_things_raise_at_once(ranks):
    for kind in ("dcp", "safetensors"):
        for rank in ranks:
            assert "must be the same in every process" in rank[f"differing.{kind}"]


def test_one_rank_may_save_for_itself(ranks):
    assert ranks[0]["alone.last"]


def test_a_rank_that_is_killed_in_a_save_costs_nothing_that_was_saved(tmp_path):
    zero, one = run("torch", "torch_child", tmp_path, "kill", ranks=2)
    assert one.returncode == -9
    assert "intact" in zero.told["kill.error"] or "untouched" in zero.told["kill.error"]
    [checkpoint] = RunDirectory(tmp_path / "kill/run").checkpoints()
    checkpoint.verify()
    assert checkpoint.epoch == 1
    mb.load_last(tmp_path / "kill/run")


def test_a_run_of_four_continues_in_two_and_in_one_though_one_was_killed(tmp_path):
    meetings = (str(tmp_path / f"meeting{number}") for number in itertools.count())
    told = fewer_and_fewer("torch", tmp_path, lambda: next(meetings))
    assert told["losses"] == told["expected"]
    assert told["equal"]


def test_the_command_line_works_on_it_without_torch(ranks, root):
    both(ranks, "loop-dcp.state")
    run_directory = root / "loop-dcp/run"
    [name] = [one.path for one in RunDirectory(run_directory).checkpoints()]
    script = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch':\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from multiback.cli import main\n"
        "for words in (['ls', RUN], ['show', ONE], ['verify', RUN], ['best', RUN],\n"
        "              ['diff', ONE, ONE], ['export', ONE, OUT]):\n"
        "    sys.argv = ['multiback', *words]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as left:\n"
        "        assert not left.code, words\n"
    )
    for key, value in {
        "RUN": run_directory,
        "ONE": name,
        "OUT": root / "out.safetensors",
    }.items():
        script = script.replace(key, repr(str(value)))
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd="/",
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert (root / "out.safetensors").is_file()


def test_a_part_that_is_missing_is_found(ranks, root):
    both(ranks, "full.error")
    checkpoint = RunDirectory(root / "full/run").checkpoints()[-1]
    (checkpoint.path / "dcp/more").write_bytes(b"")
    with pytest.raises(StoreError, match="is in no manifest"):
        checkpoint.verify()
    with pytest.raises(StoreError, match="is in no manifest"):
        checkpoint.tensors()
    (checkpoint.path / "dcp/more").unlink()
    part = next(p for p in (checkpoint.path / "dcp").iterdir())
    part.unlink()
    with pytest.raises(StoreError, match="is missing"):
        checkpoint.tensors()
