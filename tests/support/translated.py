"""Give a metric of any library the same data, in the form that it wants."""

import keras
import numpy as np
import torch

K = keras.metrics
ONE_HOT = (
    K.CategoricalAccuracy,
    K.CategoricalCrossentropy,
    K.F1Score,
    K.FBetaScore,
    K.OneHotIoU,
    K.OneHotMeanIoU,
    K.TopKCategoricalAccuracy,
)
# These take two distributions, the targets first.
TARGETS_FIRST = ("KLDivergence",)


def value(metric, form, y_true, y_pred):
    """Return what a metric gives for all of the data at once.

    Args:
        metric: A metric of Keras, multiback or torchmetrics.
        form: "numbers" where it takes plain values, which are `y_pred`.
        y_true: Labels, or class ids, or targets.
        y_pred: Scores or predictions, classes last.
    """
    if isinstance(metric, torch.nn.Module):
        return _of_torchmetrics(metric, form, y_true, y_pred)
    return _of_keras(metric, form, y_true, y_pred)


def _of_torchmetrics(metric, form, y_true, y_pred):
    target, preds = torch.tensor(y_true), torch.tensor(y_pred)
    if form == "numbers":
        metric.update(preds)
    elif form == "queries" and type(metric).__module__.startswith(
        "torchmetrics.retrieval"
    ):
        indexes = torch.arange(len(target)).repeat_interleave(target.shape[1])
        metric.update(preds.flatten(), target.flatten(), indexes=indexes)
    elif type(metric).__name__ in TARGETS_FIRST:
        metric.update(target, preds)
    else:
        if form == "multiclass-rows":
            preds = preds.movedim(-1, 1)
        metric.update(preds, target)
    found = metric.compute()
    # An operating point comes with its threshold.
    return (found[0] if isinstance(found, tuple) else found).numpy()


def _of_keras(metric, form, y_true, y_pred):
    kind = type(metric)
    if kind.__module__.startswith("keras.") and form == "multiclass":
        if kind is K.Accuracy or getattr(metric, "sparse_y_pred", False):
            y_pred = y_pred.argmax(-1)
        if kind in ONE_HOT:
            y_true = np.eye(10, dtype="float32")[y_true]
    if y_pred.ndim == y_true.ndim == 1 and form != "numbers":
        y_true, y_pred = y_true[:, None], y_pred[:, None]
    metric.update_state(*((y_pred,) if form == "numbers" else (y_true, y_pred)))
    return keras.ops.convert_to_numpy(metric.result())


def streamed(metric, y_true, y_pred):
    """Return a metric's value after two batches."""
    half = len(y_true) // 2
    metric.update_state(y_true[:half], y_pred[:half])
    metric.update_state(y_true[half:], y_pred[half:])
    return keras.ops.convert_to_numpy(metric.result())
