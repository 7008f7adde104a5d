"""Models as Keras's own documentation compiles them: nothing to find."""

import keras
from keras import ops
from support.audited.planted import (
    BINARY,
    IDS,
    LABELS,
    MULTI,
    ONE_HOT,
    ROWS,
    WEIGHTS,
    ErrorRate,
    K,
    X,
    as_keras,
    binary,
    early_stopping,
    model_of,
    sequences,
    several,
    sklearn,
    tc,
    two_outputs,
)

import multiback as mb


def absolute(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def multilabel():
    metrics = [
        "binary_accuracy",
        K.AUC(multi_label=True, num_labels=3),
        K.F1Score(average="macro", threshold=0.5),
        K.Recall(),
        mb.metrics.F1Score("multilabel", num_labels=3),
    ]
    model = model_of(3, "sigmoid", "binary_crossentropy", metrics)
    return lambda: (model, {"data": (X, LABELS)})


def regression(shape):
    names = ["mse", "mae", "mape", "msle", "cosine_similarity"]
    metrics = [
        *names,
        K.LogCoshError(),
        K.RootMeanSquaredError(),
        K.R2Score(),
        absolute,
    ]
    if len(shape) == 1:
        metrics = ["mse", "mae", K.RootMeanSquaredError()]
    model = model_of(1, None, "mse", metrics)
    y = (2 * X[:, :1] + 0.5).reshape(shape)
    return lambda: (model, {"data": (X, y), **early_stopping("val_loss")})


def weighted():
    given = {"data": (X, BINARY, WEIGHTS)}
    metrics = ["accuracy", K.Precision()]
    model = model_of(
        1, "sigmoid", "binary_crossentropy", None, weighted_metrics=metrics
    )
    return lambda: (model, given)


CLEAN = {
    "binary": lambda: binary(
        [
            "accuracy",
            "mse",
            K.Precision(),
            K.Recall(thresholds=[0.3, 0.7]),
            K.AUC(name="auc"),
            K.AUC(curve="PR", name="pr"),
            K.F1Score(threshold=0.5),
            K.BinaryCrossentropy(),
            mb.metrics.AUROC(),
            *mb.metrics.group(mb.metrics.Precision(), mb.metrics.F1Score()),
        ],
        given=early_stopping("val_auc", mode="max"),
    ),
    "binary_logits": lambda: binary(
        [
            K.BinaryAccuracy(threshold=0.0),
            K.Precision(thresholds=0.0),
            K.AUC(from_logits=True),
            K.BinaryCrossentropy(from_logits=True),
            mb.metrics.F1Score(from_logits=True),
        ],
        activation=None,
    ),
    "binary_flat_labels": lambda: binary(["accuracy"], data=(X, BINARY[:, 0])),
    "one_hot": lambda: several(
        [
            "accuracy",
            K.CategoricalAccuracy(),
            K.TopKCategoricalAccuracy(k=2),
            K.CategoricalCrossentropy(),
            K.F1Score(average="macro"),
            K.AUC(),
            K.OneHotMeanIoU(3),
            K.KLDivergence(),
        ],
        ONE_HOT,
    ),
    "multilabel": multilabel,
    "regression": lambda: regression((ROWS, 1)),
    "regression_flat_labels": lambda: regression((ROWS,)),
    "two_outputs": lambda: two_outputs(early_stopping("val_a_accuracy", mode="max")),
    "errors": lambda: binary(
        [ErrorRate(name="errors")], given=early_stopping("val_errors", mode="min")
    ),
    "loss_as_a_metric": lambda: binary(
        [keras.losses.mean_absolute_error],
        given=early_stopping("val_mean_absolute_error"),
    ),
    "sequences": lambda: sequences(["accuracy", "mse", mb.metrics.F1Score()]),
    "hosted": lambda: binary(
        [
            as_keras(tc.BinaryAUROC(), "auc"),
            as_keras(tc.BinaryF1Score(), "f1"),
            sklearn.as_keras("f1_score", "labels"),
            sklearn.as_keras("log_loss", "scores"),
        ]
    ),
    "hosted_logits": lambda: binary(
        [
            as_keras(tc.BinaryAUROC(), "auc", from_logits=True),
            sklearn.as_keras("f1_score", "labels", threshold=0.0),
            sklearn.as_keras("roc_auc_score", "scores"),
        ],
        activation=None,
    ),
    "chosen_classes": lambda: several(
        [
            mb.metrics.JaccardIndex(**MULTI, classes=[1, 2]),
            mb.metrics.F1Score(**MULTI, ignore_index=-1),
            as_keras(tc.MulticlassRecall(3, ignore_index=-1), "recall"),
        ],
        IDS,
    ),
    "weighted": weighted,
}
