"""A torchmetrics metric streams inside of Keras, is reset by it and saved with it."""

import threading
from typing import ClassVar

import keras
import numpy as np
import pytest
import torchmetrics
from sklearn.metrics import f1_score, roc_auc_score
from support.backends import BACKEND
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryF1Score,
    BinaryROC,
    BinaryStatScores,
    MulticlassAccuracy,
    MulticlassRecall,
)

import multiback as mb
from multiback.adapters.torchmetrics import as_keras
from multiback.errors import ArgumentError

BATCH = 25


class CountedF1Score(BinaryF1Score):
    """Counts how often it is used, over all copies."""

    updates = computes = 0

    def update(self, preds, target):
        """Add a batch."""
        CountedF1Score.updates += 1
        super().update(preds, target)

    def compute(self):
        """Compute."""
        CountedF1Score.computes += 1
        return super().compute()


class BatchLogs(keras.callbacks.Callback):
    """Keep what is logged after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        """Keep it."""
        self.seen.append({name: float(value) for name, value in logs.items()})


def f1(scores, labels):
    return f1_score(labels, scores[:, 0] > 0.5)


def test_batches_show_what_was_computed_last_and_an_epoch_ends_with_all_of_it(
    identity_model, scored
):
    x, y = scored
    metrics = [
        as_keras(BinaryF1Score(), "end"),
        as_keras(BinaryF1Score(), "every_other", compute_every=2),
        as_keras(BinaryF1Score(), "each", compute_every=1),
    ]
    batches = BatchLogs()
    history = (
        identity_model(metrics=metrics)
        .fit(
            x,
            y,
            batch_size=BATCH,
            epochs=2,
            shuffle=False,
            validation_data=(x[BATCH:], y[BATCH:]),
            callbacks=[batches],
            verbose=0,
        )
        .history
    )
    after = [f1(x[:end], y[:end]) for end in range(BATCH, 101, BATCH)]
    for epoch in (batches.seen[:4], batches.seen[4:]):
        assert np.isnan([logs["end"] for logs in epoch]).all()
        np.testing.assert_allclose([logs["each"] for logs in epoch], after, rtol=1e-6)
        np.testing.assert_allclose(
            [logs["every_other"] for logs in epoch],
            [np.nan, after[1], after[1], after[3]],
            rtol=1e-6,
        )
    for name in ("end", "every_other", "each"):
        np.testing.assert_allclose(history[name], [after[-1]] * 2, rtol=1e-6)
        right = f1(x[BATCH:], y[BATCH:])
        np.testing.assert_allclose(history[f"val_{name}"], [right] * 2, rtol=1e-6)


def test_made_up_data_does_not_count_and_an_epoch_computes_once(
    identity_model, scored, monkeypatch
):
    model = identity_model(metrics=[as_keras(CountedF1Score(), "f1")])
    x, y = scored
    # The build that tries made-up data, and the data that shows what it returns.
    model.evaluate(x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0)
    monkeypatch.setattr(CountedF1Score, "updates", 0)
    monkeypatch.setattr(CountedF1Score, "computes", 0)
    model.fit(
        x, y, batch_size=BATCH, epochs=3, validation_data=(x[:50], y[:50]), verbose=0
    )
    assert CountedF1Score.updates == 3 * (4 + 2)
    assert CountedF1Score.computes == 3 * 2


def test_the_first_epoch_of_all_is_right_after_the_build(identity_model, scored):
    x, y = scored
    model = identity_model(metrics=[as_keras(BinaryStatScores(), "counts")])
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    assert sum(history[f"counts_{i}"][0] for i in range(4)) == len(x)
    assert history["counts_4"] == [y.sum()]


def test_evaluating_in_the_middle_of_an_epoch_confuses_nothing(identity_model, scored):
    x, y = scored
    model = identity_model(metrics=[as_keras(BinaryF1Score(), "f1")])

    class Evaluate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
            if batch == 1:
                self.seen = self.model.evaluate(x[:50], y[:50], verbose=0)[1]

    callback = Evaluate()
    model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[callback])
    assert callback.seen == pytest.approx(f1(x[:50], y[:50]))


def test_a_result_of_several_numbers_has_a_name_for_each(identity_model, scored):
    x = np.tile(np.eye(3, dtype="float32"), (10, 1))
    y = np.tile([0, 1, 1], 10)
    metric = as_keras(MulticlassRecall(3, average=None), "recall")
    model = identity_model(
        3, "sparse_categorical_crossentropy", metrics=[metric], jit_compile=False
    )
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    del logs["loss"]
    assert logs == {"recall_0": 1.0, "recall_1": 0.5, "recall_2": 0.0}
    x, y = scored
    with pytest.raises(ArgumentError, match="thresholds="):
        identity_model(metrics=[as_keras(BinaryROC())]).evaluate(x, y, verbose=0)


def test_a_collection_is_several_metrics_that_stay_apart(identity_model):
    """Torchmetrics merges two whose values are equal after the first batch."""
    x = np.array([[0.9], [0.1], [0.55], [0.52]], "float32")
    y = np.array([1, 0, 1, 0])
    collection = torchmetrics.MetricCollection(
        {"at_half": BinaryAccuracy(), "at_more": BinaryAccuracy(threshold=0.6)}
    )
    metrics = as_keras(collection, "accuracy")
    assert [metric.name for metric in metrics] == [
        "accuracy_at_half",
        "accuracy_at_more",
    ]
    assert [metric.direction for metric in metrics] == ["max", "max"]
    logs = identity_model(metrics=metrics).evaluate(
        x, y, batch_size=2, verbose=0, return_dict=True
    )
    assert (logs["accuracy_at_half"], logs["accuracy_at_more"]) == (0.75, 0.75)
    assert [metric.name for metric in as_keras(collection)] == ["at_half", "at_more"]
    x[3] = 0.45
    logs = identity_model(metrics=as_keras(collection)).evaluate(
        x, y, batch_size=2, verbose=0, return_dict=True
    )
    assert (logs["at_half"], logs["at_more"]) == (1.0, 0.75)


def test_sample_weights_are_an_error_that_says_where_to_compile_it(
    identity_model, scored
):
    x, y = scored
    model = identity_model(weighted_metrics=[as_keras(BinaryF1Score(), "f1")])
    without = model.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
    assert without["f1"] == pytest.approx(f1(x, y))
    with pytest.raises(ArgumentError, match="not weighted_metrics="):
        model.evaluate(x, y, sample_weight=x[:, 0], verbose=0)


def test_a_model_is_saved_with_it_and_its_direction_chooses_the_best(
    identity_model, scored, tmp_path
):
    x, y = scored
    model = identity_model(
        metrics=[as_keras(BinaryAUROC(thresholds=200), "auroc", compute_every=3)]
    )
    checkpoint = mb.ModelCheckpoint(tmp_path / "run", monitor="val_auroc")
    model.fit(
        x,
        y,
        batch_size=BATCH,
        validation_data=(x, y),
        callbacks=[checkpoint],
        verbose=0,
    )
    right = roc_auc_score(y, np.floor(x[:, 0] * 199))
    assert checkpoint.best_model_score == pytest.approx(right, rel=1e-6)
    model.save(tmp_path / "whole.keras")
    for again in (
        mb.load_best(tmp_path / "run"),
        keras.saving.load_model(tmp_path / "whole.keras"),
    ):
        logs = again.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
        assert logs["auroc"] == pytest.approx(right, rel=1e-6)


def test_a_config_makes_the_same_metric_again():
    for theirs in (
        BinaryAUROC(thresholds=[0.1, 0.5], max_fpr=None),
        MulticlassAccuracy(5, top_k=2, average="micro", ignore_index=3),
        torchmetrics.ClasswiseWrapper(MulticlassRecall(3, average=None)),
        CountedF1Score(threshold=0.25, sync_on_compute=False),
    ):
        metric = as_keras(theirs, "name", compute_every=4)
        again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(metric),
            custom_objects={"CountedF1Score": CountedF1Score},
        )
        assert again.get_config() == metric.get_config()
        assert again.compute_every == 4
        assert type(again._metric) is type(theirs)


class _Forgetful(BinaryF1Score):
    def __init__(self, level):
        super().__init__(threshold=level)


@pytest.mark.parametrize(
    "metric", [_Forgetful(0.3), BinaryF1Score() + 1.0, BinaryF1Score().cpu() * 2]
)
def test_what_cannot_be_written_says_so_when_it_is_saved(metric):
    with pytest.raises(ArgumentError, match="cannot be written to a config"):
        as_keras(metric, "f1").get_config()


@pytest.mark.parametrize(
    "name", ["subprocess.Popen", "torchmetrics.MetricCollection", "builtins.print"]
)
def test_a_config_from_anybody_makes_nothing_but_metrics(name):
    config = as_keras(BinaryF1Score(), "f1").get_config()
    config["metric"] = {"class_name": name, "arguments": {}}
    with pytest.raises(
        ArgumentError, match=r"not a class of|not a torchmetrics\.Metric"
    ):
        type(as_keras(BinaryF1Score())).from_config(config)


def test_an_error_of_the_metric_stops_the_step_and_only_that(identity_model, scored):
    x, y = scored
    model = identity_model(metrics=[as_keras(BinaryF1Score(), "f1")])
    with pytest.raises(Exception, match=r"\[0, 2\]|holds 0\.5"):
        # Labels of 0 and 2; on JAX and TensorFlow in the words of the backend.
        model.evaluate(x, y * 2, batch_size=BATCH, verbose=0)
    again = identity_model(metrics=[as_keras(BinaryF1Score(), "f1")])
    logs = again.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
    assert logs["f1"] == pytest.approx(f1(x, y))


class LastBatches(BinaryF1Score):
    """Keeps how many rows each batch had."""

    seen: ClassVar[list[int]] = []

    def update(self, preds, target):
        """Add a batch."""
        LastBatches.seen.append(len(preds))
        super().update(preds, target)


def test_batches_that_wait_are_added_in_order_before_anybody_sees_the_state(
    identity_model, scored
):
    x, y = scored
    metric = as_keras(LastBatches(), "f1")
    model = identity_model(metrics=[metric])
    LastBatches.seen.clear()
    model.evaluate(x, y, batch_size=7, verbose=0)
    sizes = [7] * (len(x) // 7) + [len(x) % 7] * bool(len(x) % 7)
    assert LastBatches.seen[-len(sizes) :] == sizes
    assert float(metric.hosted.compute()) == pytest.approx(f1(x, y))


def test_an_error_in_a_batch_that_waited_names_the_batch_and_lasts_until_a_reset():
    metric = as_keras(BinaryF1Score(), "f1")
    tally = metric._tally  # Compiled steps of JAX and TensorFlow use it like this.
    ok = {"y_true": np.array([1, 0]), "y_pred": np.float32([0.9, 0.2])}
    wrong = {**ok, "y_true": np.array([2, 0])}
    for before in range(7):  # Of seven the last three wait.
        tally.update(before, may_wait=True, **(wrong if before == 5 else ok))
    with pytest.raises(ArgumentError, match=r"\[0, 2\]") as raised:
        tally.compute()
    first = raised.value
    assert "batch 6" in raised.value.__notes__[0]
    for ask in (tally.compute, lambda: tally.update(7, **ok)):
        with pytest.raises(ArgumentError, match="reset_state") as raised:
            ask()
        assert raised.value.__cause__ is first
    tally.reset()
    tally.update(0, **ok)
    assert tally.compute() == 1


def test_one_batch_at_a_time_sees_the_value_when_it_is_computed_each_time(
    identity_model, scored
):
    x, y = scored
    ours = as_keras(BinaryAccuracy(), "ours", compute_every=1)
    model = identity_model(metrics=[ours, keras.metrics.BinaryAccuracy(name="keras")])
    for end in (25, 50):  # PyTorch's `train_on_batch` resets the metrics each time.
        batch = slice(end - 25, end)
        logs = model.train_on_batch(x[batch], y[batch], return_dict=True)
        assert logs["ours"] == pytest.approx(logs["keras"])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA is in the way there only")
def test_a_step_that_xla_compiles_is_an_error_that_names_the_argument(
    identity_model, scored
):
    x, y = scored
    model = identity_model(metrics=[as_keras(BinaryF1Score())], jit_compile=True)
    with pytest.raises(ArgumentError, match="jit_compile=False"):
        model.fit(x, y, verbose=0)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has one step an execution there")
def test_several_steps_an_execution_are_all_counted(identity_model, scored):
    x, y = scored
    metrics = [as_keras(BinaryF1Score(), "f1")]
    model = identity_model(metrics=metrics, steps_per_execution=3)
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history
    assert history["f1"] == pytest.approx([f1(x, y)])


@pytest.mark.skipif(BACKEND != "jax", reason="the threads are XLA's")
def test_a_thread_of_xla_keeps_its_state_in_python_from_step_to_step():
    import jax
    import jax.numpy as jnp

    from multiback.adapters.bridge.jax import run

    here, kept, seen = threading.local(), [], []

    def note(count, *_):
        here.calls = getattr(here, "calls", 0) + 1
        seen.append((threading.get_ident(), here.calls))
        return (count + 1,)

    @jax.jit
    def step(count, values):
        # So much that XLA does not run it in the caller's thread.
        values = jnp.tanh(values @ values)
        return run(note, count, [values], None, kept)[0]

    count, values = jnp.int32(0), jnp.ones((256, 256))
    for _ in range(20):
        count = step(count, values).block_until_ready()
    assert int(count) == 20
    # A thread whose state is dropped begins at 1 again.
    for thread in {thread for thread, _ in seen}:
        calls = [calls for each, calls in seen if each == thread]
        assert calls == list(range(1, len(calls) + 1))
