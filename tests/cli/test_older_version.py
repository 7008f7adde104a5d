"""What commit 96c97ca wrote still works: its run, its names, its command line.

`saved_by_96c97ca` has a run of three epochs that it wrote under torch, and the public
names and options of that commit. Its models with metrics are in `tests/metrics`.
"""

import importlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import typer.main
from support.backends import of_newer_keras

import multiback as mb
from multiback.cli.app import app

SAVED = Path(__file__).parent / "saved_by_96c97ca"
NAMES = json.loads((SAVED / "names.json").read_text("utf-8"))
COMMANDS = NAMES.pop("command line")
X = np.linspace(-1, 1, 32).reshape(16, 2).astype("float32")
Y = (X[:, :1] > 0.1).astype("float32")


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(SAVED / "run", tmp_path / "run", symlinks=True)


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_is_still_there(module):
    if module.endswith(".lightning"):
        pytest.importorskip("lightning", reason="the session `adapters` has it")
    found = importlib.import_module(module)
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []


def test_every_command_still_has_its_arguments_and_options():
    commands = typer.main.get_command(app).commands
    for name, wanted in COMMANDS.items():
        options = {" ".join(each.opts) for each in commands[name].params}
        assert set(wanted) <= options, name


@of_newer_keras
def test_the_command_line_reads_the_run(call, run, tmp_path):
    listed = call("ls", run, "--json").json
    assert [one["epoch"] for one in listed["checkpoints"]] == [1, 3]
    best = call("best", run)
    assert best.out.strip().endswith("epoch=001-step=4-val_f1_score=1.0000")
    assert call("show", run / "best", "--json").json["metrics"]["val_f1_score"] == 1.0
    assert call("verify", run).code == 0
    assert call("diff", run / "best", run / "last").code == 0
    assert [row["epoch"] for row in call("history", run, "--json").json] == [1, 2, 3]
    assert call("export", run / "best", tmp_path / "out.keras").code == 0
    assert call("prune", run, "--keep", "Last(1)", "--dry-run").code == 0
    assert call("report", run, "-o", tmp_path / "report.html").code == 0


@of_newer_keras
def test_its_best_model_loads_and_scores_what_it_recorded(run):
    model = mb.load_best(run)
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    recorded = mb.history(run)[0]
    assert logs["f1_score"] == recorded["val_f1_score"] == 1.0
    assert logs["loss"] == pytest.approx(recorded["val_loss"], rel=1e-6)


@of_newer_keras
def test_the_run_is_resumed_to_the_same_end_as_one_that_was_never_stopped(run, capsys):
    def model():
        keras.utils.set_random_seed(1)
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
        metrics = [mb.metrics.F1Score()]
        made.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", metrics=metrics)
        return made

    resumed = model()
    last = mb.load(run / "last").get_weights()
    checkpoint = mb.ModelCheckpoint(
        run, monitor="val_f1_score", resume="must", verbose=1
    )
    history = resumed.fit(
        *(X, Y),
        batch_size=16,
        epochs=4,
        validation_data=(X, Y),
        callbacks=[checkpoint],
        verbose=0,
    )
    assert history.epoch == [0, 1, 2, 3]  # With the epochs before the stop.
    assert (
        "Epoch 4: val_f1_score did not improve from 1; saved" in capsys.readouterr()[0]
    )
    expected = model()
    expected.set_weights(last)
    expected.fit(X, Y, batch_size=16, epochs=1, verbose=0)
    for ours, right in zip(resumed.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-6)
    assert [one["epoch"] for one in mb.history(run)] == [1, 2, 3, 4]
