"""`Best(..., within="1se")`: the best as far as the data show it."""

import pytest

from multiback import Best, Last, Monitor
from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.choosing.slots import kept
from multiback.errors import ArgumentError

F1 = Monitor("f1", mode="max")
LOSS = Monitor("loss", mode="min")


def entries(rows, error=0.02):
    """Make entries of (f1, loss)."""
    return [
        Entry(
            order,
            epoch=order + 1,
            ranking_scores={"f1": f1, "loss": -loss},
            errors={} if error is None else {"f1": error},
        )
        for order, (f1, loss) in enumerate(rows)
    ]


def orders(found):
    return [entry.order for entry in found]


def test_the_second_rule_decides_between_those_that_are_near():
    slot = Best(F1, within="1se", then=[LOSS])
    history = entries([(0.90, 0.3), (0.91, 0.5), (0.915, 0.4), (0.80, 0.1)])
    # 0.80 is far away, and 0.91 is beaten by 0.915 in both.
    assert orders(slot.held(history)) == [0, 2]
    assert orders(slot.ranked(history)) == [0, 2, 1, 3]


def test_without_a_second_rule_the_earliest_is_preferred():
    slot = Best(F1, within="1se")
    history = entries([(0.88, 0), (0.90, 0), (0.915, 0), (0.905, 0)])
    assert orders(slot.held(history)) == [1, 2]


def test_the_highest_score_always_stays():
    slot = Best(F1, k=2, within="2se")
    history = entries([(0.90 + i / 1000, 0) for i in range(8)])
    assert orders(slot.held(history)) == [0, 7]


def test_two_standard_errors_reach_further_than_one():
    history = entries([(0.88, 0), (0.91, 0)])
    assert orders(Best(F1, within="1se").held(history)) == [1]
    assert orders(Best(F1, within="2se").held(history)) == [0, 1]


def test_what_stays_does_not_depend_on_when_the_rest_was_removed():
    slots = [Best(F1, within="1se", then=[LOSS]), Last()]
    history = entries(
        [(0.90, 0.3), (0.91, 0.5), (0.93, 0.9), (0.915, 0.2), (0.92, 0.8)]
    )
    there = []
    for entry in history:
        there = [e for e in [*there, entry] if e.order in kept([*there, entry], slots)]
    assert set(orders(there)) == kept(history, slots)


def test_without_a_standard_error_it_is_the_highest_score():
    slot = Best(F1, within="1se")
    assert orders(slot.held(entries([(0.9, 0), (0.91, 0)], error=None))) == [1]


@pytest.mark.parametrize(
    ("monitor", "arguments", "words"),
    [
        ("p + r", {"within": "1se"}, "expression"),
        (lambda logs: logs["p"], {"within": "1se"}, "expression"),
        ("p", {"within": "one"}, "standard errors"),
        ("p", {"within": 1}, "standard errors"),
        ("p", {"within": "0se"}, "standard errors"),
        ("p", {"within": "1se", "k": 1}, "at least 2"),
        (Monitor("p", min_delta=0.1), {"within": "1se"}, "min_delta"),
    ],
)
def test_arguments_that_cannot_be_are_refused(monitor, arguments, words):
    with pytest.raises(ArgumentError, match=words):
        Best(monitor, **arguments)


def test_within_keeps_five_by_default():
    assert Best(F1).k == 1
    assert Best(F1, within="1se").k == 5


class Found:
    lower, upper, standard_error, level = 0.8, 0.9, 0.02, 0.95


def test_intervals_are_of_single_names_only():
    scorer = Scorer([Monitor("val_f1"), Monitor("val_f1 + val_p"), Monitor("val_q")])
    assert scorer.intervals({"val_f1": Found, "val_p": Found}) == {
        "val_f1": {"lower": 0.8, "upper": 0.9, "standard_error": 0.02, "level": 0.95}
    }


def test_a_manifest_keeps_intervals_and_how_near_is_near():
    interval = {"lower": 0.8, "upper": 0.9, "standard_error": 0.02, "level": 0.95}
    recorded = RecordedScores({"f1": 0.85}, {"f1": "max"}, ("f1",), {"f1": interval}, 1)
    again = RecordedScores.of(recorded.fields())
    assert again.errors == {"f1": 0.02}
    assert again.within == 1.0
    assert "within" not in RecordedScores().fields()
