"""Ten classes, with labels that are class ids.

python multiclass_ids.py
"""

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import multiback as mb

keras.utils.set_random_seed(1)
x, y = load_digits(return_X_y=True)
x, xv, y, yv = train_test_split(x / 16, y, test_size=0.4, random_state=0)

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dense(10, "softmax"),
    ]
)
model.compile(
    "adam",
    "sparse_categorical_crossentropy",
    metrics=[
        mb.metrics.Accuracy(task="multiclass", num_classes=10),
        mb.metrics.F1Score(task="multiclass", num_classes=10),
    ],
)
ckpt = mb.ModelCheckpoint("runs/digits", monitor="val_f1_score")
history = model.fit(
    x, y, validation_data=(xv, yv), epochs=4, callbacks=[ckpt], verbose=0
)

best = mb.load_best("runs/digits")
again = best.evaluate(xv, yv, verbose=0, return_dict=True)
print("best F1 in training:", ckpt.best_model_score)
print("the loaded model's: ", again["f1_score"])
assert abs(again["f1_score"] - max(history.history["val_f1_score"])) < 1e-6
