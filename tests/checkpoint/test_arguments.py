"""Arguments that concern each other: one counts, or both together are an error."""

import inspect

import keras
import pytest
from support.fitting.problem import Says, fit, model

import multiback as mb
from multiback.errors import ArgumentError
from multiback.store import RunDirectory

# By its name alone it would be a loss, and less would be better.
GAIN = mb.Monitor("gain_loss", early=False)


def test_mode_counts_for_a_monitor_without_one(tmp_path):
    callback = mb.ModelCheckpoint(tmp_path, GAIN, mode="max", save_last=False)
    fit(model(), Says(gain_loss=[0.1, 0.9, 0.2]), callback)
    assert callback.best_model_score == 0.9
    assert [one.epoch for one in RunDirectory(tmp_path).checkpoints()] == [2]


def test_mode_counts_for_a_monitor_of_a_slot_without_one():
    assert mb.Best(GAIN, mode="max").monitor.mode == "max"
    assert mb.Best(mb.Monitor("f1", "max"), mode="max").monitor.mode == "max"
    front = mb.Pareto(mb.Monitor("p", "max"), mb.Monitor("q"), "r", mode="min")
    assert [one.mode for one in front.monitors] == ["max", "min", "min"]


FLAGS = [
    (call, name)
    for call in (
        mb.ModelCheckpoint,
        mb.Checkpointer,
        mb.load,
        mb.load_best,
        mb.load_last,
        mb.restore,
    )
    for name, one in inspect.signature(call).parameters.items()
    if isinstance(one.default, bool) or name == "save_last"
]


@pytest.mark.parametrize("wrong", ["no", 0])
@pytest.mark.parametrize(("call", "name"), FLAGS)
def test_a_flag_is_true_or_false(call, name, wrong, tmp_path):
    arguments = (model(), tmp_path) if call is mb.restore else (tmp_path,)
    with pytest.raises(ArgumentError, match=f"{name}= wants True or False"):
        call(*arguments, **{name: wrong})


@pytest.mark.parametrize(
    "make",
    [
        lambda path: mb.ModelCheckpoint(path, mb.Monitor("f1", "min"), mode="max"),
        lambda path: mb.Checkpointer(path, mb.Monitor("f1", "min"), mode="max"),
        lambda _: mb.Best(mb.Monitor("f1", "min"), mode="max"),
        lambda path: mb.load_best(path, mb.Monitor("gain_loss", "min"), mode="max"),
    ],
)
def test_mode_against_the_monitors_own_is_an_error(tmp_path, make):
    mb.Checkpointer(tmp_path, GAIN).step({"w": 1.0}, {"gain_loss": 1.0})
    with pytest.raises(ArgumentError, match=r"mode='max'.* has mode='min'.*Leave one"):
        make(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"keep": [mb.Best(GAIN)], "mode": "max"}, r"Best\(\.\.\., mode='max'\)"),
        ({"keep": [mb.Best("val_loss")], "mode": "max"}, r"Best\(\.\.\., mode='max'\)"),
        (
            {"keep": [mb.Best(GAIN)], "monitor": GAIN, "mode": "max"},
            r"Best\(\.\.\., mode='max'\)",
        ),
        ({"keep": [mb.Last()], "mode": "max"}, r"Best\(\.\.\., mode='max'\)"),
        ({"mode": "max"}, r"mode='max' wants a monitor="),
        ({"keep": [mb.Best(GAIN)], "save_last": True}, r"Add Last\(1\)"),
        ({"keep": [mb.Last(2)], "save_last": False}, "Take Last out"),
        ({"keep": [mb.Best(GAIN)], "save_top_k": 3}, "takes the place"),
        ({"restore_best": True}, "restore_best=True wants"),
    ],
)
def test_arguments_that_cannot_both_count_are_an_error(tmp_path, arguments, text):
    with pytest.raises(ArgumentError, match=text):
        mb.ModelCheckpoint(tmp_path, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"keep": [mb.Best(GAIN)], "save_last": False},
        {"keep": [mb.Best(GAIN), mb.Last()], "save_last": True},
        {"keep": [mb.All()], "save_last": True},
        {"keep": [mb.Last()], "monitor": GAIN, "mode": "max"},
        {"keep": [mb.Best("f1", mode="max")], "monitor": "g", "mode": "min"},
    ],
)
def test_arguments_that_agree_are_taken(tmp_path, arguments):
    mb.ModelCheckpoint(tmp_path, **arguments)
    mb.Checkpointer(tmp_path, **arguments)


@pytest.mark.parametrize("callbacks", [keras.callbacks.EarlyStopping(), None, "all"])
def test_callbacks_without_a_list_are_an_error(tmp_path, callbacks):
    with pytest.raises(ArgumentError, match="callbacks= wants a list of callbacks"):
        mb.ModelCheckpoint(tmp_path, callbacks=callbacks)
