"""What a report says about a run follows from what was recorded."""

import math

import pytest
from support.told_runs import commit, make_run, record

from multiback.errors import NoCheckpointError
from multiback.show.story import Epoch, decide, read_stories, read_story
from multiback.store import RunDirectory


def outcomes(scores, label="f1", mode="max"):
    made = [Epoch(i, i, 0.0, {"f1": f}) for i, f in enumerate(scores, start=1)]
    return [one.outcome for one in decide(made, label, mode)]


def test_each_epoch_is_compared_with_the_best_before_it():
    found = outcomes([0.5, 0.4, 0.7, 0.7, math.nan, 0.9])
    assert found == ["first", "worse", "better", "tie", "nan", "better"]


def test_lower_is_better_where_the_run_said_so():
    assert outcomes([0.5, 0.4, 0.7], mode="min") == ["first", "better", "worse"]


def test_a_first_nan_is_not_the_best():
    assert outcomes([math.nan, 0.1]) == ["nan", "first"]


def test_an_expression_and_a_condition_are_measured_again():
    made = [Epoch(i, i, 0.0, {"p": p, "r": 1.0}) for i, p in enumerate((0.4, 0.6), 1)]
    found = decide(made, "p + r where p >= 0.5", "max")
    assert [one.outcome for one in found] == ["missing", "first"]
    assert found[1].score == 1.6


def test_a_function_as_the_monitor_leaves_the_decisions_open():
    assert outcomes([0.5, 0.6], label="my_function") == ["missing"] * 2


def test_equal_looking_scores_are_written_until_they_differ():
    made = [Epoch(i, i, 0.0, {"f1": f}) for i, f in ((1, 0.91234567), (2, 0.91234569))]
    assert "0.91234569 > 0.91234567" in decide(made, "f1", "max")[1].sentence


def test_within_no_epoch_replaces_another_by_its_score_alone():
    made = [Epoch(i, i, 0.0, {"f1": f}) for i, f in enumerate((0.5, 0.7, 0.7), 1)]
    told = [one.sentence for one in decide(made, "f1", "max", near=True)]
    assert told[1] == (
        "Epoch 2 has a better score than epoch 1: f1 is 0.7000 > 0.5000."
    )
    assert told[2] == "Epoch 3 is as good as epoch 2: f1 is 0.7000."


def test_a_run_is_read_with_its_best_and_what_is_kept(tmp_path):
    story = read_story(make_run(tmp_path, [0.5, 0.9, 0.7], kept=(2, 3)))
    assert (story.monitor, story.mode) == ("val_f1", "max")
    assert [one.epoch for one in story.kept] == [2, 3]
    assert story.best.epoch == 2
    assert story.names == ["val_f1", "loss"]
    assert story.series("val_f1") == ([1, 2, 3], [0.5, 0.9, 0.7])


def test_of_equal_checkpoints_the_earliest_is_the_best(tmp_path):
    story = read_story(make_run(tmp_path, [0.9, 0.9], kept=(1, 2)))
    assert story.best.epoch == 1


def test_what_a_resumed_run_did_again_counts_once_and_is_noted(tmp_path):
    make_run(tmp_path, [0.5, 0.6, 0.7], kept=(1,))
    record(RunDirectory(tmp_path), 2, {"val_f1": 0.65})
    story = read_story(tmp_path)
    assert [(one.epoch, one.redone) for one in story.epochs] == [(1, 0), (2, 1)]
    assert story.series("val_f1") == ([1, 2], [0.5, 0.65])


def test_a_long_pause_between_epochs_is_noted(tmp_path):
    runs = RunDirectory(make_run(tmp_path, [0.5, 0.6, 0.7], kept=(1,)))
    record(runs, 4, {"val_f1": 0.8}, time=1e9 + 7200)
    assert [one.pause > 0 for one in read_story(tmp_path).epochs] == [False] * 3 + [
        True
    ]


def test_the_run_that_began_last_comes_first(tmp_path):
    make_run(tmp_path, [0.5], kept=(1,), run_id="old")
    make_run(tmp_path, [0.4], kept=(1,), run_id="new")
    assert [one.run_id for one in read_stories(tmp_path)] == ["new", "old"]
    assert read_story(tmp_path).run_id == "new"
    assert read_story(tmp_path, "old").run_id == "old"


def test_a_run_without_checkpoints_still_has_its_curves(tmp_path):
    story = read_story(make_run(tmp_path, [0.5, 0.6]))
    assert (story.best, story.monitor, list(story.decisions)) == (None, None, [])
    assert story.series("val_f1") == ([1, 2], [0.5, 0.6])


def test_a_run_that_is_not_there_is_an_error_that_lists_the_runs(tmp_path):
    make_run(tmp_path, [0.5], kept=(1,), run_id="old")
    with pytest.raises(NoCheckpointError, match=r"no run 'other'.* are: old"):
        read_story(tmp_path, "other")


def test_an_array_in_the_history_is_no_curve(tmp_path):
    runs = RunDirectory(tmp_path)
    runs.start_run("a", {})
    record(runs, 1, {"val_f1": 0.5, "matrix": [[1, 2], [3, 4]]})
    commit(runs, 1, 0.5)
    assert read_story(tmp_path).names == ["val_f1"]
