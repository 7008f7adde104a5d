"""Monitor an accuracy by its name: a function, a class, or Keras's own.

What people do today: guess the name. Keras calls a function by its `__name__`, an
object by its `name=` and its own by the string that was given; a name that is not in
the logs gets a warning, and Keras 3.15 then saves every epoch over the best one.

What to do: give the name. Which way is better is known for Keras's metrics and for a
class that says `direction`; say `mode=` for a function. A misspelt name fails at once,
with what it may have meant, and nothing is saved.

    python accuracy_by_name.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import keras
from keras import ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
keras.utils.set_random_seed(5)


@keras.saving.register_keras_serializable("examples")
def share_right(y_true, y_pred):
    # One value a sample: Keras averages these rightly.
    right = ops.cast(ops.reshape(y_true, (-1,)), "int32") == ops.argmax(y_pred, -1)
    return ops.cast(right, "float32")


@keras.saving.register_keras_serializable("examples")
class CountedAccuracy(keras.metrics.Metric):
    """Count what is right, and divide once."""

    direction = "max"

    def __init__(self, name="counted", **arguments):
        super().__init__(name=name, **arguments)
        self.right = self.add_variable((), "zeros", name="right")
        self.seen = self.add_variable((), "zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
        """Add a batch."""
        right = share_right(y_true, y_pred)
        self.right.assign(self.right + ops.sum(right))
        self.seen.assign(self.seen + ops.cast(ops.size(right), "float32"))

    def result(self):
        """Divide."""
        return ops.divide_no_nan(self.right, self.seen)


x, y = load_digits(return_X_y=True)
x, xv, y, yv = train_test_split(x / 16, y, test_size=0.4, random_state=0, stratify=y)
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
model.compile(
    keras.optimizers.Adam(0.01),
    "sparse_categorical_crossentropy",
    metrics=[share_right, CountedAccuracy(), "accuracy"],
)

misspelt = mb.ModelCheckpoint(folder / "misspelt", monitor="val_acuracy")
try:
    model.fit(x, y, validation_data=(xv, yv), callbacks=[misspelt], verbose=0)
except mb.errors.MonitorError as error:
    message = str(error)
print(f"A misspelt name fails at once:\n  {message}\n")

kept = [
    mb.ModelCheckpoint(folder / "function", "val_share_right", mode="max"),
    mb.ModelCheckpoint(folder / "class", "val_counted"),
    mb.ModelCheckpoint(folder / "keras", "val_accuracy"),
]
model.fit(x, y, validation_data=(xv, yv), epochs=6, callbacks=kept, verbose=0)
for ckpt, metric in zip(kept, ("share_right", "counted", "accuracy"), strict=True):
    best = mb.load_best(ckpt.dirpath)
    again = best.evaluate(xv, yv, verbose=0, return_dict=True)[metric]
    print(f"val_{metric:12} best {ckpt.best_model_score:.6f}, reloaded {again:.6f}")
    assert abs(again - ckpt.best_model_score) < 1e-6
    assert abs(again - kept[0].best_model_score) < 1e-6

assert "Did you mean 'val_accuracy'" in message
assert not misspelt.last_model_path
print("Shown: three ways to name an accuracy, and none that saves by mistake.")
