"""`Monitor(smooth=...)`: rank by a curve, and resume it exactly."""

import json
import math

import keras
import numpy as np
import pytest

import multiback as mb
from multiback.checkpoint.choosing.monitor import split_label
from multiback.checkpoint.choosing.scorer import Scorer
from multiback.checkpoint.choosing.smoothing import smoothed
from multiback.errors import ArgumentError
from multiback.show.story import read_story

LOSSES = [1.0, 0.6, 0.7, 0.2, 0.65, 0.5, 0.55, 0.45]


def curve(values, smooth):
    state, found = [], []
    for value in values:
        score, state = smoothed(state, value, smooth)
        found.append(score)
    return found


@pytest.mark.parametrize("smooth", [0.5, 0.9])
def test_an_exponential_average_is_that_of_all_values_so_far(smooth):
    for last, found in enumerate(curve(LOSSES, smooth)):
        weights = smooth ** np.arange(last, -1, -1.0)
        expected = np.average(LOSSES[: last + 1], weights=weights)
        assert found == pytest.approx(expected, rel=1e-12)


def test_a_median_is_of_the_last_three():
    expected = [np.median(LOSSES[max(0, i - 2) : i + 1]) for i in range(len(LOSSES))]
    assert curve(LOSSES, "median3") == pytest.approx(expected)


@pytest.mark.parametrize("smooth", [0.9, "median3"])
def test_nan_stays_nan_and_leaves_no_trace(smooth):
    with_nan = curve([1.0, math.nan, 0.5], smooth)
    assert math.isnan(with_nan[1])
    assert with_nan[2] == curve([1.0, 0.5], smooth)[1]


@pytest.mark.parametrize("smooth", [0, 1, 1.5, -0.1, 0.0, 1.0, True, "mean3", [0.9]])
def test_other_words_are_refused(smooth):
    with pytest.raises(ArgumentError, match="smooth="):
        mb.Monitor("val_loss", smooth=smooth)


def test_a_smoothed_score_has_no_standard_error():
    with pytest.raises(ArgumentError, match="smooth="):
        mb.Best(mb.Monitor("val_f1", smooth=0.9), within="1se")


def test_a_label_says_how_it_was_smoothed():
    monitor = mb.Monitor("val_loss", "min", where="val_f1 > 0.5", smooth=0.9)
    assert monitor.label == "val_loss smoothed by 0.9 where val_f1 > 0.5"
    assert split_label(monitor.label) == ("val_loss", 0.9, "val_f1 > 0.5")
    assert split_label("val_loss") == ("val_loss", None, None)
    assert split_label("a + b smoothed by median3") == ("a + b", "median3", None)


def test_one_name_can_be_ranked_by_its_value_and_by_its_curve():
    scorer = Scorer([mb.Monitor("loss"), mb.Monitor("loss", smooth="median3")])
    for loss in (1.0, 5.0, 2.0):
        scores = scorer.measure({"loss": loss})
    assert scores == {"loss": 2.0, "loss smoothed by median3": 2.0}
    assert scorer.raw == {"loss smoothed by median3": 2.0}


def live(path, losses, smooth, **arguments):
    slot = mb.Best(mb.Monitor("loss", "min", smooth=smooth), k=3)
    tree = {"w": np.zeros(2)}
    keep = [slot, mb.Last(2)]
    with mb.Checkpointer(path, keep=keep, **arguments) as checkpointer:
        if arguments:
            checkpointer.resume(tree)
        for loss in losses:
            checkpointer.step(tree, {"loss": loss})
    return checkpointer


def manifests(path):
    found = [
        json.loads((one / "manifest.json").read_text())
        for one in sorted((path / "checkpoints").iterdir())
    ]
    return [(one["epoch"], one["metrics"], one["extra"]["scores"]) for one in found]


@pytest.mark.parametrize("smooth", [0.9, "median3"])
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_resumed_run_ranks_as_one_that_never_stopped(tmp_path, smooth, cut):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = live(whole, LOSSES, smooth)
    live(parts, LOSSES[:cut], smooth)
    found = live(parts, LOSSES[cut:], smooth, resume="must")
    assert found.best_model_score == expected.best_model_score
    assert manifests(parts) == manifests(whole)


def test_the_manifest_has_the_value_and_the_smoothed_one(tmp_path):
    checkpointer = live(tmp_path, LOSSES, 0.9)
    [*_, (epoch, metrics, scores)] = manifests(tmp_path)
    assert epoch == len(LOSSES)
    assert metrics == {"loss": LOSSES[-1]}
    assert scores["loss smoothed by 0.9"] == pytest.approx(curve(LOSSES, 0.9)[-1])
    newest = json.loads(
        (tmp_path / "last" / "manifest.json").read_text(encoding="utf-8")
    )
    assert newest["extra"]["raw_scores"] == {"loss smoothed by 0.9": LOSSES[-1]}
    assert checkpointer.best_model_score == pytest.approx(min(curve(LOSSES, 0.9)))


def test_the_value_of_a_function_is_kept_beside_the_smoothed_one(tmp_path):
    def half(logs):
        return logs["loss"] / 2

    slot = mb.Best(mb.Monitor(half, "min", smooth=0.5))
    with mb.Checkpointer(tmp_path, keep=[slot, mb.Last()]) as checkpointer:
        for loss in (4.0, 2.0):
            checkpointer.step({"w": np.zeros(2)}, {"loss": loss})
    newest = json.loads((tmp_path / "last" / "manifest.json").read_text())
    assert newest["extra"]["raw_scores"] == {"half smoothed by 0.5": 1.0}
    assert newest["extra"]["scores"]["half smoothed by 0.5"] == pytest.approx(4 / 3)


def test_a_new_run_begins_a_new_curve(tmp_path):
    live(tmp_path / "a", LOSSES, 0.9)
    slot = mb.Best(mb.Monitor("loss", "min", smooth=0.9))
    checkpointer = mb.Checkpointer(tmp_path / "b", keep=[slot])
    for _ in range(2):
        with checkpointer:
            checkpointer.start()
            for loss in (0.8, 0.4):
                checkpointer.step({"w": np.zeros(2)}, {"loss": loss})
        assert checkpointer.best_model_score == pytest.approx(curve([0.8, 0.4], 0.9)[1])


def test_fit_resumes_the_curve(tmp_path):
    x = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")

    def train(path, epochs, resume="never"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        slot = mb.Best(mb.Monitor("loss", smooth=0.9), k=-1)
        checkpoint = mb.ModelCheckpoint(path, keep=[slot], resume=resume)
        model.fit(x, x[:, 0], epochs=epochs, verbose=0, callbacks=[checkpoint])

    train(tmp_path / "whole", 4)
    train(tmp_path / "parts", 2)
    train(tmp_path / "parts", 4, "must")
    whole, parts = (manifests(tmp_path / name) for name in ("whole", "parts"))
    assert len(parts) == 4
    for (_, _, expected), (_, _, found) in zip(whole, parts, strict=True):
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_report_decides_by_the_curve(tmp_path):
    live(tmp_path, [1.0, 0.5, 0.8], "median3")
    story = read_story(tmp_path)
    assert [one.score for one in story.decisions] == [1.0, 0.75, 0.8]
    assert [one.outcome for one in story.decisions] == ["first", "better", "worse"]
