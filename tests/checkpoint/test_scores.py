"""From the logs of one moment to scores."""

import math

import keras
import pytest
from keras import ops

from multiback import Monitor
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.errors import ArgumentError, MonitorError


def scored(monitor, *all_logs, prefixes=("val_",)):
    scorer = Scorer([monitor], prefixes)
    return [scorer.measure(logs).get(monitor.label) for logs in all_logs]


def test_a_name_absent_in_an_off_epoch_is_passed_over():
    on, off = {"loss": 1.0, "val_loss": 2.0}, {"loss": 0.5}
    assert scored(Monitor("val_loss"), off, on, off) == [None, 2.0, None]


def test_a_name_that_is_absent_although_validation_ran_is_an_error():
    with pytest.raises(MonitorError, match=r"Did you mean 'val_loss'.*Available: "):
        scored(Monitor("val_los"), {"loss": 1.0, "val_loss": 2.0})


def test_a_name_that_was_there_once_may_be_absent_later():
    later = [{"lr": 0.1, "loss": 1.0}, {"loss": 1.0}]
    assert scored(Monitor("lr", mode="min"), *later) == [0.1, None]


def test_a_function_that_reads_an_absent_name_is_passed_over_or_an_error_alike():
    monitor = Monitor(lambda logs: logs["val_f1"], mode="max")
    logs = [{"loss": 1.0}, {"loss": 1.0, "val_f1": 0.5}, {"loss": 1.0}]
    assert scored(monitor, *logs) == [None, 0.5, None]
    with pytest.raises(MonitorError, match="called 'val_f1'"):
        scored(monitor, {"loss": 1.0, "val_loss": 0.5})


def test_names_that_never_came_are_reported_at_the_end():
    scorer = Scorer(
        [Monitor("val_f1", mode="max"), Monitor(lambda logs: logs["val_x"], mode="max")]
    )
    scorer.measure({"loss": 1.0})
    assert scorer.never_seen() == ["val_f1", "val_x"]
    scorer.measure({"val_f1": 1.0, "val_x": 1.0})
    assert scorer.never_seen() == []


def test_several_validation_sets_have_a_prefix_each():
    prefixes = ("val_", "test_clean_")
    noisy = [{"loss": 1.0}, {"loss": 1.0, "val_auc": 0.1}, {"test_clean_auc": 0.9}]
    assert scored(Monitor("test_clean_auc"), *noisy, prefixes=prefixes) == [
        None,
        None,
        0.9,
    ]
    with pytest.raises(MonitorError, match="test_clean_auc"):
        scored(Monitor("test_clean_auc"), noisy[1])


def test_a_vector_is_refused_with_the_fix():
    scorer = Scorer([Monitor("val_f1_score")])
    fix = r"shape is \[3\].*'val_f1_score\[0\]'.*logs\['val_f1_score'\].*macro"
    with pytest.raises(MonitorError, match=fix):
        scorer.measure({"loss": 1.0, "val_f1_score": ops.ones((3,))})
    with pytest.raises(MonitorError, match=fix):
        scorer.check({"loss": 1.0, "f1_score": ops.ones((3,))})


def test_an_unknown_direction_is_an_error_that_says_how_to_give_it():
    scorer = Scorer([Monitor("val_beauty")])
    with pytest.raises(
        MonitorError, match=r"mode=\"max\".*register_direction\('beauty'"
    ):
        scorer.check({"beauty": 1.0})
    with pytest.raises(MonitorError, match='mode="max"'):
        Scorer([Monitor("a + b")]).check({"a": 1.0, "b": 1.0})


def test_a_name_that_another_callback_adds_is_not_expected_early():
    Scorer([Monitor("mine", mode="max", early=False)]).check({"loss": 1.0})


def test_two_monitors_of_one_label_must_be_the_same():
    same = Monitor("f1", mode="max")
    assert len(Scorer([same, Monitor("f1", mode="max")]).monitors) == 1
    with pytest.raises(ArgumentError, match="both called 'f1'"):
        Scorer([same, Monitor("f1", mode="min")])
    with pytest.raises(ArgumentError, match="both called '<lambda>'"):
        Scorer([Monitor(lambda _: 1, "max"), Monitor(lambda _: 2, "max")])


def test_reset_forgets_the_last_run():
    scorer = Scorer([Monitor("val_f1", mode="max")])
    scorer.measure({"loss": 1.0, "val_f1": 1.0})
    scorer.reset()
    with pytest.raises(MonitorError):
        scorer.measure({"loss": 1.0, "val_f2": 1.0})


def test_nan_has_no_goodness_and_infinities_rank_as_they_should():
    modes = {"up": "max", "down": "min", "nan": "max"}
    judged = RecordedScores({"up": math.inf, "down": math.inf, "nan": math.nan}, modes)
    assert judged.ranking_scores == {"up": math.inf, "down": -math.inf}


def test_the_backend_under_test_is_the_one_asked_for():
    assert keras.backend.backend() in ("jax", "tensorflow", "torch")
