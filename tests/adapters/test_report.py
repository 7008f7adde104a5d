"""The report reads well in a terminal, in a test and in a file."""

import io
import json

import pytest
from rich.console import Console

from multiback.adapters.torchmetrics import Report, Row
from multiback.errors import ArgumentError, WrongMetricError

ROWS = (
    Row("f1_score", "multiback.F1Score", 0.91031, 0.91031, 0.91031, 2.9e-9, "agrees"),
    Row("auc", "keras.AUC", 0.9796, 0.97971, 0.97971, 1e-4, "differs by convention",
        "fixed thresholds: Keras counts at 200"),
    Row("f1", "function f1", 0.892, None, None, 0.018, "wrong", "mean [of] batches"),
    Row("each", "x.Each", (0.5, float("nan")), None, None, None, "no equivalent", "-"),
)  # fmt: skip
REPORT = Report(ROWS, samples=569, batch_size=32, notes=("a note",))


def test_it_prints_as_a_plain_table_of_80_columns():
    assert str(REPORT).splitlines() == [
        "569 samples in batches of 32",
        "",
        " metric      Keras torchmetrics scikit-learn difference verdict",
        " " + "─" * 68,
        " f1_score  0.91031      0.91031      0.91031    2.9e-09 agrees",
        " auc        0.9796      0.97971      0.97971    1.0e-04 convention",
        " f1          0.892            -            -    1.8e-02 wrong",
        " each     0.5..nan            -            -            no equivalent",
        "",
        "auc:",
        "  fixed thresholds: Keras counts at 200",
        "f1:",
        "  mean [of] batches",
        "each:",
        "  -",
        "a note",
    ]


def test_a_long_name_still_fits_into_80_columns():
    row = Row("a" * 60, "x.Y", 0.5, 0.5, 0.5, 0.0, "no equivalent", "because " * 40)
    lines = str(Report((row,), samples=1, batch_size=1)).splitlines()
    assert max(map(len, lines)) <= 80


def test_colour_appears_in_a_terminal_and_not_in_text():
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=80, color_system="standard").print(
        REPORT
    )
    assert "\x1b[1;31mwrong" in out.getvalue()
    assert "\x1b" not in str(REPORT)


def test_ok_and_raise_if_wrong_say_the_same():
    assert not REPORT.ok
    with pytest.raises(WrongMetricError, match=r"f1 \(function f1\): mean"):
        REPORT.raise_if_wrong()
    fine = Report(ROWS[:2], samples=569, batch_size=32)
    assert fine.ok
    fine.raise_if_wrong()


def test_it_becomes_strict_json():
    plain = json.loads(json.dumps(REPORT.to_dict(), allow_nan=False))
    assert plain["ok"] is False
    assert plain["rows"][1]["verdict"] == "differs by convention"
    assert plain["rows"][3]["value"] == [0.5, None]
    assert plain["notes"] == ["a note"]


def test_a_row_is_found_by_name():
    assert REPORT["auc"].metric == "keras.AUC"
    with pytest.raises(
        ArgumentError, match="one of f1_score, auc, f1, each, not 'acc'"
    ):
        REPORT["acc"]
