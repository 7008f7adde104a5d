"""`history` shows what every epoch measured."""

import multiback as mb
from multiback.store import RunDirectory


def widest(text):
    return max(map(len, text.splitlines()))


def measured(run, **more):
    """Append three epochs to a run's history."""
    runs = RunDirectory(run)
    for epoch in (1, 2, 3):
        metrics = {"loss": 1 / epoch, "val_f1": epoch / 4}
        runs.append_history(
            {
                "run_id": "a",
                "epoch": epoch,
                "step": 10 * epoch,
                "time": 1e9 + epoch,
                "metrics": metrics | more,
            }
        )


def test_history_is_a_table_csv_or_json(call, run):
    measured(run)
    title, heading, *rows = call("history", run).out.splitlines()
    assert title == "run a, 3 rows"
    assert heading.split() == ["epoch", "step", "val_f1", "loss", "time"]
    assert [line.split()[:4] for line in rows] == [
        ["1", "10", "0.2500", "1.0000"],
        ["2", "20", "0.5000", "0.5000"],
        ["3", "30", "0.7500", "0.3333"],
    ]
    lines = call("history", run, "--csv").out.splitlines()
    assert lines[0] == "run_id,epoch,step,time,loss,val_f1"
    assert lines[2] == "a,2,20,1000000002.0,0.5,0.5"
    assert call("history", run, "--json").json[2]["val_f1"] == 0.75


def test_history_names_the_columns_that_do_not_fit(call, run):
    measured(run, **{f"a_rather_long_name_{i}": 0.5 for i in range(4)})
    result = call("history", run)
    assert widest(result.out.partition("not shown")[0]) <= 80
    assert "not shown: a_rather_long_name_2, a_rather" in result.out


def test_history_of_a_run_without_one_is_exit_code_1(call, run):
    result = call("history", run)
    assert result.code == 1
    assert "holds no history" in result.err


def test_mb_history_is_flat_and_a_metric_never_hides_a_field(run):
    measured(run, epoch=9.0)
    rows = mb.history(run)
    assert rows[0] == {
        "run_id": "a",
        "epoch": 1,
        "step": 10,
        "time": 1e9 + 1,
        "loss": 1.0,
        "val_f1": 0.25,
        "metrics/epoch": 9.0,
    }


def test_history_of_all_runs_is_titled_by_their_number(call, run):
    for name in ("a", "b"):
        RunDirectory(run).append_history(
            {"run_id": name, "epoch": 1, "step": 1, "time": 0.0, "metrics": {"f": 1.0}}
        )
    assert call("history", run, "--run", "all").out.startswith("2 runs, 2 rows")
