"""One comparable number from the logs."""

import math

import pytest

from multiback import Monitor
from multiback.errors import ArgumentError, MonitorError


def test_a_name_gives_its_value_and_nothing_where_it_is_absent():
    assert Monitor("val_f1").measure({"val_f1": 0.5}) == 0.5
    assert Monitor("val_f1").measure({"f1": 0.5}) is None


def test_a_name_with_a_slash_is_a_name_where_the_logs_have_it():
    ratio = Monitor("val/f1", mode="max")
    assert ratio.measure({"val/f1": 0.5, "val": 3.0, "f1": 2.0}) == 0.5
    assert ratio.measure({"val": 3.0, "f1": 2.0}) == 1.5


@pytest.mark.parametrize("name", ["val f1", "lambda", "f1[0]", "a.b", "f1@5", "µ_ﬁ"])
def test_any_text_may_be_a_name(name):
    assert Monitor(name).measure({name: 0.5}) == 0.5
    assert Monitor(name).missing(["loss"]) == [name.removesuffix("[0]")]


def test_a_function_gets_the_logs():
    assert Monitor(lambda logs: logs["a"] - 1, mode="max").measure({"a": 3.0}) == 2.0
    assert Monitor(lambda _: None, mode="max").measure({"a": 3.0}) is None


def test_a_condition_that_fails_or_has_no_answer_leaves_no_score():
    monitor = Monitor("f1", where="p / r >= 0.5")
    assert monitor.measure({"f1": 1.0, "p": 1.0, "r": 1.0}) == 1.0
    assert monitor.measure({"f1": 1.0, "p": 0.1, "r": 1.0}) is None
    assert monitor.measure({"f1": 1.0, "p": 1.0, "r": 0.0}) is None
    assert monitor.measure({"f1": 1.0, "p": math.nan, "r": 1.0}) is None


def test_the_condition_is_part_of_the_label():
    assert Monitor("f1", where="p > 0.5").label == "f1 where p > 0.5"
    assert Monitor("f1").label == "f1"


def test_an_ambiguous_name_is_an_error():
    with pytest.raises(MonitorError, match="could mean any of"):
        Monitor("auc").measure({"auc_1": 0.1, "auc_2": 0.2})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"quantity": 3}, "monitor= wants"),
        ({"quantity": " "}, "monitor= wants"),
        ({"quantity": "f1", "mode": "best"}, 'mode= wants "auto"'),
        ({"quantity": "f1", "min_delta": -1}, "min_delta= wants"),
        ({"quantity": "f1", "min_delta": math.nan}, "min_delta= wants"),
        ({"quantity": "f1", "where": "p >"}, "neither a log name nor an expression"),
    ],
)
def test_a_wrong_argument_says_what_was_wanted(arguments, text):
    with pytest.raises(ArgumentError, match=text):
        Monitor(**arguments)
