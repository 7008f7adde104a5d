"""Small models with one wrong number each; `PLANTED` names it.

A value is (audit's name for it, the name in the logs, a function that returns the model
and the arguments of `audit`).
"""

import keras
import numpy as np
import torchmetrics.classification as tc
from keras import ops
from support.wrong_metrics import MeanOfBatchRecalls, error_of_every_pair, f1_by_hand

import multiback as mb
from multiback.adapters import sklearn
from multiback.adapters.torchmetrics import as_keras

RNG = np.random.default_rng(5)
ROWS = 70
X = RNG.normal(size=(ROWS, 3)).astype("float32")
NOISE = RNG.normal(size=(ROWS, 3))
BINARY = (X[:, :1] + NOISE[:, :1] > 1).astype("float32")
IDS = (X + 0.7 * NOISE).argmax(axis=1).astype("int32")
ONE_HOT = np.eye(3, dtype="float32")[IDS]
LABELS = (X + 0.7 * NOISE > 0.5).astype("float32")
WEIGHTS = np.where(BINARY[:, 0] == 1, 5.0, 0.5).astype("float32")


def model_of(units, activation, loss, metrics, *, scale=2.0, bias=0.0, **arguments):
    """One dense layer whose scores follow the labels, without training.

    Eagerly: forty models of the same shapes share what is compiled for each operation.
    `sequences` and `two_outputs` are compiled as a user would.
    """
    layer = keras.layers.Dense(units, activation)
    model = keras.Sequential([keras.Input((3,)), layer])
    kernel = scale * np.eye(3, dtype="float32")[:, :units]
    layer.set_weights([kernel, np.full(units, bias, "float32")])
    model.compile("sgd", loss, metrics=metrics, run_eagerly=True, **arguments)
    return model


def binary(metrics, *, activation="sigmoid", data=None, loss=None, given=None, **more):
    loss = loss or keras.losses.BinaryCrossentropy(from_logits=activation is None)
    model = model_of(1, activation, loss, metrics, **more)
    return lambda: (model, {"data": data or (X, BINARY), **(given or {})})


def several(metrics, y, *, activation="softmax", **more):
    sparse = "sparse_" if y is IDS or y.shape[-1] == 1 else ""
    loss = f"{sparse}categorical_crossentropy"
    if activation is None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = model_of(3, activation, loss, metrics, **more)
    return lambda: (model, {"data": (X, y)})


def sequences(metrics):
    """Tokens with 0 as padding, one binary label each."""
    tokens = np.random.default_rng(11).integers(1, 9, (ROWS, 6)).astype("int32")
    tokens[np.arange(6) >= np.arange(1, 7).repeat(12)[:ROWS, None]] = 0
    embedding = keras.layers.Embedding(9, 1, mask_zero=True)
    head = keras.layers.Dense(1, "sigmoid")
    model = keras.Sequential([keras.Input((6,), dtype="int32"), embedding, head])
    embedding.set_weights([np.linspace(1, -2, 9, dtype="float32")[:, None]])
    head.set_weights([np.full((1, 1), 2.0), np.zeros(1)])
    model.compile("sgd", "binary_crossentropy", metrics=metrics)
    return lambda: (model, {"data": (tokens, (tokens[..., None] % 3 == 0) * 1.0)})


class TwoNumbers(keras.metrics.Metric):
    """A dictionary with one key that is the name of another metric."""

    def __init__(self, name="two"):
        super().__init__(name=name)
        self.total = self.add_variable((), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras's signature
        self.total.assign_add(ops.sum(y_true))

    def result(self):
        return {"positives": self.total + 0.0, "accuracy": self.total * 0.0}


class ErrorRate(keras.metrics.BinaryAccuracy):
    """Keras takes more of it for better, as of what it inherits from."""

    def result(self):
        return 1 - super().result()


def early_stopping(monitor, **arguments):
    stopping = keras.callbacks.EarlyStopping(monitor, **arguments)
    return {"callbacks": [stopping]}


def two_outputs(given):
    """Compiled as a user would; the names in the logs begin with the output's."""
    inputs = keras.Input((3,))
    a = keras.layers.Dense(1, "sigmoid", name="a")(inputs)
    b = keras.layers.Dense(3, name="b")(inputs)
    model = keras.Model(inputs, {"a": a, "b": b})
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = {
        "a": ["accuracy", keras.metrics.AUC(name="auc")],
        "b": [
            "accuracy",
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
        ],
    }
    model.compile("sgd", {"a": "binary_crossentropy", "b": logits}, metrics=metrics)
    return lambda: (model, {"data": (X, {"a": BINARY, "b": IDS}), **given})


def squared(y_true, y_pred):
    return ops.square(y_true - y_pred)


K = keras.metrics
AVERAGED, LOGITS = "averaged over batches", "logits as probabilities"
FORM, SCORES = "labels of another form", "compares scores with classes"
ROWS_LOST = "ignores rows of a class"
MULTI = {"task": "multiclass", "num_classes": 3}

PLANTED = {
    "f1_function": (AVERAGED, "f1_by_hand", lambda: binary([f1_by_hand])),
    "f1_in_one_batch": (
        AVERAGED,
        "f1_by_hand",
        lambda: binary([f1_by_hand], given={"batch_size": ROWS}),
    ),
    "batch_class": (AVERAGED, "batch_recall", lambda: binary([MeanOfBatchRecalls()])),
    "every_pair": (
        "broadcast labels",
        "error_of_every_pair",
        lambda: binary([error_of_every_pair], data=(X, BINARY[:, 0])),
    ),
    "sample_weight": (
        "ignores weights",
        "accuracy",
        lambda: binary(["accuracy"], data=(X, BINARY, WEIGHTS)),
    ),
    "class_weight": (
        "ignores weights",
        "f1_score",
        lambda: binary(
            [mb.metrics.F1Score()], given={"class_weight": {0: 0.5, 1: 5.0}}
        ),
    ),
    "mask": (
        "ignores the mask",
        "precision",
        lambda: sequences([K.Precision(name="precision"), mb.metrics.Recall()]),
    ),
    "auc_of_logits": (
        LOGITS,
        "auc",
        lambda: binary([K.AUC(name="auc")], activation=None),
    ),
    "accuracy_of_logits": (
        LOGITS,
        "accuracy",
        lambda: binary(["accuracy"], activation=None),
    ),
    "precision_of_logits": (
        LOGITS,
        "p",
        lambda: binary([K.Precision(name="p")], activation=None),
    ),
    "f1_of_logits": (
        LOGITS,
        "f1_score",
        lambda: binary([mb.metrics.F1Score()], activation=None),
    ),
    "crossentropy_of_logits": (
        LOGITS,
        "ce",
        lambda: several(
            [K.SparseCategoricalCrossentropy(name="ce")], IDS, activation=None
        ),
    ),
    "logits_of_probabilities": (
        "probabilities as logits",
        "f1_score",
        lambda: binary([mb.metrics.F1Score(from_logits=True)]),
    ),
    "saturated_auc": (
        "too few thresholds",
        "auc",
        lambda: binary([K.AUC(name="auc")], bias=-9.0, scale=1.0),
    ),
    "one_column_f1": ("one column", "f1", lambda: binary([K.F1Score(name="f1")])),
    "one_column_accuracy": (
        "one column",
        "categorical_accuracy",
        lambda: binary(["categorical_accuracy"]),
    ),
    "ids_as_one_hot": (
        FORM,
        "categorical_accuracy",
        lambda: several(["categorical_accuracy"], IDS[:, None]),
    ),
    "classes_as_yes_and_no": (
        FORM,
        "binary_accuracy",
        lambda: several(["binary_accuracy"], ONE_HOT),
    ),
    "equal_floats": (SCORES, "a", lambda: binary([K.Accuracy(name="a")])),
    "iou_of_scores": (
        SCORES,
        "iou",
        lambda: several([K.MeanIoU(3, name="iou")], ONE_HOT),
    ),
    "iou_of_one_score": (SCORES, "iou", lambda: binary([K.MeanIoU(2, name="iou")])),
    "numbered_twice": (
        "hidden by a name",
        "a_1",
        lambda: binary(
            [K.Recall(name="a"), K.Precision(name="a"), K.BinaryAccuracy(name="a_1")]
        ),
    ),
    "key_of_a_dictionary": (
        "hidden by a name",
        "accuracy",
        lambda: binary(["accuracy", TwoNumbers()]),
    ),
    "a_metric_called_loss": (
        "hidden by a name",
        "loss",
        lambda: binary([K.Recall(name="loss")]),
    ),
    "hosted_auc_of_logits": (
        LOGITS,
        "auc",
        lambda: binary(
            [as_keras(tc.BinaryAUROC(), "auc")],
            activation=None,
            scale=0.5,
            given={"batch_size": 2},
        ),
    ),
    "function_of_logits": (
        LOGITS,
        "f1_score",
        lambda: binary([sklearn.as_keras("f1_score", "labels")], activation=None),
    ),
    "our_classes_as_yes_and_no": (
        FORM,
        "accuracy",
        lambda: several([mb.metrics.Accuracy("binary")], ONE_HOT),
    ),
    "hosted_classes_as_yes_and_no": (
        FORM,
        "f1",
        lambda: several(
            [as_keras(tc.MultilabelF1Score(3, average="micro"), "f1")], ONE_HOT
        ),
    ),
    "our_class_ignored": (
        ROWS_LOST,
        "iou",
        lambda: several(
            [mb.metrics.JaccardIndex(**MULTI, ignore_index=0, name="iou")], IDS
        ),
    ),
    "hosted_class_ignored": (
        ROWS_LOST,
        "iou",
        lambda: several(
            [as_keras(tc.MulticlassJaccardIndex(3, ignore_index=0), "iou")], IDS
        ),
    ),
    "hosted_weights": (
        "ignores weights",
        "recall",
        lambda: binary(
            [as_keras(tc.BinaryAccuracy(), "recall")], data=(X, BINARY, WEIGHTS)
        ),
    ),
    "hosted_bins": (
        "too few thresholds",
        "auc",
        lambda: binary([as_keras(tc.BinaryAUROC(thresholds=3), "auc")], bias=-3.0),
    ),
    "our_unknown_label": (
        "unusable values",
        "f1",
        lambda: binary(
            [mb.metrics.F1Score(name="f1")], data=(X, 2 * BINARY), loss="mse"
        ),
    ),
    "keras_unknown_label": (
        "unusable values",
        "precision",
        lambda: binary(
            [K.Precision(name="precision")], data=(X, 2 * BINARY), loss="mse"
        ),
    ),
    "monitor_without_direction": (
        "monitor",
        "val_squared",
        lambda: binary([squared], given=early_stopping("val_squared")),
    ),
    "monitor_of_an_output": (
        "monitor",
        "val_a_accuracy",
        lambda: two_outputs(early_stopping("val_a_accuracy")),
    ),
    "monitor_that_inherits_its_direction": (
        "monitor",
        "val_errors",
        lambda: binary([ErrorRate(name="errors")], given=early_stopping("val_errors")),
    ),
    "monitor_the_wrong_way": (
        "monitor",
        "val_accuracy",
        lambda: binary(["accuracy"], given=early_stopping("val_accuracy", mode="min")),
    ),
    "monitor_of_nothing": (
        "monitor",
        "val_acuracy",
        lambda: binary(["accuracy"], given=early_stopping("val_acuracy")),
    ),
}
