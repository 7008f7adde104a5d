"""A missing library gives one line that says how to install it."""

import subprocess
import sys

import keras

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck


def test_without_scikit_learn_its_column_is_empty_and_the_rest_runs(real, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    y_true, y_pred = real["binary"]
    metrics = [mb.metrics.Recall(), keras.metrics.AUC(name="auc")]
    report = crosscheck(metrics, (y_true, y_pred))
    assert [row.verdict for row in report] == ["agrees", "differs by convention"]
    assert all(row.sklearn is None for row in report)
    assert all(row.torchmetrics is not None for row in report)
    assert str(report).count('pip install "multiback[sklearn]"') == 1

    weighted = crosscheck(mb.metrics.Recall(), (y_true, y_pred, y_pred))
    assert weighted["recall"].verdict == "no equivalent"

    ignored = mb.metrics.Recall(
        "multiclass", average="macro", ignore_index=3, num_classes=10
    )
    (row,) = crosscheck(ignored, real["multiclass"], batch_size=400)
    assert row.verdict == "differs by convention"
    assert "not confirmed" in row.reason


def test_importing_the_adapter_does_not_load_torchmetrics():
    shown = "print('torchmetrics' in sys.modules)"
    code = f"import sys, multiback.adapters.torchmetrics; {shown}\n"
    code += f"import torchmetrics; {shown}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",  # The repository's own folder would hide what is installed.
    )
    # The second line shows that the first can fail.
    assert done.stdout.split() == ["False", "True"]
