"""What each hook of ModelCheckpoint costs when it does not save.

    KERAS_BACKEND=jax python benchmarks/hooks.py [CALLS]

Each hook is called by itself, as `fit` calls it in the middle of an epoch, and timed
one call at a time. The limit is 10 microseconds. "model" counts how often the hook
touched `callback.model`: on JAX each time costs a synchronisation of the state, so an
idle hook must not.

    loop    the same timing around nothing
"""

import datetime as dt
import statistics
import sys
import tempfile
import time

import keras
import numpy as np

import multiback as mb

LIMIT = 10.0


class Counted(mb.ModelCheckpoint):
    """Count how often the model is asked for."""

    touched = 0

    @property
    def model(self):
        """The model, as Keras gives it."""
        self.touched += 1
        return super().model


def microseconds(call, calls):
    """Time calls one by one; return median, 99th percentile and maximum."""
    clock, taken = time.perf_counter_ns, []
    for number in range(calls):
        start = clock()
        call(number)
        taken.append(clock() - start)
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49] / 1e3, cuts[98] / 1e3, max(taken) / 1e3


def training(folder):
    """Return a callback in the middle of an epoch, with every trigger set."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", jit_compile=False)
    x = np.ones((8, 4), "float32")
    callback = Counted(
        folder,
        "val_loss",
        every_n_train_steps=10**9,
        train_time_interval=dt.timedelta(hours=1),
    )
    data = {"validation_data": (x, x[:, :1])}
    model.fit(x, x[:, :1], **data, verbose=0, callbacks=[callback])
    # As in a longer fit: begun, and one epoch in it.
    callback.on_train_begin()
    callback.on_epoch_begin(1)
    callback.on_train_batch_begin(0)
    callback.on_train_batch_begin(1)
    return callback


def main(calls):
    """Print one line a hook; return whether all keep to the limit."""
    with tempfile.TemporaryDirectory() as folder:
        callback = training(folder)
        hooks = {
            "loop": lambda _: None,
            "on_train_batch_begin": callback.on_train_batch_begin,
            "on_train_batch_end": callback.on_train_batch_end,
            "on_test_begin": lambda _: callback.on_test_begin(),
            "on_test_batch_begin": callback.on_test_batch_begin,
            "on_test_batch_end": callback.on_test_batch_end,
            "on_test_end": lambda _: callback.on_test_end(),
            "on_predict_batch_begin": callback.on_predict_batch_begin,
            "on_predict_batch_end": callback.on_predict_batch_end,
        }
        print(f"{keras.backend.backend()}, {calls} calls each, microseconds")
        print(f"{'hook':24}{'median':>9}{'p99':>9}{'max':>10}{'model':>8}")
        fine = True
        for name, hook in hooks.items():
            callback.touched = 0
            median, p99, most = microseconds(hook, calls)
            print(f"{name:24}{median:9.2f}{p99:9.2f}{most:10.1f}{callback.touched:8}")
            fine = fine and median <= LIMIT and not callback.touched
        own = [name for name in vars(mb.ModelCheckpoint) if name.startswith("on_")]
        print(f"Hooks of our own: {', '.join(own)}.")
        print(f"Medians within {LIMIT:.0f} microseconds: {'yes' if fine else 'NO'}")
        return fine


if __name__ == "__main__":
    sys.exit(not main(int(sys.argv[1]) if sys.argv[1:] else 20_000))
