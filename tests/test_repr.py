"""What an object says of itself in a notebook or a log."""

import copy
import pickle

import numpy as np
import pytest

import multiback as mb
from multiback.store import Request, RunDirectory

METRICS = {
    "F1Score()": mb.metrics.F1Score,
    "F1Score(name='f1', task='multiclass', num_classes=3)": lambda: mb.metrics.F1Score(
        task="multiclass", num_classes=3, name="f1"
    ),
    "MeanSquaredError()": mb.metrics.MeanSquaredError,
}


@pytest.mark.parametrize("text", METRICS)
def test_a_metric_shows_what_was_given(text):
    shown = repr(METRICS[text]())
    assert shown.startswith(text.partition("(")[0] + "(")
    for argument in text.partition("(")[2].rstrip(")").split(", "):
        assert argument in shown
    assert "zero_division" not in shown
    assert "object at" not in shown


SLOTS = {
    "Best('val_f1', 3)": lambda: mb.Best("val_f1", 3),
    "Best('val_f1', k=2)": lambda: mb.Best("val_f1", k=2),
    "Last()": mb.Last,
    "Every(epochs=10)": lambda: mb.Every(epochs=10),
    "All()": mb.All,
    "Pareto('a', 'b', mode='max')": lambda: mb.Pareto("a", "b", mode="max"),
}


@pytest.mark.parametrize("text", SLOTS)
def test_a_slot_shows_how_it_was_written(text):
    slot = SLOTS[text]()
    assert repr(slot) == text
    assert repr(copy.deepcopy(slot)) == text
    assert repr(pickle.loads(pickle.dumps(slot))) == text  # noqa: S301 - our own


@pytest.mark.parametrize("cls", [mb.ModelCheckpoint, mb.Checkpointer])
def test_a_callback_shows_how_it_was_written(cls, tmp_path):
    made = cls(str(tmp_path), keep=[mb.Best("val_f1", 2, mode="max")], buffers=1)
    shown = "(keep=[Best('val_f1', 2, mode='max')], buffers=1)".lstrip("(")
    assert repr(made).startswith(cls.__name__ + "(")
    assert repr(made).endswith(shown)
    assert repr(copy.deepcopy(made)) == repr(made)


def test_a_checkpoint_shows_where_it_is_and_what_was_measured(tmp_path):
    metrics = {"loss": 0.25, "val_f1": 0.91}
    tensors = {"w": np.ones(2)}
    request = Request(
        "one", run_id="a", tensors=tensors, epoch=3, step=9, metrics=metrics
    )
    saved = RunDirectory(tmp_path).commit(request)
    assert repr(saved) == (
        f"Checkpoint({saved.location!r}, epoch=3, step=9, loss=0.25, val_f1=0.91)"
    )
