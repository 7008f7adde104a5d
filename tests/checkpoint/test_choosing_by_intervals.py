"""Intervals of the monitored metric: from `fit` to the manifest and the commands."""

import json

import keras
import numpy as np
import pytest

import multiback as mb
from multiback.metrics.intervals.interval import Interval

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
Y = (X[:, 0] + RNG.normal(size=200) > 0).astype("float32")


def model(*metrics, **arguments):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    made.compile("adam", "binary_crossentropy", metrics=list(metrics), **arguments)
    return made


def fitted(tmp_path, metrics, epochs=4, **arguments):
    keras.utils.set_random_seed(0)
    checkpoint = mb.ModelCheckpoint(tmp_path, **arguments)
    trained = model(*metrics)
    trained.fit(
        *(X, Y),
        epochs=epochs,
        verbose=0,
        validation_data=(X, Y),
        callbacks=[checkpoint],
    )
    return trained, checkpoint


def manifest(path):
    return json.loads((path / "manifest.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    best = mb.Best("val_f1_score", within="1se", then=["val_loss"])
    metrics = mb.metrics.group(mb.metrics.Precision(), mb.metrics.F1Score())
    trained, checkpoint = fitted(path, metrics, keep=[best, mb.Best("val_precision")])
    return path, trained, checkpoint


def test_the_manifest_has_the_interval_of_the_monitored_metric(run):
    path, _, _ = run
    loaded = mb.load_last(path)
    metric = mb.metrics.F1Score()
    metric.update_state(Y, keras.ops.convert_to_numpy(loaded(X))[:, 0])
    found = metric.interval()
    newest = max((path / "checkpoints").iterdir())
    extra = manifest(newest)["extra"]
    kept = extra["intervals"]["val_f1_score"]
    assert kept["lower"] == pytest.approx(found.lower, abs=1e-6)
    assert kept["standard_error"] == pytest.approx(found.standard_error, abs=1e-6)
    assert extra["within"] == 1.0
    assert "val_precision" in extra["intervals"]


def test_the_best_is_what_the_second_rule_prefers(run):
    path, _, checkpoint = run
    rows = mb.history(path)
    scores = [row["val_f1_score"] for row in rows]
    losses = [row["val_loss"] for row in rows]
    best = manifest(path / "best")
    error = 0.03  # Of 200 rows.
    assert best["metrics"]["val_f1_score"] >= max(scores) - error
    assert best["metrics"]["val_loss"] == pytest.approx(min(losses))
    assert checkpoint.best_model_path.endswith((path / "best").resolve().name)
    assert mb.load_best(path).get_weights()[0] == pytest.approx(
        mb.load(path / "best").get_weights()[0]
    )


def test_the_commands_show_intervals_and_what_cannot_be_told_apart(run, call):
    path, _, _ = run
    assert " ± .0" in call("ls", path).out
    found = call("best", path, "--json").json
    assert found["name"] == (path / "best").resolve().name
    others = {one.name for one in (path / "checkpoints").iterdir()} - {found["name"]}
    assert set(found["cannot_be_told_apart"]) <= others
    said = call("best", path)
    assert said.out.strip() == found["path"]
    assert ("cannot be told apart" in said.err) == bool(found["cannot_be_told_apart"])
    assert "95% interval" in call("show", path / "best").out


def test_a_metric_without_an_interval_is_refused_by_name(tmp_path):
    best = mb.Best("val_loss", within="1se")
    with pytest.raises(mb.errors.MonitorError, match=r"within= wants .*val_loss"):
        fitted(tmp_path, [], keep=[best])


def test_a_loop_gives_its_intervals(tmp_path):
    trained = model()
    best = mb.Best("f1", within="1se", mode="max")
    with mb.Checkpointer(tmp_path, keep=[best]) as checkpointer:
        for score in (0.90, 0.91, 0.95):
            found = Interval(score, score - 0.04, score + 0.04, 0.02, 0.95, "Wilson")
            checkpointer.step(trained, {"f1": score}, intervals={"f1": found})
    assert checkpointer.best_model_score == 0.95
    with (
        pytest.raises(mb.errors.MonitorError, match="intervals="),
        mb.Checkpointer(tmp_path, keep=[best]) as checkpointer,
    ):
        checkpointer.step(trained, {"f1": 0.9})


def test_a_resumed_run_prefers_the_same(tmp_path):
    trained = model()
    best = mb.Best("f1", within="1se", mode="max")

    def live(scores, **arguments):
        with mb.Checkpointer(tmp_path, keep=[best], **arguments) as checkpointer:
            if arguments:
                checkpointer.resume(trained)
            for score in scores:
                found = Interval(score, score - 0.04, score + 0.04, 0.02, 0.95, "-")
                checkpointer.step(trained, {"f1": score}, intervals={"f1": found})
        return checkpointer.best_model_score

    assert live([0.90, 0.91]) == 0.90
    assert live([0.915], resume="must") == 0.90
    assert live([0.925], resume="must") == 0.91


@pytest.mark.parametrize(
    "metric", [mb.metrics.AveragePrecision, keras.metrics.AUC, keras.metrics.Recall]
)
@pytest.mark.parametrize("data", [{"validation_data": (X, Y)}, {}])
def test_a_metric_without_an_interval_is_refused_before_the_first_batch(
    tmp_path, metric, data
):
    trained = model(metric(name="m"))
    seen = []
    counting = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append((batch, logs))
    )
    best = mb.Best("val_m" if data else "m", mode="max", within="1se")
    checkpoint = mb.ModelCheckpoint(tmp_path, keep=[best])
    with pytest.raises(mb.errors.MonitorError, match="within= wants a metric with an"):
        trained.fit(X, Y, verbose=0, callbacks=[checkpoint, counting], **data)
    # TensorFlow builds its metrics in the first batch.
    assert len(seen) <= (keras.backend.backend() == "tensorflow")


def test_a_bootstrap_gives_any_metric_an_interval_to_choose_by(tmp_path):
    metric = mb.metrics.AveragePrecision(
        name="ap", capacity=256, intervals={"replicates": 20}
    )
    best = mb.Best("val_ap", within="1se")
    fitted(tmp_path, [metric], epochs=2, keep=[best])
    newest = max((tmp_path / "checkpoints").iterdir())
    kept = manifest(newest)["extra"]["intervals"]["val_ap"]
    assert kept["lower"] < manifest(newest)["metrics"]["val_ap"] < kept["upper"]
