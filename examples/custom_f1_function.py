"""An F1 function in `metrics=` is not the F1 score.

What people do today: `metrics=[f1]` with a function of `y_true` and `y_pred`. Keras
calls it once a batch and averages what it returns, each batch counting the same.
F1 is no mean of its parts: the number changes with the batch size, a batch without a
positive counts as 0, and the checkpoint chosen by it may not be the best one.

What to do: `mb.metrics.F1Score()`, which adds up counts and divides once.

    python custom_f1_function.py [DIRECTORY]
"""

import sys
import tempfile

import keras
from keras import ops
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

import multiback as mb

folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
keras.utils.set_random_seed(4)


@keras.saving.register_keras_serializable("examples")
def f1(y_true, y_pred):
    positive = ops.cast(y_pred > 0.5, "float32")
    y_true = ops.reshape(ops.cast(y_true, "float32"), ops.shape(positive))
    both = ops.sum(y_true * positive)
    return 2 * both / (ops.sum(y_true) + ops.sum(positive) + 1e-7)


x, y = load_digits(return_X_y=True)
y = (y == 8).astype("int32")  # One image in ten is an eight.
x, xv, y, yv = train_test_split(x / 16, y, test_size=0.4, random_state=0, stratify=y)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dense(1, "sigmoid"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.01),
    "binary_crossentropy",
    metrics=[f1, mb.metrics.F1Score()],
)
ckpt = mb.ModelCheckpoint(folder, monitor="val_f1_score")
model.fit(x, y, validation_data=(xv, yv), epochs=10, callbacks=[ckpt], verbose=0)

best = mb.load_best(folder)
right = f1_score(yv, best.predict(xv, verbose=0)[:, 0] > 0.5)
print(f"One model, {len(yv)} images. scikit-learn's F1 is {right:.4f}.")
print("batch size   f1 function   mb.metrics.F1Score")
for size in (4, 8, 32, 128):
    found = best.evaluate(xv, yv, batch_size=size, verbose=0, return_dict=True)
    print(f"{size:10}   {found['f1']:11.4f}   {found['f1_score']:18.4f}")
    assert abs(found["f1_score"] - right) < 1e-6
    assert size > 8 or found["f1"] < right - 0.05

assert abs(ckpt.best_model_score - right) < 1e-6
print("Shown: the function's number depends on the batch size; F1Score's is right.")
