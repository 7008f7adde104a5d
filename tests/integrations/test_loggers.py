"""A run, logged to the real loggers and read back from what they wrote."""

import doctest
import importlib
import sys

import keras
import numpy as np
import pytest
from support.services import scalars, wandb_records, wandb_rows

import multiback as mb
from multiback.adapters.loggers import LogRun, log_run
from multiback.adapters.mlflow import MLflow
from multiback.adapters.tensorboard import TensorBoard
from multiback.adapters.wandb import WandB
from multiback.errors import (
    ArgumentError,
    MissingPackageError,
    NoCheckpointError,
)

SCORES = (0.5, 0.875, 0.75)


@pytest.fixture
def run(tmp_path):
    """Three epochs: the second is the best, the third the last."""
    with mb.Checkpointer(tmp_path / "run", "val_f1", mode="max") as checkpointer:
        for i, score in enumerate(SCORES):
            logs = {"val_f1": score, "loss": 1 - score}
            checkpointer.step({"w": np.full(3, i)}, logs, step=10 * (i + 1))
    return checkpointer


def test_tensorboard_reads_scores_decisions_and_the_best(run, tmp_path):
    log_run(run.dirpath, TensorBoard(tmp_path / "logs"))
    events = scalars(tmp_path / "logs" / run.run_id)
    assert [(e.step, e.value) for e in events.Scalars("val_f1")] == [
        (10, 0.5),
        (20, 0.875),
        (30, 0.75),
    ]
    assert [e.step for e in events.Scalars("checkpoint/saved")] == [20, 30]
    (best,) = events.Tensors("checkpoint/best")
    text = best.tensor_proto.string_val[0].decode()
    assert text == f"{run.best_model_path}: val_f1 = 0.875"


def test_a_callback_behind_ours_reports_each_epoch_of_fit(tmp_path):
    x = np.ones((8, 2), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    checkpoint = mb.ModelCheckpoint(tmp_path / "run", "val_loss", save_top_k=-1)
    board = TensorBoard(tmp_path / "logs")
    told = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            del epoch, logs
            board._events.flush()
            events = scalars(tmp_path / "logs" / checkpoint.run_id)
            told.append(len(events.Scalars("loss")))

    fitted = model.fit(
        x,
        x[:, :1],
        validation_data=(x, x[:, :1]),
        epochs=3,
        verbose=0,
        callbacks=[checkpoint, LogRun(checkpoint, board), Look()],
    )
    assert told == [1, 2, 3]
    events = scalars(tmp_path / "logs" / checkpoint.run_id)
    np.testing.assert_allclose(
        [e.value for e in events.Scalars("val_loss")],
        fitted.history["val_loss"],
        rtol=1e-6,
    )
    kept = [e.step for e in events.Scalars("checkpoint/saved")]
    assert kept == [1, 2, 3]
    assert checkpoint.best_model_path in str(events.Tensors("checkpoint/best"))


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of its dependencies.
def test_mlflow_holds_metrics_tags_and_the_best_checkpoint(run, tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    client.create_experiment("tumours", artifact_location=(tmp_path / "art").as_uri())
    logger = MLflow("tumours", uri)
    log_run(run.dirpath, logger)
    kept = client.get_run(logger.run_id)
    assert (kept.info.run_name, kept.info.status) == (run.run_id, "FINISHED")
    rows = client.get_metric_history(logger.run_id, "val_f1")
    assert [(row.step, row.value) for row in rows] == [
        (10, 0.5),
        (20, 0.875),
        (30, 0.75),
    ]
    assert kept.data.metrics["best/val_f1"] == 0.875
    assert kept.data.tags["multiback.kept"] == "2, 3"
    assert kept.data.tags["multiback.best"] == run.best_model_path
    got = client.download_artifacts(logger.run_id, "best", str(tmp_path))
    np.testing.assert_array_equal(mb.load_best(got)["w"], [1, 1, 1])


@pytest.mark.filterwarnings("ignore")  # wandb's own, of its dependencies.
def test_wandb_holds_history_summary_and_the_best_checkpoint_offline(
    run, tmp_path, monkeypatch
):
    for name in (
        "WANDB_DATA_DIR",
        "WANDB_CACHE_DIR",
        "WANDB_CONFIG_DIR",
        "WANDB_ARTIFACT_DIR",
    ):
        monkeypatch.setenv(name, str(tmp_path / name))
    log_run(run.dirpath, WandB("tumours", mode="offline", dir=tmp_path))
    import wandb

    wandb.teardown()  # Its process writes a file's last block as it ends.
    (file,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    records = list(wandb_records(file.read_bytes()))
    rows = wandb_rows(records)
    assert [(row["step"], row["val_f1"]) for row in rows] == [
        ("10", "0.5"),
        ("20", "0.875"),
        ("30", "0.75"),
    ]
    text = " ".join(map(str, records))
    assert run.best_model_path in text
    assert f"best-{run.run_id}" in text
    assert "manifest.json" in text
    assert 'value_json: "[2,3]"' in text


def test_a_run_that_was_judged_by_nothing_has_no_best(tmp_path):
    with mb.Checkpointer(tmp_path / "run") as checkpointer:
        checkpointer.step({"w": np.ones(1)}, {"loss": 0.5})
    log_run(tmp_path / "run", TensorBoard(tmp_path / "logs"))
    events = scalars(tmp_path / "logs" / checkpointer.run_id)
    assert [e.step for e in events.Scalars("checkpoint/saved")] == [1]
    assert events.Tags()["tensors"] == []


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(NoCheckpointError, match="no measurement"):
        log_run(tmp_path)


@pytest.mark.parametrize(
    ("make", "library"),
    [
        (lambda: TensorBoard("logs"), "tensorboard"),
        (MLflow, "mlflow"),
        (lambda: WandB("tumours"), "wandb"),
    ],
)
def test_without_the_library_the_error_holds_the_line_to_type(
    monkeypatch, make, library
):
    for name in list(sys.modules):
        if name.partition(".")[0] == library:
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingPackageError) as caught:
        make()
    assert f'pip install "multiback[{library}]"' in str(caught.value).splitlines()


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of its dependencies.
@pytest.mark.parametrize("name", ["loggers", "mlflow", "tensorboard", "wandb"])
def test_the_examples_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(f"multiback.adapters.{name}"))
    assert (result.failed, result.attempted > 3) == (0, True)


class Lines:
    """A logger that notes the runs."""

    def __init__(self):
        self.runs = []

    def begin(self, run_id):
        self.runs.append(run_id)

    def measured(self, metrics, *, epoch, step, time):
        del metrics, epoch, step, time

    saved = chosen = lambda *_: None

    def finish(self):
        pass


def test_a_callback_in_front_of_ours_is_an_error(tmp_path):
    """It would follow the run before."""
    x = np.ones((8, 2), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    checkpoint, lines = mb.ModelCheckpoint(tmp_path / "run", "loss"), Lines()
    for _ in range(2):
        log = LogRun(checkpoint, lines)
        for wrong in ([log, checkpoint], [log]):
            with pytest.raises(ArgumentError, match="Put the ModelCheckpoint before"):
                model.fit(x, x[:, :1], verbose=0, callbacks=wrong)
        model.fit(x, x[:, :1], verbose=0, callbacks=[checkpoint, log])
        assert lines.runs.pop() == checkpoint.run_id
    assert lines.runs == []


@pytest.mark.filterwarnings("ignore")  # MLflow's own, of its dependencies.
def test_names_that_mlflow_refuses_do_not_end_a_training(tmp_path):
    import mlflow

    names = ["f1@0.5", "a//b", "../c", "d=1,e", "g/h", "i" * 300]
    with mb.Checkpointer(tmp_path / "run", "f1@0.5", mode="max") as checkpointer:
        checkpointer.step({"w": np.ones(1)}, dict.fromkeys(names, 0.5))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    logger = MLflow("names", uri, artifact=False)
    log_run(checkpointer.dirpath, logger)
    kept = mlflow.MlflowClient(uri).get_run(logger.run_id).data.metrics
    wanted = {"f1_0.5", "a/_/b", "__/c", "d_1_e", "g/h", "i" * 250, "best/f1_0.5"}
    assert wanted <= set(kept)
