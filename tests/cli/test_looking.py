"""`ls` and `show`."""

import datetime as dt
import json
import math
import os
import shutil
import subprocess
import sys

import pytest

from multiback.store import RunDirectory


def checkpoint(run, epoch):
    return run / "checkpoints" / f"epoch={epoch:03d}"


def widest(text):
    return max(map(len, text.splitlines()))


def test_ls_lists_every_checkpoint_and_marks_best_and_last(call, run):
    result = call("ls", run, width=100)
    assert result.code == 0
    title, heading, *rows = result.out.splitlines()
    assert title == "run a, judged by val_f1 (max)"
    assert heading.split()[:4] == ["checkpoint", "epoch", "val_f1", "val_loss"]
    assert heading.split()[4:] == ["val_precision", "size", "saved"]
    assert [line.split()[:4] for line in rows] == [
        ["epoch=001", "1", "0.5000", "0.5000"],
        ["epoch=002", "2", "0.9000", "0.1000"],
        ["epoch=003", "3", "0.8000", "0.2000"],
        ["epoch=004", "4", "0.6000", "0.4000"],
        ["epoch=005", "5", "0.7000", "0.3000"],
    ]
    assert [line.split()[-1] for line in rows if line.split()[-1].isalpha()] == [
        "best",
        "last",
    ]
    assert rows[1].endswith("best")
    assert rows[4].endswith("last")
    assert f"{dt.datetime.now().astimezone():%Y-%m-%d}" in rows[0]


def test_ls_says_how_many_epochs_ran(call, run):
    for epoch in range(1, 8):
        RunDirectory(run).append_history(
            {"run_id": "a", "epoch": epoch, "step": epoch, "time": 0.0, "metrics": {}}
        )
    title = call("ls", run, width=100).out.splitlines()[0]
    assert title == "run a, 7 epochs, judged by val_f1 (max)"
    [described] = call("ls", run, "--json").json["runs"]
    assert described == {
        "run_id": "a",
        "epochs": 7,
        "monitor": "val_f1",
        "mode": "max",
    }


def test_ls_shows_the_score_and_what_the_condition_read(call, save, tmp_path):
    label = "val_f1 where val_precision >= 0.6"
    extra = {"modes": {label: "max"}, "ranking": [label], "weights_only": False}
    for epoch, score in ((1, 0.5), (2, 0.7)):
        scores = {"scores": {label: score}}
        save(epoch, score=score, precision=0.75, extra=extra | scores)
    out = call("ls", tmp_path / "run", width=80).out
    assert f"judged by {label} (max)" in " ".join(out.split())
    heading, first = out.splitlines()[-3:-1]
    assert heading.split()[:4] == ["checkpoint", "epoch", "score", "val_f1"]
    assert first.split()[:4] == ["epoch=001", "1", "0.5000", "0.5000"]
    wide = call("ls", tmp_path / "run", width=120).out.splitlines()[-3]
    assert wide.split()[2:5] == ["score", "val_f1", "val_precision"]


@pytest.mark.parametrize(("width", "shown"), [(40, 0), (60, 1), (80, 2), (120, 3)])
def test_ls_shows_the_metrics_that_fit_the_width(call, run, save, width, shown):
    save(6, name="epoch=006-step=000060-val_f1=0.7000")
    result = call("ls", run, width=width)
    assert widest(result.out) <= width
    lines = result.out.splitlines()
    [heading] = [line.split() for line in lines if line.startswith("checkpoint")]
    names = [name for name in heading if name.startswith("val_")]
    assert names == ["val_f1", "val_loss", "val_precision"][:shown]
    # The date stands in a column, or above the table.
    assert f"{dt.datetime.now().astimezone():%Y-%m-%d}" in result.out


def test_ls_of_a_checkpoint_shows_it(call, run):
    shown = call("ls", checkpoint(run, 2))
    assert shown.code == 0
    assert shown.out == call("show", checkpoint(run, 2)).out
    assert call("ls", checkpoint(run, 2), "--json").json["epoch"] == 2


@pytest.mark.parametrize("command", ["ls", "show", "best", "diff", "prune", "history"])
def test_help_shows_flags_as_flags(call, command):
    text = call(command, "--help").out
    assert "--json" in text
    assert "<bool>" not in text
    assert "BOOL" not in text


def test_ls_parts_the_runs_and_shows_one_on_request(call, run, save):
    save(1, run_id="b")
    result = call("ls", run)
    assert result.out.index("run a") < result.out.index("run b")
    only = call("ls", run, "--run", "b")
    assert "epoch=001-v2" in only.out
    assert "epoch=002" not in only.out
    assert call("ls", run, "--run", "c").code == 1


@pytest.mark.parametrize("command", ["ls", "verify", "report"])
def test_the_latest_run_and_all_can_be_named(call, run, save, command, tmp_path):
    save(1, run_id="b")
    out = ["-o", tmp_path / "r.html"] if command == "report" else []
    for name in ("a", "b", "latest", "all"):
        assert call(command, run, "--run", name, *out).code == 0
    if command == "ls":
        assert "run a" in call("ls", run, "--run", "all").out
        assert "run a" not in call("ls", run, "--run", "latest").out


def test_ls_fits_80_columns_and_loses_no_letter_of_a_long_name(call, save):
    name = "epoch=000001-step=100000-" + "val_f1_score=0.9134-" * 6 + "end"
    scores = {f"val_a_rather_long_name_{i}": 0.5 for i in range(6)}
    saved = save(1, name=name, extra={"scores": scores})
    result = call("ls", saved.path.parents[1])
    assert widest(result.out) <= 80
    first_column = "".join(
        line.split()[0] for line in result.out.splitlines()[2:] if line.strip()
    )
    assert name in first_column


def test_ls_as_json_has_every_field_and_nan_as_text(call, save, tmp_path):
    saved = save(3, score=math.nan)
    [one] = call("ls", tmp_path / "run", "--json").json["checkpoints"]
    assert one["path"] == str(saved.path)
    assert one["metrics"]["val_f1"] == "NaN"
    assert (one["epoch"], one["step"], one["run_id"]) == (3, 30, "a")
    assert (one["size"], one["created"]) == (saved.size, saved.created)
    assert (one["backend"], one["versions"]) == ("jax", {"keras": "3.13.0"})


def test_ls_names_what_it_passed_over(call, run):
    (checkpoint(run, 2) / "manifest.json").write_text("{}")
    result = call("ls", run)
    assert "passed over" in result.out
    [skipped] = call("ls", run, "--json").json["skipped"]
    assert skipped["path"] == str(checkpoint(run, 2))


def test_ls_shows_which_process_is_writing(call, run):
    assert call("ls", run, "--json").json["writers"] == []
    runs = RunDirectory(run)
    runs.start_run("b", {})
    told = " ".join(call("ls", run).out.split())
    assert f"being written by process {os.getpid()} on " in told
    [writer] = call("ls", run, "--json").json["writers"]
    assert (writer["run_id"], writer["pid"], writer["death"]) == (
        "b",
        os.getpid(),
        None,
    )
    runs.end_run("b")
    assert "being written" not in call("ls", run).out
    assert not list(run.glob("lock-*"))


def test_ls_of_a_run_without_a_checkpoint_shows_which_process_is_writing(
    call, tmp_path
):
    RunDirectory(tmp_path).start_run("b", {})
    assert f"It is being written by process {os.getpid()}" in call("ls", tmp_path).err
    RunDirectory(tmp_path).end_run("b")


def test_brackets_in_a_name_are_no_markup(call, save):
    saved = save(1, name="[red]x[b]")
    assert "[red]x[b]" in call("ls", saved.path.parents[1]).out


def test_show_has_metrics_files_versions_and_variables(call, run):
    result = call("show", checkpoint(run, 2))
    assert result.code == 0
    for text in (
        "val_precision",
        "0.7",
        "keras 3.13.0",
        "jax",
        "weights 1",
        "state.safetensors",
        "epoch         2, step 20",
    ):
        assert text in result.out
    assert "net/dense/kernel" not in result.out
    assert "net/dense/kernel" in call("show", checkpoint(run, 2), "--variables").out
    shown = call("show", checkpoint(run, 2), "--json").json
    assert shown["variables"][0]["shape"] == [2, 3]
    assert set(shown["files"]) == {"state.safetensors", "variables.json"}


def test_ls_marks_copies_and_best_is_not_one_of_them(call, run):
    best = checkpoint(run, 2)
    shutil.copytree(best, best.with_name("a copy"))
    checkpoint(run, 4).rename(best.with_name("mine"))
    lines = call("ls", run).out.splitlines()
    assert [
        line.split("copy of ")[1].strip() for line in lines if "copy of" in line
    ] == [
        "epoch=002",
        "epoch=004",
    ]
    found = json.loads(call("ls", run, "--json").out)["checkpoints"]
    assert {one["name"]: one["copy_of"] for one in found if "copy_of" in one} == {
        "a copy": "epoch=002",
        "mine": "epoch=004",
    }
    assert call("best", run).out.strip() == str(best)


@pytest.mark.parametrize("command", ["ls", "best", "verify", "gc"])
def test_a_file_in_place_of_a_run_directory_is_an_error(call, tmp_path, command):
    (tmp_path / "file").write_text("x")
    result = call(command, tmp_path / "file")
    assert result.code == 1
    assert "file" in result.err
    assert "check that disk" not in result.err


def test_ls_of_a_file_says_that_it_is_one(call, tmp_path):
    (tmp_path / "file").write_text("x")
    text = call("ls", tmp_path / "file").err
    assert f"{tmp_path}/file must be a run directory, but is a file" in text


def test_show_follows_a_link(call, run):
    runs = RunDirectory(run)
    runs.point("best", runs.checkpoints()[1])
    assert call("show", run / "best", "--json").json["epoch"] == 2


def test_show_of_a_run_directory_says_what_to_type(call, run):
    result = call("show", run)
    assert result.code == 1
    assert "is a run directory" in result.err
    assert "multiback ls" in result.err.replace("\n", " ")


@pytest.mark.parametrize(
    "command", [("ls", "{}"), ("best", "{}"), ("verify", "{}"), ("gc", "{}")]
)
def test_a_directory_that_is_not_a_run_is_exit_code_1(call, tmp_path, command):
    (tmp_path / "empty").mkdir()
    result = call(*(part.format(tmp_path / "empty") for part in command))
    assert result.code == 1
    assert result.err.startswith("NoCheckpointError")
    assert list((tmp_path / "empty").iterdir()) == []


def test_help_shows_the_exit_codes(call):
    result = call("--help")
    assert "Exit codes: 0 done" in result.out
    for command in (
        "ls",
        "show",
        "best",
        "verify",
        "diff",
        "prune",
        "export",
        "gc",
    ):
        assert "Exits with 0" in " ".join(call(command, "--help").out.split())


def test_a_wrong_option_is_exit_code_2(call, run):
    assert call("best", run, "--bye", "val_f1").code == 2
    assert call("prune", run).code == 2


def test_stdout_is_one_json_document_in_a_real_process(run):
    result = subprocess.run(
        [sys.executable, "-m", "multiback", "ls", run, "--json"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        check=True,
    )
    assert len(json.loads(result.stdout)["checkpoints"]) == 5


@pytest.mark.parametrize(
    ("found", "shown"), [(0.25, "0.25"), ([0.25, 0.5], "0.25, 0.5")]
)
def test_show_has_the_threshold_of_the_score(call, run, save, found, shown):
    extra = {
        "scores": {"val_f1": 0.7},
        "modes": {"val_f1": "max"},
        "ranking": ["val_f1"],
        "thresholds": {"val_f1": found},
    }
    save(6, score=0.7, extra=extra)
    rows = [line.split() for line in call("show", checkpoint(run, 6)).out.splitlines()]
    assert ["threshold", *shown.split()] in rows
    assert call("show", checkpoint(run, 6), "--json").json["threshold"] == found
    assert call("show", checkpoint(run, 2), "--json").json["threshold"] is None
    assert "threshold" not in call("show", checkpoint(run, 2)).out


def test_a_narrow_ls_shows_the_marks_and_no_score_but_the_one_that_decides(call, run):
    narrow = call("ls", run, width=40).out
    assert "best" in narrow
    assert "last" in narrow
    assert "val_loss" not in narrow


def test_ls_says_that_there_is_no_such_directory(call, tmp_path):
    assert "There is no such directory." in call("ls", tmp_path / "nowhere").err
    (tmp_path / "empty").mkdir()
    assert "no such directory" not in call("ls", tmp_path / "empty").err
