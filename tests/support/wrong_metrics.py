"""Metrics with a wrong value, as people write them, and right ones made wrong."""

import keras
from keras import ops


def f1_by_hand(y_true, y_pred):
    """The F1 function of many a forum answer."""
    y_true = ops.reshape(ops.cast(y_true, "float32"), (-1,))
    hard = ops.reshape(ops.cast(y_pred > 0.5, "float32"), (-1,))
    hits = ops.sum(y_true * hard)
    return 2 * hits / (ops.sum(y_true) + ops.sum(hard) + 1e-7)


def error_of_every_pair(y_true, y_pred):
    """Labels (N,) and predictions (N, 1) broadcast to (N, N)."""
    return ops.square(ops.cast(y_true, y_pred.dtype) - y_pred)


class MeanOfBatchRecalls(keras.metrics.Metric):
    """A class of the user's own that no table knows."""

    def __init__(self, name="batch_recall"):
        super().__init__(name=name)
        self.total = self.add_variable((), initializer="zeros", name="total")
        self.batches = self.add_variable((), initializer="zeros", name="batches")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras's signature
        y_true = ops.cast(y_true, "float32")
        hits = ops.sum(y_true * ops.cast(y_pred > 0.5, "float32"))
        self.total.assign_add(hits / ops.maximum(ops.sum(y_true), 1.0))
        self.batches.assign_add(1.0)

    def result(self):
        return self.total / self.batches


def halved(cls, method="compute"):
    """Make a class whose value is half of what it should be."""

    def half(metric, *given):
        return 0.5 * getattr(cls, method)(metric, *given)

    return type(f"Halved{cls.__name__}", (cls,), {method: half, "__module__": __name__})
