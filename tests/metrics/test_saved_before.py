"""What commit 96c97ca saved still loads: `model.keras`, and a run with a checkpoint.

It was saved in the middle of an epoch, with a group, and with states of another layout.
"""

import json
import pathlib
import re
import shutil
import zipfile

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from support.backends import READS_NEWER

import multiback as mb
from multiback.metrics.statistics.statistic import STATE_VERSION
from multiback.state import restore, snapshot

SAVED = pathlib.Path(__file__).parent / "saved_by_96c97ca"
X = np.linspace(-1, 1, 32).reshape(16, 2).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def model():
    m = mb.metrics
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    metrics = [
        *m.group(m.Precision(), m.Recall()),
        m.AUROC(num_bins=64),
        m.LogLoss(),
        m.R2Score(),
        m.MeanSquaredError(),
        keras.metrics.BinaryAccuracy(),
    ]
    made.compile("sgd", "binary_crossentropy", metrics=metrics)
    return made


def saved_model(folder):
    """Return the saved model; for an older Keras, without arguments that it lacks."""
    if READS_NEWER:
        return SAVED / "model.keras"
    path = folder / "model.keras"
    with (
        zipfile.ZipFile(SAVED / "model.keras") as saved,
        zipfile.ZipFile(path, "w") as older,
    ):
        for name in saved.namelist():
            data = saved.read(name)
            if name == "config.json":
                data = data.replace(b', "input_axes": null, "output_axes": null', b"")
            older.writestr(name, data)
    return path


def test_a_saved_model_loads_and_evaluates_as_a_new_one_does(tmp_path):
    loaded = keras.saving.load_model(saved_model(tmp_path))
    new = model()
    new.set_weights(loaded.get_weights())
    logs, expected = (
        each.evaluate(X, Y, verbose=0, return_dict=True) for each in (loaded, new)
    )
    assert logs == pytest.approx(expected)
    assert {"precision", "recall", "auroc", "log_loss"} <= set(logs)


def test_a_state_of_another_layout_resets_its_metric_and_says_so_once(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(SAVED / "run", run)
    made = model()
    made.evaluate(X, Y, verbose=0)  # Keras builds metrics on the first batch.
    (where,) = (run / "checkpoints").iterdir()
    index = json.loads((where / "variables.json").read_text())
    report = restore(made, load_file(where / "state.safetensors"), index)
    (note,) = report.notes
    assert "precision, auroc, log_loss, r2_score, mean_squared_error was saved" in note
    states = {v.path: v.numpy() for v in made.metrics_variables}
    for path, state in states.items():
        if ("loss/" in path and "log_loss" not in path) or "accuracy" in path:
            assert state.any(), path  # Keras's own layout is what it was.
        else:
            assert not state.any(), path


def test_a_ranking_that_was_saved_in_the_bins_of_version_2_is_reset_and_says_so():
    def build(version):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
        made.compile("sgd", "mse", metrics=[mb.metrics.AUROC(), mb.metrics.F1Score()])
        made.evaluate(X, Y, verbose=0)
        taken = snapshot(made)
        arrays, index = taken.arrays, [dict(one) for one in taken.index]
        for entry in index:
            entry["path"] = re.sub(r"_v\d+$", f"_v{version}", entry["path"])
        return made, arrays, index

    made, _, _ = build(STATE_VERSION)
    for version in (STATE_VERSION, 2):
        _, arrays, index = build(version)
        report = restore(made, arrays, index)
        assert len(report.notes) == (version == 2)
        auroc = {v.path: v.numpy() for v in made.metrics_variables if "auroc" in v.path}
        counted = any(state.any() for state in auroc.values())
        assert counted == (version != 2)
    assert "auroc" in report.notes[0]
    assert "starts from zero" in report.notes[0]
