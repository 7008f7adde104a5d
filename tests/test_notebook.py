"""In a notebook objects have an HTML view, and cells behave as a reader expects."""

import html
import json

import keras
import nbclient
import nbformat
import numpy as np
import pytest
from support.told_runs import commit, make_run

import multiback as mb
from multiback.adapters.torchmetrics import audit, crosscheck
from multiback.store import RunDirectory

HOSTILE = "<script>alert(1)</script>"

TRAIN = """
import keras, numpy as np, multiback as mb
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=[mb.metrics.F1Score()])
class Stop(keras.callbacks.Callback):  # As the button that interrupts a cell.
    at = None
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            raise KeyboardInterrupt
stop = Stop()
"""
FIT = """
ckpt = mb.ModelCheckpoint("run", monitor="f1_score", resume="auto")
with ckpt:
    history = model.fit(x, y, epochs=4, verbose=0, callbacks=[ckpt, stop])
"""
CELLS = [
    TRAIN,
    f"stop.at = 2\n{FIT}",
    f"stop.at = None\n{FIT}",
    f"{FIT}\nprint(history.epoch, len(mb.history('run')))",
    "ckpt",
    "mb.history('run')",
    "ckpt.wait()",
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Run a notebook whose second cell is interrupted; return its cells."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS]
    )
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()["cells"]


def shown(cell):
    (output,) = [one for one in cell["outputs"] if one["output_type"] != "stream"]
    return output["data"]["text/html"]


def test_an_interrupted_cell_says_what_was_saved_and_how_to_continue(cells):
    output = json.dumps(cells[1]["outputs"])
    assert "KeyboardInterrupt" in output
    assert "resume=" in output


def test_a_cell_that_is_run_again_continues_and_then_has_nothing_left_to_do(cells):
    for cell in (cells[2], cells[3]):
        assert [one for one in cell["outputs"] if one["output_type"] == "error"] == []
    said = "".join(one["text"] for one in cells[3]["outputs"])
    assert "Nothing is left to train" in said
    assert "[0, 1, 2, 3] 4" in said


def test_the_last_line_of_a_cell_is_shown_as_a_table(cells):
    callback, history, checkpoint = map(shown, cells[4:])
    assert "<strong>ModelCheckpoint</strong>" in callback
    assert "f1_score" in callback
    assert "<td>best</td>" in callback
    assert history.count("<tr>") == 5
    assert "<strong>Checkpoint epoch=" in checkpoint


def test_hostile_names_stay_text(tmp_path):
    run = make_run(tmp_path, [0.5, 0.9], kept=(1,), name=HOSTILE, run_id="a")
    saved = commit(RunDirectory(run), 2, 0.9, run_id="a", name=HOSTILE)
    ckpt = mb.ModelCheckpoint(tmp_path, monitor=mb.Monitor(HOSTILE, mode="max"))
    metric = mb.metrics.F1Score(name=HOSTILE)
    report = crosscheck(metric, (np.array([0, 1]), np.array([0.2, 0.8])))
    for one in (saved, ckpt, mb.history(run), report):
        page = one._repr_html_()
        assert html.escape(HOSTILE) in page
        assert "<script" not in page


def test_an_audit_is_shown_as_text_in_columns():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[keras.metrics.BinaryAccuracy()])
    x = np.linspace(-1, 1, 40, dtype="float32")[:, None]
    found = audit(model, (x, (x > 0).astype("int32")))
    assert found._repr_html_() == f"<pre>{html.escape(str(found))}</pre>"
