"""`multiback.plot` draws what was recorded."""

import matplotlib as mpl
import pytest
from support.told_runs import make_run, record

from multiback.errors import ArgumentError
from multiback.show.curves import plot
from multiback.store import RunDirectory

mpl.use("Agg")


def lines(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def test_the_curve_the_kept_and_the_best_are_where_they_were_recorded(tmp_path):
    _, (axis,) = plot(make_run(tmp_path, [0.5, 0.9, 0.7], kept=(2, 3)), "f1")
    drawn = lines(axis)
    assert drawn["val_f1"].get_xydata().tolist() == [[1, 0.5], [2, 0.9], [3, 0.7]]
    assert drawn["kept"].get_xydata().tolist() == [[2, 0.9], [3, 0.7]]
    assert drawn["best"].get_xydata().tolist() == [[2, 0.9]]


def test_an_interruption_is_a_dashed_line(tmp_path):
    make_run(tmp_path, [0.5, 0.6, 0.7], kept=(1,))
    record(RunDirectory(tmp_path), 2, {"val_f1": 0.65})
    _, (axis,) = plot(tmp_path, "val_f1")
    dashed = [line for line in axis.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [1.5]


def test_all_metrics_are_drawn_by_default(tmp_path):
    figure, axes = plot(make_run(tmp_path, [0.5, 0.9], kept=(2,)))
    assert [axis.get_title() for axis in axes] == ["f1", "loss"]
    assert figure.get_suptitle() == "run a"


def test_a_metric_that_was_never_logged_is_an_error(tmp_path):
    with pytest.raises(ArgumentError, match="metrics= wants names of f1, loss"):
        plot(make_run(tmp_path, [0.5], kept=(1,)), "recall")
