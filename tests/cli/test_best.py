"""`best` prints the path of the best checkpoint, or says why it cannot."""

import math

import pytest
from support.told_runs import make_run

import multiback as mb


def checkpoint(run, epoch):
    return run / "checkpoints" / f"epoch={epoch:03d}"


@pytest.mark.parametrize(
    ("options", "epoch"),
    [
        ([], 2),
        (["--by", "val_f1"], 2),
        (["--by", "val_f1", "--where", "val_precision>=0.9"], 3),
        (["--by", "val_loss"], 2),
        (["--by", "val_loss", "--mode", "max"], 1),
        (["--by", "val_precision"], 4),
        (["--by", "val_f1 + val_precision", "--mode", "max"], 3),
        (["--mode", "min"], 1),
        (["--where", "val_f1 < 0.65"], 4),
    ],
)
def test_best_prints_the_path_and_nothing_else(call, run, options, epoch):
    result = call("best", run, *options)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{checkpoint(run, epoch)}\n"


def test_best_of_equals_is_the_earliest_as_in_training(call, save, tmp_path):
    for epoch in (1, 2, 3):
        save(epoch, score=0.5)
    assert call("best", tmp_path / "run", "--json").json["epoch"] == 1


def test_nan_is_never_best(call, save, tmp_path):
    save(1, score=math.nan)
    assert call("best", tmp_path / "run").code == 1
    save(2, score=0.1)
    assert call("best", tmp_path / "run", "--json").json["epoch"] == 2


def test_best_keeps_the_runs_own_condition_unless_another_is_given(call, save):
    extra = {"modes": {"val_f1": "max"}, "ranking": ["val_f1"]}
    saved = save(1, score=0.9, extra=extra | {"scores": {}})
    save(2, score=0.7, extra=extra | {"scores": {"val_f1": 0.7}})
    run = saved.path.parents[1]
    assert call("best", run, "--json").json["epoch"] == 2
    assert call("best", run, "--where", "val_f1 > 0", "--json").json["epoch"] == 1


def test_best_by_a_functions_score_reads_what_was_recorded(call, save):
    extra = {"modes": {"mine": "min"}, "ranking": ["mine"]}
    for epoch, score in ((1, 3.0), (2, 1.0), (3, 0.5)):
        saved = save(epoch, precision=epoch, extra=extra | {"scores": {"mine": score}})
    run = saved.path.parents[1]
    assert call("best", run, "--json").json["score"] == 0.5
    limited = call("best", run, "--where", "val_precision < 3", "--json").json
    assert limited["epoch"] == 2


def test_best_that_nothing_qualifies_for_is_exit_code_1_with_a_reason(call, run):
    result = call("best", run, "--by", "val_f1", "--where", "val_precision > 1")
    assert (result.code, result.out) == (1, "")
    assert "has a score for 'val_f1 where val_precision > 1'" in result.err
    assert "--where" in result.err


def test_best_of_a_run_that_never_met_its_condition_says_so(call, save):
    label = "val_f1 where val_precision > 1"
    extra = {"modes": {label: "max"}, "ranking": [label], "scores": {}}
    result = call("best", save(1, extra=extra).path.parents[1])
    assert (result.code, result.out) == (1, "")
    assert f"has a score for {label!r}" in result.err
    assert "the condition was false" in result.err.replace("\n", " ")


def test_best_by_an_unknown_name_shows_the_nearest(call, run):
    result = call("best", run, "--by", "val_f2")
    assert result.code == 1
    assert "Did you mean 'val_f1'" in result.err
    result = call("best", run, "--where", "recall > 0")
    assert "nothing called 'recall'" in result.err


def test_best_speaks_of_the_latest_run_or_the_one_asked_for(call, run, save):
    save(9, run_id="b", score=0.1)
    assert call("best", run, "--json").json["run_id"] == "b"
    assert call("best", run, "--run", "a", "--json").json["epoch"] == 2


def test_best_says_that_another_run_is_better(call, tmp_path):
    make_run(tmp_path, [0.5, 0.9], kept=(1, 2), run_id="old")
    make_run(tmp_path, [0.4], kept=(1,), run_id="new")
    said = call("best", tmp_path)
    assert said.out.strip().endswith("epoch=001-v2")
    assert "The run old has a better val_f1" in said.err
    assert "--run all" in said.err
    assert call("best", tmp_path, "--json").json["better_run"] == "old"
    for more in (
        ["--run", "new"],
        ["--run", "all"],
        ["--by", "val_f1", "--mode", "min"],
    ):
        assert "better" not in call("best", tmp_path, *more).err, more
    assert call("best", tmp_path, "--run", "all").out.strip().endswith("epoch=002")


def test_best_of_a_run_without_a_monitor_asks_for_one(call, save):
    saved = save(1, extra={})
    result = call("best", saved.path.parents[1])
    assert result.code == 1
    assert "Pass --by" in result.err
    assert "val_loss" in result.err
    assert call("best", saved.path.parents[1], "--by", "val_loss").code == 0


def test_best_agrees_with_load_best(call, tmp_path):
    with mb.Checkpointer(tmp_path, monitor="loss", save_top_k=-1) as ckpt:
        for loss in (3.0, 1.0, 2.0):
            ckpt.step({"w": [loss]}, {"loss": loss, "f1": 1 / loss})
    assert mb.load_best(tmp_path)["w"][0] == 1.0
    assert call("best", tmp_path).out.strip() == ckpt.best_model_path
    assert call("best", tmp_path, "--by", "loss").out.strip() == ckpt.best_model_path


DIRECTIONS = {"val_foo": "max", "val_no_loss": "max"}


def with_directions(save):
    """Save what training knew more about than the names say."""
    for epoch, value in ((1, 0.2), (2, 0.9), (3, 0.5)):
        metrics = {"val_foo": value, "val_no_loss": value, "val_bar": value}
        extra = {"directions": DIRECTIONS}
        saved = save(epoch, metrics=metrics, extra=extra)
    return saved.path.parents[1]


@pytest.mark.parametrize("by", ["val_foo", "val_no_loss", "val_foo + val_no_loss"])
def test_best_and_prune_know_the_directions_that_training_knew(call, save, by):
    run = with_directions(save)
    assert call("best", run, "--by", by, "--json").json["epoch"] == 2
    assert call("best", run, "--by", by, "--mode", "min", "--json").json["epoch"] == 1
    where = ("--where", "val_foo < 0.9")
    assert call("best", run, "--by", by, *where, "--json").json["epoch"] == 3
    found = call("prune", run, "--keep", f"Best({by})", "--dry-run", "--json").json
    assert [one["epoch"] for one in found["kept"]] == [2]


def test_a_direction_that_nothing_says_is_asked_for_by_an_option(call, save):
    run = with_directions(save)
    result = call("best", run, "--by", "val_bar")
    assert result.code == 1
    assert "Pass --mode max or --mode min." in result.err
    result = call("prune", run, "--keep", "Best(val_bar)")
    assert "Write --keep with mode=max or mode=min in the slot" in result.err
    assert call("best", run, "--by", "val_bar", "--mode", "max").code == 0
