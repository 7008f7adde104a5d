"""What `metrics.py` lets take turns: metrics that get a batch, and a plain sum."""

import functools

import keras
import numpy as np
from keras import ops

import multiback as mb

BACKEND = keras.backend.backend()


class Idle(keras.metrics.Metric):
    """A metric that does nothing: what Keras itself spends on one."""

    def __init__(self, name):
        super().__init__(name=name)
        self.nothing = self.add_variable((), "zeros", name="nothing")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add nothing."""

    def result(self):
        """Return the variable, as a result has to be a tensor."""
        return ops.convert_to_tensor(self.nothing)


def scores(n):
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, n)
    y_pred = rng.random(n).astype("float32")
    return ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)


def ours():
    m = mb.metrics
    return [m.Precision(), m.Recall(), m.F1Score(), m.Accuracy()]


def kerass():
    m = keras.metrics
    # Keras's F1Score wants (N, 1) and has no plain binary form.
    f1 = m.F1Score(threshold=0.5, average="micro")
    return [m.Precision(), m.Recall(), f1, m.BinaryAccuracy()]


def updating(metrics, y_true, y_pred, *, result=False):
    """Return a function that gives every metric the batch, eagerly."""
    columns = y_true[:, None], y_pred[:, None]

    def run():
        for metric in metrics:
            wide = isinstance(metric, keras.metrics.F1Score)
            metric.update_state(*(columns if wide else (y_true, y_pred)))
        if result:
            for metric in metrics:
                float(metric.result())

    return run


def updating_torchmetrics(metric, y_true, y_pred, *, result=False):
    def run():
        metric.update(y_pred, y_true)
        if result:
            metric._computed = None  # noqa: SLF001 - it keeps the last result.
            values = metric.compute()
            for value in values.values() if isinstance(values, dict) else [values]:
                float(value)

    return run


def summing(*arrays):
    """Return one pass over the bytes, in the backend's own fastest way."""
    if BACKEND == "torch":
        import torch

        return lambda: [torch.sum(array) for array in arrays]
    if BACKEND == "jax":
        import jax

        fast = jax.jit(lambda *arrays: [array.sum() for array in arrays])
        return lambda: jax.block_until_ready(fast(*arrays))
    import tensorflow as tf

    return functools.partial(
        tf.function(
            lambda *arrays: [tf.reduce_sum(array) for array in arrays],
            jit_compile=True,
        ),
        *arrays,
    )


def compiled(metrics, *batch, xla=True):
    """Return a compiled function that gives every metric the batch."""
    return stepping(metrics, *batch, xla=xla, result=False)


def stepping(metrics, *batch, xla=True, result=True):
    """Return a compiled step: every metric gets the batch and perhaps has a result."""
    if BACKEND == "torch":
        return updating(metrics, *batch, result=result)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def step(*batch):
            for metric in metrics:
                metric.update_state(*batch)
            return [metric.result() for metric in metrics] if result else None

        return functools.partial(tf.function(step, jit_compile=xla), *batch)
    import jax

    def update(state, *batch):
        pairs = zip(metrics, state, strict=True)
        state = [metric.stateless_update_state(own, *batch) for metric, own in pairs]
        if not result:
            return state, []
        pairs = zip(metrics, state, strict=True)
        return state, [metric.stateless_result(own) for metric, own in pairs]

    for metric in metrics:  # Keras's multi-label AUC has no variables before.
        if not metric.variables:
            metric.update_state(*batch)
            metric.reset_state()
    fast = jax.jit(update, donate_argnums=0)
    state = [[v.numpy() for v in metric.variables] for metric in metrics]

    def run():
        nonlocal state
        state, _ = jax.block_until_ready(fast(state, *batch))

    return run
