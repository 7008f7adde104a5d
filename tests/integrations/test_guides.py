"""The guides to other tools run as they stand, with the real thing."""

import subprocess
import sys

import numpy as np
import pytest
from support.pages import GUIDES, blocks, run_page
from support.services import scalars, wandb_records, wandb_rows

import multiback as mb

PROCESSES = GUIDES / "several_processes.md"
# These packages cause warnings about what they import.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def logged(run="runs/tumour", name="val_f1_score"):
    """Return the metric of each epoch, and the best, as the run itself has them."""
    values = [row[name] for row in mb.history(run)]
    return values, max(values)


def test_the_best_of_three_trials_of_kerastuner_is_loaded(tmp_path, call):
    names = run_page(GUIDES / "kerastuner.md", call=call)
    trials = names["tuner"].oracle.get_best_trials(3)
    assert len(trials) == 3
    assert names["score"] == pytest.approx(trials[0].score, abs=1e-6)
    best = names["tuner"].get_best_hyperparameters()[0]
    assert names["best"].layers[0].units == best["units"]
    assert len(list((tmp_path / "runs/search").glob("checkpoints/*"))) >= 3


def test_tensorboard_has_the_metrics_and_what_was_kept(tmp_path, call):
    names = run_page(GUIDES / "tensorboard.md", call=call)
    values, best = logged()
    for folder in ("logs", "later"):
        events = scalars(tmp_path / folder / names["ckpt"].run_id)
        found = [event.value for event in events.Scalars("val_f1_score")]
        np.testing.assert_allclose(found, values, rtol=1e-6)
        kept = events.Scalars("checkpoint/saved")
        assert kept
        (text,) = events.Tensors("checkpoint/best")
        assert names["ckpt"].best_model_path in str(text)
    assert names["ckpt"].best_model_score == pytest.approx(best)


def test_mlflow_has_the_metrics_and_returns_the_best_model(call):
    names = run_page(GUIDES / "mlflow.md", call=call)
    values, best = logged()
    run_id = names["logger"].run_id
    rows = names["client"].get_metric_history(run_id, "val_f1_score")
    np.testing.assert_allclose([row.value for row in rows], values, rtol=1e-6)
    kept = names["client"].get_run(run_id).data
    assert kept.metrics["best/val_f1_score"] == pytest.approx(best)
    assert kept.tags["multiback.best"] == names["ckpt"].best_model_path
    again = names["best"].evaluate(
        names["x"][100:], names["y"][100:], verbose=0, return_dict=True
    )
    assert again["f1_score"] == pytest.approx(best, abs=1e-6)


def test_wandb_has_the_metrics_and_the_best_model_offline(tmp_path, monkeypatch, call):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("DATA", "CACHE", "CONFIG", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    names = run_page(GUIDES / "wandb.md", call=call)
    (architecture,) = (tmp_path / "runs/tumour").glob("arch-*.json")
    wandb.teardown()  # Its process writes a file's last block as it ends.
    values, _ = logged()
    files = sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2  # During `fit`, and afterwards.
    for file, has_model in zip(files, (True, False), strict=True):
        records = list(wandb_records(file.read_bytes()))
        found = [float(row["val_f1_score"]) for row in wandb_rows(records)]
        np.testing.assert_allclose(found, values, rtol=1e-6)
        text = " ".join(map(str, records))
        assert names["ckpt"].best_model_path in text
        assert ("/manifest.json" in text) == has_model
        assert (architecture.name in text) == has_model


def test_a_lightning_trainer_resumes_and_its_best_weights_come_back(call):
    names = run_page(GUIDES / "lightning.md", call=call)
    values, best = logged("runs/lightning", "val_f1")
    assert len(values) == 4
    logits = names["best"].net(names["x"][100:])
    names["best"].f1.reset()
    again = names["best"].f1(logits, names["y"][100:])
    assert float(again) == pytest.approx(best, abs=1e-6)


def test_two_processes_train_and_write_one_run(tmp_path):
    script = next(code for kind, code in blocks(PROCESSES) if kind == "python")
    (tmp_path / "train.py").write_text(script)
    launch = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    subprocess.run([*launch, "--standalone", "train.py"], check=True, timeout=300)
    assert len(mb.history("runs/ddp")) == 3
    (one, *_) = (tmp_path / "runs/ddp/checkpoints").iterdir()
    assert (one / "dcp").is_dir()
    assert len(mb.load_best("runs/ddp").get_weights()) == 2
