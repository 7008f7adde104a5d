"""Every way to name what `fit` logs, and every way to get it wrong."""

import keras
import numpy as np
import pytest
from keras import ops
from support.backends import BACKEND
from support.fitting.problem import VALIDATION, Says, X, Y, fit, model, telling, warns

import multiback as mb
from multiback.checkpoint.checkpointer import Checkpointer
from multiback.errors import ArgumentError, MonitorError, NoCheckpointError
from multiback.store import RunDirectory


def checkpoint(folder, monitor, **arguments):
    # Some of the models here cannot be built from a config.
    return mb.ModelCheckpoint(folder / "run", monitor, export_best=False, **arguments)


class BeginsBatches(keras.callbacks.Callback):
    """Count the batches that begin."""

    begun = 0

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.begun += 1


def soft_accuracy(y_true, y_pred):
    return 1 - ops.mean(ops.abs(y_true - y_pred), axis=-1)


class MyAccuracy(keras.metrics.BinaryAccuracy):
    pass


def test_a_misspelt_name_fails_before_training_and_touches_nothing(tmp_path):
    earlier = checkpoint(tmp_path, "val_f1_score")
    fit(model(mb.metrics.F1Score()), earlier, epochs=1, **VALIDATION)
    before = sorted(tmp_path.rglob("*"))

    counter = BeginsBatches()
    with pytest.raises(
        MonitorError,
        match=r"'val_fl_score' to monitor. Did you mean 'val_f1_score'.*Available: "
        r"f1_score, loss, val_f1_score, val_loss\..*early=False",
    ):
        fit(
            model(mb.metrics.F1Score()),
            counter,
            checkpoint(tmp_path, "val_fl_score"),
            **VALIDATION,
        )
    # TensorFlow builds its metrics in the first batch.
    assert counter.begun == (2 if BACKEND == "tensorflow" else 0)
    assert sorted(tmp_path.rglob("*")) == before
    assert mb.load_best(tmp_path / "run").compiled


def test_check_finds_the_same_beforehand(tmp_path):
    made = model(mb.metrics.F1Score())
    weights = [w.copy() for w in made.get_weights()]
    batch = (X[:4], Y[:4])
    with pytest.raises(MonitorError, match="Did you mean 'val_f1_score'"):
        checkpoint(tmp_path, "val_fl_score").check(made, batch)
    with pytest.raises(ArgumentError, match="batch= wants a tuple"):
        checkpoint(tmp_path, "val_f1_score").check(made, X)
    checkpoint(tmp_path, "val_f1_score").check(made, (*batch, np.ones(4)))
    np.testing.assert_equal(made.get_weights(), weights)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("label", "words"),
    [(2.0, "1 labels are not 0 or 1; correct"), (0.4, "1 labels are soft")],
)
def test_check_raises_for_values_that_a_metric_cannot_use(tmp_path, label, words):
    made = model(mb.metrics.F1Score(), mb.metrics.AUROC())
    made.compile(loss="mse", metrics=[mb.metrics.F1Score(), mb.metrics.AUROC()])
    y = np.array(Y[:4], "float32")
    y[1] = label
    with pytest.raises(ArgumentError, match=f"f1_score: {words}.* auroc: {words}"):
        checkpoint(tmp_path, "val_f1_score").check(made, (X[:4], y))


def test_epochs_without_validation_are_passed_over(tmp_path):
    callback = checkpoint(tmp_path, "val_loss", save_last=False, save_top_k=-1)
    fit(model(), callback, epochs=4, validation_freq=2, **VALIDATION)
    found = Checkpointer(tmp_path / "run").directory.checkpoints()
    assert [one.epoch for one in found if "val_loss" in one.metrics] == [2, 4]
    assert mb.load_best(tmp_path / "run") is not None
    assert all(np.isfinite(one.extra["scores"].get("val_loss", 0)) for one in found)


@pytest.mark.parametrize("nan_at", [0, 1, 2])
def test_nan_is_never_best(tmp_path, nan_at):
    scores = [0.3, 0.2, 0.1]
    scores[nan_at] = float("nan")
    monitor = mb.Monitor("score", mode="max", early=False)
    callback = checkpoint(tmp_path, monitor)
    with warns("'score' is NaN"):
        fit(model(), Says(score=scores), callback)
    assert callback.best_model_score == np.nanmax(scores)


def test_vectors_are_refused_with_the_fix(tmp_path):
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
    made.compile("adam", "mse", metrics=[keras.metrics.F1Score()])
    with pytest.raises(MonitorError, match=r"shape is \[2\].*average=\"macro\""):
        made.fit(
            X,
            keras.utils.to_categorical(Y),
            verbose=0,
            validation_split=0.2,
            callbacks=[checkpoint(tmp_path, "val_f1_score")],
        )
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize(
    ("metric", "name", "mode"),
    [
        ("accuracy", "val_accuracy", "auto"),
        ("accuracy", "accuracy", "auto"),
        (MyAccuracy(name="mine"), "val_mine", "auto"),
        (soft_accuracy, "val_soft_accuracy", "max"),
        (keras.metrics.Recall(name="rec/all 1"), "val_rec/all 1", "auto"),
        (keras.metrics.FalsePositives(name="x"), "val_x", "auto"),
        (mb.metrics.Precision(name="a.b[0]"), "val_a.b[0]", "auto"),
        (keras.metrics.AUC(name="é" * 100), "val_" + "é" * 100, "auto"),
        (keras.metrics.AUC(name="../../up"), "val_../../up", "auto"),
    ],
)
def test_metrics_of_every_kind_can_be_monitored_by_name(tmp_path, metric, name, mode):
    callback = checkpoint(tmp_path, name, mode=mode)
    history = fit(model(metric), callback, epochs=2, **VALIDATION).history
    best = min if "x" in name else max
    assert callback.best_model_score == best(history[name])
    inside = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert all(name.startswith("epoch=00") for name in inside)
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_a_function_of_unknown_direction_asks_for_it(tmp_path):
    with pytest.raises(MonitorError, match=r"more or less of 'val_soft_accuracy'"):
        fit(
            model(soft_accuracy),
            checkpoint(tmp_path, "val_soft_accuracy"),
            **VALIDATION,
        )
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_rebuilt_model_may_have_numbers_in_its_names(tmp_path):
    model(keras.metrics.AUC())
    # Its AUC is called auc_1 or later, unless the session was cleared.
    history = fit(
        model(keras.metrics.AUC()),
        checkpoint(tmp_path, "val_auc"),
        epochs=1,
        **VALIDATION,
    ).history
    assert any(name.startswith("val_auc") for name in history)
    assert mb.load_best(tmp_path / "run").compiled


def test_two_metrics_of_one_name_are_told_apart_or_refused(tmp_path):
    twins = [keras.metrics.AUC(name="same"), keras.metrics.Recall(name="same")]
    callback = checkpoint(tmp_path, "val_same")
    history = fit(model(*twins), callback, epochs=2, **VALIDATION).history
    assert {"val_same", "val_same_1"} <= set(history)
    assert callback.best_model_score == max(history["val_same"])


def two_outputs(outputs):
    """A functional model with two outputs, as a list or a dictionary."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    la = keras.layers.Dense(1, "sigmoid", name="la")(inputs)
    lb = keras.layers.Dense(1, name="lb")(inputs)
    return keras.Model(inputs, outputs(la, lb))


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_outputs_have_names_of_their_own(tmp_path, kind):
    if kind == "dict":
        made = two_outputs(lambda a, b: {"a": a, "b": b})
        made.compile(
            "adam",
            {"a": "binary_crossentropy", "b": "mse"},
            metrics={"a": [keras.metrics.AUC(name="auc")], "b": ["mae"]},
        )
        targets, score, error = {"a": Y, "b": Y}, "val_a_auc", "val_b_mae"
    else:
        made = two_outputs(lambda a, b: [a, b])
        made.compile(
            "adam",
            ["binary_crossentropy", "mse"],
            metrics=[[keras.metrics.AUC(name="auc")], ["mae"]],
        )
        targets, score, error = [Y, Y], "val_la_auc", "val_lb_mae"
    upper, lower = (
        mb.ModelCheckpoint(tmp_path / name, monitor)
        for name, monitor in (("up", score), ("down", error))
    )
    history = made.fit(
        X,
        targets,
        validation_data=(X, targets),
        epochs=3,
        verbose=0,
        callbacks=[upper, lower],
    ).history
    assert upper.best_model_score == max(history[score])
    assert lower.best_model_score == min(history[error])


def test_the_loss_of_one_output_is_better_when_less(tmp_path):
    made = two_outputs(lambda a, b: {"a": a, "b": b})
    made.compile("adam", {"a": "binary_crossentropy", "b": "mse"})
    callback = checkpoint(tmp_path, "b_loss")
    history = made.fit(
        X, {"a": Y, "b": Y}, epochs=2, verbose=0, callbacks=[callback]
    ).history
    assert callback.best_model_score == min(history["b_loss"])


class Subclassed(keras.Model):
    """A model without a graph, with two outputs."""

    def __init__(self):
        super().__init__()
        self.a = keras.layers.Dense(1, "sigmoid")
        self.b = keras.layers.Dense(1)

    def call(self, x):
        return [self.a(x), self.b(x)]


def test_a_subclassed_model_with_outputs_in_a_list(tmp_path):
    keras.utils.set_random_seed(1)
    made = Subclassed()
    made.compile(
        "adam",
        ["binary_crossentropy", "mse"],
        metrics=[["accuracy"], [keras.metrics.MeanAbsoluteError(name="accuracy")]],
    )
    callback = checkpoint(tmp_path, "val_accuracy_1")
    history = made.fit(
        X,
        [Y, Y],
        validation_data=(X, [Y, Y]),
        epochs=3,
        verbose=0,
        callbacks=[callback],
    ).history
    # The second output's is an error, whatever it is called.
    assert callback.best_model_score == min(history["val_accuracy_1"])


class OwnStep(keras.Model):
    """A model whose logs are its own business."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, *arguments):
        logs = super().train_step(*arguments)
        if BACKEND == "jax":
            logs, state = logs
            return {**logs, "own": logs["loss"]}, state
        return {**logs, "own": logs["loss"]}


def test_names_of_a_custom_train_step_are_found_in_the_logs(tmp_path):
    made = OwnStep()
    made.compile("adam", "mse")
    callback = checkpoint(tmp_path, "own", mode="min")
    with warns("'own' is none of the model's metrics.*last batch"):
        with_names = made.fit(X, Y, epochs=2, verbose=0, callbacks=[callback]).history
    assert callback.best_model_score == min(with_names["own"])
    misspelt = checkpoint(tmp_path, "owm", mode="min")
    with (
        warns("'owm' is none"),
        pytest.raises(MonitorError, match="Did you mean 'own'"),
    ):
        made.fit(X, Y, verbose=0, callbacks=[misspelt])
    # What the model does track is of the whole epoch.
    made.fit(X, Y, verbose=0, callbacks=[checkpoint(tmp_path, "loss")])


class Several(keras.metrics.Mean):
    """A metric with several results, whose names cannot be chosen."""

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras's signature
        super().update_state(ops.abs(y_true - y_pred))

    def result(self):
        return {"error": super().result(), "auc": super().result()}


def test_a_name_of_two_metrics_is_refused_or_reported(tmp_path):
    def made():
        return model(Several(name="several"), keras.metrics.AUC(name="auc"))

    with pytest.raises(MonitorError, match="Two metrics are logged as 'auc'"):
        fit(made(), checkpoint(tmp_path, "val_auc"), **VALIDATION)
    assert not list(tmp_path.rglob("manifest.json"))
    with warns("Two metrics are logged as 'auc'"):
        fit(made(), checkpoint(tmp_path, "val_error", mode="min"), **VALIDATION)


def test_a_metric_of_the_model_itself_that_hides_a_compiled_one_is_refused(tmp_path):
    class Hides(OwnStep):
        train_step = keras.Model.train_step

        def __init__(self):
            super().__init__()
            self.tracker = keras.metrics.Mean(name="mae")

    made = Hides()
    made.compile("adam", "mse", metrics=["mae"])
    with pytest.raises(MonitorError, match="Two metrics are logged as 'mae'"):
        made.fit(X, Y, verbose=0, callbacks=[checkpoint(tmp_path, "mae")])


def test_a_number_that_keras_gives_twice_is_noticed(tmp_path):
    names = ["same", "same", "same_1"]
    made = model(*(keras.metrics.AUC(name=name) for name in names))
    with pytest.raises(MonitorError, match="Two metrics are logged as 'same_1'"):
        fit(made, checkpoint(tmp_path, "same_1"))


def test_a_name_that_an_earlier_callback_adds_can_be_monitored(tmp_path):
    by_hand = Says(score=[1.0, 3.0, 2.0])
    with pytest.raises(MonitorError, match="early=False"):
        fit(model(), by_hand, checkpoint(tmp_path, "score", mode="max"))
    callback = checkpoint(tmp_path, mb.Monitor("score", mode="max", early=False))
    fit(model(), by_hand, callback)
    assert callback.best_model_score == 3.0
    assert "epoch=002" in callback.best_model_path


def test_nan_is_reported_once_and_where_it_may_come_from(tmp_path):
    nan = float("nan")
    callback = checkpoint(tmp_path, mb.Monitor("score", mode="max", early=False))
    with telling() as told:
        fit(model(), Says(score=[nan, 0.5, nan]), callback)
    [text] = [text for text in told if "'score' is NaN" in text]
    assert "labels out of range" in text


def test_a_misspelt_field_of_the_file_name_is_a_warning_and_then_an_error(tmp_path):
    misspelt = checkpoint(tmp_path, "val_loss", filename="{epoch}-{val_accurcy:.3f}")
    with (
        warns("'val_accurcy', which none .* Did you mean 'val_accuracy'"),
        pytest.raises(MonitorError, match=r"Did you mean 'val_accuracy'.*filename="),
    ):
        fit(model("accuracy"), misspelt, **VALIDATION)
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_field_of_the_file_name_may_be_added_later_absent_or_numbered(tmp_path):
    template = "{score:.1f}-{val_loss:.0f}-{auc:.0f}"
    callback = checkpoint(tmp_path, "auc", filename=template, keep=[mb.All()])
    metric = keras.metrics.AUC(name="auc_7")
    says = Says(score=[1.0, None])
    fit(model(metric), says, callback, epochs=2, validation_freq=2, **VALIDATION)
    first, second = RunDirectory(tmp_path / "run").checkpoints()
    assert first.name.startswith("score=1.0-val_loss=none-auc=")
    assert not first.name.endswith("none")
    assert second.name.startswith("score=none-val_loss=")
    assert "val_loss=none" not in second.name


def test_expressions_functions_and_conditions_judge_too(tmp_path):
    by_hand = Says(p=[0.2, 0.8, 0.9], r=[0.9, 0.5, 0.6])
    monitors = {
        "sum": mb.Monitor("p + r", mode="max", early=False),
        "function": mb.Monitor(lambda logs: logs["p"] * -1, mode="min", early=False),
        "where": mb.Monitor("r", mode="max", where="p >= 0.8", early=False),
    }
    for name, monitor in monitors.items():
        callback = mb.ModelCheckpoint(tmp_path / name, monitor)
        fit(model(), by_hand, callback)
        assert "epoch=003" in callback.best_model_path
        restored = mb.load_best(tmp_path / name)
        assert restored.optimizer.iterations.numpy() == 6


def test_a_worse_fold_replaces_nothing_of_a_callback_that_is_used_again(tmp_path):
    callback = checkpoint(tmp_path, mb.Monitor("score", mode="max", early=False))
    fit(model(), Says(score=[0.9, 0.8, 0.7]), callback)
    first = callback.best_model_path
    fit(model(), Says(score=[0.1, 0.3, 0.2]), callback)
    assert callback.best_model_score == 0.9
    assert callback.best_model_path == first
    with pytest.raises(MonitorError, match="called 'score'"):
        fit(model(), callback)


def test_a_second_validation_set_has_a_prefix_of_its_own(tmp_path):
    clean = Says(test_clean_loss=[None, 0.2, None, 0.3])
    callback = checkpoint(tmp_path, "test_clean_loss", prefixes=("val_", "test_clean_"))
    fit(model(), clean, callback, epochs=4, **VALIDATION)
    assert callback.best_model_score == 0.2
    with pytest.raises(MonitorError, match="Available: "):
        fit(model(), checkpoint(tmp_path, "test_clean_loss"), epochs=1)


def test_a_condition_that_no_epoch_met_is_reported_at_the_end(tmp_path):
    never = mb.Monitor("a", mode="max", where="a > 2", early=False)
    with warns("No epoch had a value of 'a where a > 2', so there is no best"):
        fit(model(), Says(a=[0.1, 0.2]), mb.ModelCheckpoint(tmp_path, never), epochs=2)
    with pytest.raises(NoCheckpointError, match="or its condition was false"):
        mb.load_best(tmp_path)
