"""A Lightning trainer's run, logged to real loggers and read back from them."""

import csv
import logging

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import multiback as mb
from multiback.adapters.lightning import LogRun, ModelCheckpoint
from multiback.adapters.mlflow import MLflow
from multiback.adapters.tensorboard import TensorBoard
from multiback.adapters.wandb import WandB

# Lightning's own, MLflow's own and wandb's own, of their dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")
SCORES = (0.5, 0.875, 0.75)


class Module(pl.LightningModule):
    """A straight line, with scores that the test decides."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.line = torch.nn.Linear(3, 1)
        self.fail_at = fail_at

    def training_step(self, batch, index):
        del index
        if self.global_step == self.fail_at:
            raise RuntimeError("lightning struck")
        return self.line(batch[0]).square().mean()

    def validation_step(self, batch, index):
        del batch, index
        self.log("val_charm", SCORES[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def checkpoint(tmp_path):
    return ModelCheckpoint(tmp_path / "run", "val_charm", mode="max")


def fit(*callbacks, logger=False, fail_at=None):
    rows = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.ones(8, 3)), 4
    )
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=logger,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(fail_at), rows, rows)


def events(folder):
    found = EventAccumulator(str(folder), purge_orphaned_data=False)
    found.Reload()
    return found


def test_the_trainers_own_loggers_learn_what_was_kept_and_chosen(tmp_path, checkpoint):
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    client.create_experiment("charm", artifact_location=(tmp_path / "art").as_uri())
    own = [
        pl.loggers.TensorBoardLogger(tmp_path, "tb", ""),
        pl.loggers.CSVLogger(tmp_path, "csv", ""),
        pl.loggers.MLFlowLogger("charm", tracking_uri=uri),
    ]
    fit(LogRun(checkpoint), checkpoint, logger=own)
    found = events(tmp_path / "tb")
    assert [e.value for e in found.Scalars("val_charm")] == list(SCORES)  # Not twice.
    # A checkpoint that was kept for one epoch only was logged while it existed.
    kept = [(e.step, e.value) for e in found.Scalars("checkpoint/saved")]
    assert kept[-2:] == [(4, 2.0), (6, 3.0)]
    [best] = found.Scalars("best/val_charm")
    assert (best.step, best.value) == (4, 0.875)
    with (tmp_path / "csv" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["best/val_charm"]]
    assert [(row["step"], row["best/val_charm"]) for row in rows] == [("4", "0.875")]
    logged = client.get_run(own[2].run_id)
    assert logged.data.metrics["best/val_charm"] == 0.875
    assert logged.data.params["multiback/best"] == checkpoint.best_model_path
    assert logged.data.params["multiback/run"] == checkpoint.run_id


def test_our_loggers_receive_all_of_it(tmp_path, checkpoint, monkeypatch):
    import mlflow
    import wandb

    for name in ("DATA", "CACHE", "CONFIG", "ARTIFACT"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    client.create_experiment("charm", artifact_location=(tmp_path / "art").as_uri())
    told = MLflow("charm", uri)
    told_too = WandB("charm", mode="offline", dir=tmp_path)
    fit(checkpoint, LogRun(checkpoint, TensorBoard(tmp_path / "tb"), told, told_too))
    found = events(tmp_path / "tb" / checkpoint.run_id)
    rows = [(e.step, e.value) for e in found.Scalars("val_charm")]
    assert rows == [(2, 0.5), (4, 0.875), (6, 0.75)]
    assert checkpoint.best_model_path in str(found.Tensors("checkpoint/best"))
    logged = client.get_run(told.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["multiback.best"] == checkpoint.best_model_path
    got = client.download_artifacts(told.run_id, "best", str(tmp_path))
    saved = mb.load(checkpoint.best_model_path)["state_dict"]["line.weight"]
    np.testing.assert_array_equal(mb.load_best(got)["state_dict"]["line.weight"], saved)
    wandb.teardown()  # Its process writes a file's last block as it ends.
    [file] = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert f"best-{checkpoint.run_id}".encode() in file.read_bytes()
    assert checkpoint.best_model_path.encode() in file.read_bytes()


def test_an_error_ends_what_the_loggers_began(tmp_path, checkpoint):
    logger = TensorBoard(tmp_path / "tb")
    with pytest.raises(RuntimeError, match="lightning struck"):
        fit(checkpoint, LogRun(checkpoint, logger), fail_at=5)
    found = events(tmp_path / "tb" / checkpoint.run_id)
    assert [e.value for e in found.Scalars("val_charm")] == [0.5, 0.875]
    assert found.Tags()["tensors"] == ["checkpoint/best"]


def test_a_run_that_is_not_kept_logs_nothing(tmp_path, checkpoint, caplog):
    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 3)))
    with caplog.at_level(logging.ERROR):
        callbacks = [checkpoint, LogRun(checkpoint)]
        trainer = pl.Trainer(fast_dev_run=True, accelerator="cpu", callbacks=callbacks)
        trainer.fit(Module(), rows, rows)
    assert not (tmp_path / "run").exists()
