"""What a stranger meets before the first real result: errors before the first batch."""

import functools
import os
import signal

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.fitting.problem import VALIDATION, X, Y, fit, model, telling, warns

import multiback as mb
from multiback.errors import ArgumentError, MonitorError
from multiback.metrics import (
    AUROC,
    Accuracy,
    BrierScore,
    F1Score,
    Precision,
    RecallAtPrecision,
)

# TensorFlow knows the compiled metrics after a batch, whose scores they count.
pytestmark = pytest.mark.filterwarnings(
    "ignore::multiback.errors.UnusableValuesWarning"
)

LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


def net(*tail):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), *tail])


def train(made, tmp_path, loss, *metrics, y=Y, **compiled):
    made.compile("adam", loss, metrics=list(metrics), jit_compile=False, **compiled)
    ckpt = mb.ModelCheckpoint(tmp_path)
    return made.fit(X, y, batch_size=16, verbose=0, callbacks=[ckpt])


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        (F1Score, "binary"),
        (AUROC, "binary"),
        (BrierScore, "binary"),
        (Precision, "multilabel"),
        (AUROC, "multilabel"),
    ],
)
def test_a_loss_of_logits_with_a_metric_of_probabilities_is_an_error(
    tmp_path, metric, task
):
    columns = {"binary": 1, "multilabel": 3}[task]
    given = {} if task == "binary" else {"num_labels": 3}
    made = net(layers.Dense(columns, name="head"))
    y = np.repeat(Y[:, None], columns, axis=1)
    text = r"'head' has from_logits=True.*takes prob.*Pass from_logits=True"
    with pytest.raises(ArgumentError, match=text):
        train(made, tmp_path, LOGITS, metric(task=task, **given), y=y)


def test_every_metric_of_probabilities_beside_such_a_loss_is_named(tmp_path):
    at_zero = Precision(threshold=0.0)
    text = "metrics 'f1_score', 'auroc' take probabilities"
    with pytest.raises(ArgumentError, match=text):
        train(net(layers.Dense(1)), tmp_path, LOGITS, F1Score(), at_zero, AUROC())


@pytest.mark.parametrize(
    "last",
    [
        lambda: layers.Activation("linear", dtype="float32"),
        lambda: layers.Dense(1, activation="tanh"),
        lambda: layers.Conv1D(1, 1),
    ],
)
def test_the_last_operation_is_read_from_several_layers(tmp_path, last):
    made = net(layers.Dense(1), layers.Reshape((1, 1)), layers.Dense(1), last())
    with pytest.raises(ArgumentError, match="from_logits=True"):
        train(made, tmp_path, LOGITS, F1Score(task="binary"), y=Y[:, None, None])


class OwnStep(keras.Sequential):
    def compute_loss(self, *arguments, **named):
        return super().compute_loss(*arguments, **named)


class OwnLoss(keras.losses.Loss):
    from_logits = True

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_true - y_pred), axis=-1)


def crossentropy(y_true, y_pred):
    return keras.losses.binary_crossentropy(y_true, y_pred, from_logits=True)


RIGHT = {
    "told": (LOGITS, F1Score(task="binary", from_logits=True), ()),
    "threshold": (LOGITS, F1Score(task="binary", threshold=0.0), ()),
    "partial": (
        functools.partial(keras.losses.binary_crossentropy, from_logits=True),
        F1Score(task="binary"),
        (),
    ),
    "function": (crossentropy, F1Score(task="binary"), ()),
    "own loss": (OwnLoss(), F1Score(task="binary"), ()),
    "reshape": (LOGITS, F1Score(task="binary"), (layers.Reshape((1,)),)),
    "regression": (LOGITS, mb.metrics.MeanSquaredError(), ()),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.filterwarnings("ignore:How ")
def test_nothing_right_is_refused(tmp_path, name):
    loss, metric, tail = RIGHT[name]
    train(net(layers.Dense(1), *tail), tmp_path, loss, metric, y=Y[:, None])


def test_the_order_of_classes_does_not_depend_on_logits(tmp_path):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = Accuracy(task="multiclass", num_classes=3)
    train(net(layers.Dense(3)), tmp_path, loss, metric)
    auroc = AUROC(task="multiclass", num_classes=3)
    with pytest.raises(ArgumentError, match="auroc"):
        train(net(layers.Dense(3)), tmp_path, loss, auroc)


def test_a_model_with_a_loss_of_its_own_is_left_alone(tmp_path):
    made = OwnStep([keras.Input((4,)), layers.Dense(1)])
    train(made, tmp_path, LOGITS, F1Score(task="binary"))


def test_a_sigmoid_under_a_loss_of_logits_is_warned_of(tmp_path):
    made = net(layers.Dense(1, "sigmoid"))
    with warns("'dense.*' is a sigmoid already|is a sigmoid already"):
        train(made, tmp_path, LOGITS, F1Score(task="binary"))
    cast = net(layers.Dense(1, "sigmoid"), layers.Activation("linear", dtype="float32"))
    with warns("is a sigmoid already"):
        train(cast, tmp_path, LOGITS, F1Score(task="binary"))
    hard = net(layers.Dense(1, "hard_sigmoid"))
    with warns("is a hard_sigmoid already"):
        train(hard, tmp_path, LOGITS, F1Score(task="binary"))


def two_outputs(metrics):
    inputs = keras.Input((4,))
    outputs = {
        "b": layers.Dense(1, name="b")(inputs),
        "a": ops.sigmoid(layers.Dense(1)(inputs)),
    }
    made = keras.Model(inputs, outputs)
    losses = {"a": "binary_crossentropy", "b": LOGITS}
    made.compile("adam", losses, metrics=metrics, jit_compile=False)
    return made


def test_each_of_two_outputs_is_compared_with_its_own_loss(tmp_path):
    y = {"a": Y[:, None], "b": Y[:, None]}
    right = {
        "a": [F1Score(task="binary")],
        "b": [F1Score(task="binary", from_logits=True)],
    }
    ckpt = mb.ModelCheckpoint(tmp_path)
    two_outputs(right).fit(X, y, batch_size=16, verbose=0, callbacks=[ckpt])
    wrong = {"a": [F1Score(task="binary")], "b": [F1Score(task="binary")]}
    with pytest.raises(ArgumentError, match="output 'b'"):
        two_outputs(wrong).fit(X, y, batch_size=16, verbose=0, callbacks=[ckpt])


class Batches(keras.callbacks.Callback):
    count = 0

    def on_train_batch_end(self, *_):
        self.count += 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "no validation_data="),
        ({**VALIDATION, "validation_freq": 4}, "validation_freq=4"),
        ({**VALIDATION, "validation_freq": [7]}, r"validation_freq=\[7\]"),
    ],
)
@pytest.mark.parametrize(
    "monitor", ["val_loss", mb.Monitor("loss", where="val_f1_score > 0")]
)
def test_a_forgotten_validation_is_an_error_before_the_first_batch(
    tmp_path, arguments, text, monitor
):
    count = Batches()
    made = model(F1Score(task="binary"))
    with pytest.raises(MonitorError, match=text):
        fit(made, count, mb.ModelCheckpoint(tmp_path, monitor=monitor), **arguments)
    assert count.count == 0


@pytest.mark.parametrize(
    "arguments",
    [{"validation_split": 0.25}, {**VALIDATION, "validation_freq": 2}, VALIDATION],
)
def test_a_validation_that_comes_is_no_error(tmp_path, arguments):
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_loss")
    with telling() as texts:
        fit(model(), ckpt, **arguments)
    assert ckpt.best_model_score is not None
    assert not texts


def test_a_name_that_never_comes_is_warned_of_and_the_newest_are_kept(tmp_path):
    monitor = mb.Monitor("val_mine", mode="max", early=False)
    ckpt = mb.ModelCheckpoint(tmp_path, monitor=monitor, save_top_k=2, save_last=False)
    with warns("'val_mine' was monitored but never in the logs.*newest"):
        history = fit(model(), ckpt, epochs=4)
    assert len(history.history["loss"]) == 4
    kept = sorted(one.name for one in (tmp_path / "checkpoints").iterdir())
    assert [name[:9] for name in kept] == ["epoch=003", "epoch=004"]


def test_an_unknown_mode_is_an_error_without_a_monitor_too(tmp_path):
    with pytest.raises(ArgumentError, match="mode="):
        mb.ModelCheckpoint(tmp_path, mode="unknown")


def test_the_threshold_of_the_best_checkpoint_is_recorded(tmp_path):
    metric = RecallAtPrecision(0.5, task="binary")
    made = model(metric)
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_recall_at_precision")
    fit(made, ckpt, **VALIDATION)
    best = mb.load_best(tmp_path)
    scores = best.predict(VALIDATION["validation_data"][0], verbose=0)
    fresh = RecallAtPrecision(0.5, task="binary")
    fresh.update_state(VALIDATION["validation_data"][1], scores[:, 0])
    assert ckpt.best_threshold == pytest.approx(fresh.threshold())
    assert mb.threshold_of(tmp_path) == ckpt.best_threshold
    assert mb.threshold_of(ckpt.best_model_path) == ckpt.best_threshold


def test_a_metric_without_a_threshold_gives_no_threshold(tmp_path):
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="loss")
    fit(model(F1Score(task="binary")), ckpt, epochs=1)
    assert ckpt.best_threshold is None
    with pytest.raises(ArgumentError, match="no threshold of"):
        mb.threshold_of(tmp_path)


class Interrupts(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        del logs
        if batch == 1:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_with_one_line_that_says_what_was_saved_and_how_to_continue(
    tmp_path,
):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ckpt = mb.ModelCheckpoint(tmp_path)
    try:
        with pytest.raises(KeyboardInterrupt) as caught, ckpt:
            fit(model(), Interrupts(), ckpt)
    finally:
        signal.signal(signal.SIGINT, before)
    text = str(caught.value)
    assert ckpt.last_model_path in text
    assert 'resume="auto"' in text
    assert "\n" not in text


def stopping():
    return keras.callbacks.EarlyStopping("loss", patience=9)


def test_callbacks_of_fit_whose_state_is_known_are_kept_by_themselves(tmp_path):
    first = stopping()
    unknown = keras.callbacks.TerminateOnNaN()
    with telling() as texts:
        fit(model(), first, unknown, mb.ModelCheckpoint(tmp_path), epochs=2)
    assert not texts
    second = stopping()
    before = second.best
    ckpt = mb.ModelCheckpoint(tmp_path, resume="must")
    with warns("Nothing is left"):
        fit(model(), second, ckpt, epochs=2)
    assert second.best == first.best != before


def test_a_known_callback_behind_is_named_once(tmp_path):
    ckpt = mb.ModelCheckpoint(tmp_path)
    with telling() as texts:
        fit(model(), ckpt, stopping(), epochs=1)
        fit(model(), ckpt, stopping(), epochs=1)
    assert len([text for text in texts if "EarlyStopping stands behind" in text]) == 1


def test_a_callback_that_was_not_saved_begins_as_new(tmp_path):
    fit(model(), mb.ModelCheckpoint(tmp_path), epochs=1)
    ckpt = mb.ModelCheckpoint(tmp_path, resume="must")
    with warns("no state of EarlyStopping"):
        fit(model(), stopping(), ckpt, epochs=2)
