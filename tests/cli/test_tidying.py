"""`verify`, `prune` and `gc`."""

import io
import shutil
import time

import pytest
from rich.console import Console

from multiback import progress
from multiback.checkpoint.loading.find import first_intact
from multiback.cli.slots import parse_slot
from multiback.errors import ArgumentError
from multiback.store import RunDirectory


def epochs(run):
    return [one.epoch for one in RunDirectory(run).checkpoints()]


def checkpoint(run, epoch):
    return run / "checkpoints" / f"epoch={epoch:03d}"


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_verify_of_an_intact_run_is_exit_code_0(call, run):
    result = call("verify", run)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Every byte is as it was written: 5 checkpoints")
    assert call("verify", checkpoint(run, 2), "--json").json == {
        "bytes": RunDirectory(run).checkpoints()[1].size,
        "checked": 1,
        "checksum": "xxh3",
        "intact": 1,
        "ok": True,
        "wrong": [],
    }


def test_verify_lists_all_that_is_wrong_with_exit_code_2(call, run):
    flip(checkpoint(run, 2) / "state.safetensors")
    (checkpoint(run, 4) / "variables.json").unlink()
    (checkpoint(run, 5) / "manifest.json").write_text("{}")
    result = call("verify", run)
    assert result.code == 2
    assert "3 problems found; 2 of 4 checkpoints" in result.out
    done = call("verify", run, "--json").json
    assert [one["path"] for one in done["wrong"]] == [
        str(checkpoint(run, 5)),
        str(checkpoint(run, 2)),
        str(checkpoint(run, 4)),
    ]
    assert not done["ok"]


@pytest.mark.parametrize("name", ["manifest.json", "state.safetensors"])
def test_verify_of_one_damaged_checkpoint_is_exit_code_2(call, run, name):
    flip(checkpoint(run, 1) / name)
    result = call("verify", checkpoint(run, 1))
    assert result.code == 2
    assert name in result.out.replace("\n", "")
    assert call("verify", checkpoint(run, 3)).code == 0


def test_verify_notices_a_damaged_architecture(call, run):
    [architecture] = run.glob("arch-*.json")
    architecture.write_text('{"units":4}')
    assert call("verify", run).code == 2


def test_verify_of_a_path_that_is_nothing_is_exit_code_1(call, tmp_path):
    result = call("verify", tmp_path / "absent")
    assert result.code == 1
    assert result.err.startswith("NoCheckpointError")


def test_work_of_over_a_second_shows_a_bar_and_shorter_work_none(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    with progress.progress_bar("Verifying", 100, console) as advance:
        advance(50)
    assert screen.getvalue() == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    with progress.progress_bar("Verifying", 100, console) as advance:
        advance(50)
        time.sleep(0.5)
    assert "Verifying" in screen.getvalue()
    assert "50/100 bytes" in screen.getvalue()


def test_an_error_in_long_work_passes_the_bar(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with (
        pytest.raises(ZeroDivisionError),
        progress.progress_bar("x", None, Console(file=io.StringIO())),
    ):
        raise ZeroDivisionError


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("screen", [Terminal(), io.StringIO()])
def test_a_long_load_shows_one_bar_in_a_terminal_and_nowhere_else(
    screen, save, monkeypatch
):
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setattr("sys.stderr", screen)

    def read(one):
        with progress.progress_bar("Inner work"):
            time.sleep(0.5)
        return one.epoch

    assert first_intact([save(1)], read) == 1
    assert ("Loading epoch=001" in screen.getvalue()) == screen.isatty()
    assert "Inner work" not in screen.getvalue()


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (["Best(val_f1)"], [2]),
        (["Best(val_f1, 3)"], [2, 3, 5]),
        (["Best(val_f1,3)", "Last(2)"], [2, 3, 4, 5]),
        (["Best(val_loss, 2)"], [2, 3]),
        (["Best('val_loss', k=1, mode='max')"], [1]),
        (["Best(val_f1, 1, where=val_precision >= 0.9)"], [3]),
        (["Best(val_f1)", "Best(val_f1, where=val_precision >= 0.9)"], [2, 3]),
        (["Best(max(val_f1, val_precision), 1, mode=max)"], [4]),
        (["Every(epochs=2)"], [2, 4]),
        (["Every(steps=20)"], [2, 4]),
        (["Pareto(val_f1, val_precision)"], [2, 3, 4]),
        (["last"], [5]),
        (["All()"], [1, 2, 3, 4, 5]),
    ],
)
def test_prune_keeps_what_some_slot_holds(call, run, keep, left):
    options = [part for slot in keep for part in ("--keep", slot)]
    dry = call("prune", run, *options, "--dry-run", "--json").json
    assert epochs(run) == [1, 2, 3, 4, 5]
    done = call("prune", run, *options, "--json").json
    assert epochs(run) == left == [one["epoch"] for one in done["kept"]]
    assert done == dry | {"dry_run": False}
    assert call("verify", run).code == 0


def test_prune_says_what_it_did(call, run):
    result = call("prune", run, "--keep", "Last(2)", "--dry-run")
    assert result.out.count("remove\n") == 3
    assert "Would remove 3 of 5 checkpoints of the run a," in result.out
    assert "Removed 3 of 5" in call("prune", run, "--keep", "Last(2)").out


def test_prune_neither_counts_nor_removes_a_copy(call, run):
    folder = run / "checkpoints"
    shutil.copytree(folder / "epoch=002", folder / "mine")
    result = call("prune", run, "--keep", "Best('val_f1', k=2)")
    assert result.code == 0, result.err
    left = {one.name for one in folder.iterdir() if not one.name.startswith(".")}
    assert left == {"epoch=002", "epoch=003", "mine"}
    assert "of 5 checkpoints" in result.out


def test_prune_touches_another_run_only_when_asked(call, run, save):
    for epoch in (6, 7):
        save(epoch, run_id="b", score=epoch / 10)
    call("prune", run, "--keep", "Last(1)")
    assert epochs(run) == [1, 2, 3, 4, 5, 7]
    call("prune", run, "--keep", "Last(1)", "--run", "a")
    assert epochs(run) == [5, 7]
    assert (
        "prune works on one run"
        in call("prune", run, "--keep", "Last(1)", "--run", "all").err
    )
    assert epochs(run) == [5, 7]


def test_prune_that_would_leave_nothing_is_refused(call, run):
    result = call("prune", run, "--keep", "Best(val_f1, where=val_precision > 1)")
    assert result.code == 1
    assert "would remove all" in result.err
    assert len(epochs(run)) == 5


def test_prune_by_an_unknown_name_removes_nothing(call, run):
    result = call("prune", run, "--keep", "Last(1)", "--keep", "Best(val_f2)")
    assert result.code == 1
    assert "Did you mean 'val_f1'" in result.err
    assert len(epochs(run)) == 5


def test_prune_by_a_name_without_a_direction_asks_for_one(call, save, tmp_path):
    save(1, metrics={"score": 1.0}, extra={})
    result = call("prune", tmp_path / "run", "--keep", "Best(score)")
    assert result.code == 1
    assert "mode=" in result.err


def test_the_links_best_and_last_follow_a_prune(call, run):
    runs = RunDirectory(run)
    found = runs.checkpoints()
    runs.point("best", found[1])
    runs.point("last", found[-1])
    call("prune", run, "--keep", "Best(val_precision, 2)")
    assert (run / "best").resolve().name == "epoch=004"
    assert (run / "last").resolve().name == "epoch=004"
    assert epochs(run) == [1, 4]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bst(val_f1)",
        "Best()",
        "Best(val_f1, x)",
        "Best(val_f1, 1, 2)",
        "Best(val_f1, n=2)",
        "Best(val_f1, mode=up)",
        "Best(val_f1",
        "Last(0)",
        "Last(1, 2)",
        "Every(10)",
        "Every(epochs=0)",
        "Every(weeks=1)",
        "Pareto(val_f1)",
        "All(1)",
        "Best(val_f1, where=__import__('os'))",
        "__import__('os').system('true')",
    ],
)
def test_a_slot_that_cannot_be_read_is_an_error_of_ours(text):
    with pytest.raises(ArgumentError):
        parse_slot(text)


def test_gc_deletes_leftovers_and_unused_architectures(call, run, save):
    other = save(6, architecture={"units": 4})
    RunDirectory(run).remove(other, run_id="a")
    (run / "checkpoints" / ".tmp-dead").mkdir()
    (run / "checkpoints" / ".tmp-dead" / "state.safetensors").write_bytes(bytes(2048))
    wanted = {
        str(run / "checkpoints" / ".tmp-dead"): 2048,
        str(run / other.architecture): 11,
    }
    dry = call("gc", run, "--dry-run", "--json").json
    assert {one["path"]: one["size"] for one in dry["removed"]} == wanted
    assert (run / other.architecture).exists()
    result = call("gc", run)
    assert "Removed 2 leftovers, 2.0 KiB." in result.out
    assert not (run / other.architecture).exists()
    assert call("gc", run).out == "Nothing to collect.\n"
    assert call("verify", run).code == 0
