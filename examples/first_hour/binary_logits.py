"""Two classes, and a last layer that gives logits.

python binary_logits.py
"""

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

keras.utils.set_random_seed(1)
x, benign = load_breast_cancer(return_X_y=True)
x, xv, y, yv = train_test_split(scale(x), 1 - benign, test_size=0.4, random_state=0)

model = keras.Sequential(
    [
        keras.Input((30,)),
        keras.layers.Dense(16, "relu"),
        keras.layers.Dense(1),  # No sigmoid: these are logits.
    ]
)
model.compile(
    "adam",
    keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[
        mb.metrics.F1Score(from_logits=True),
        mb.metrics.AUROC(from_logits=True),
    ],
)
ckpt = mb.ModelCheckpoint("runs/logits", monitor="val_f1_score", save_top_k=3)
history = model.fit(
    x, y, validation_data=(xv, yv), epochs=5, callbacks=[ckpt], verbose=0
)

best = mb.load_best("runs/logits")
again = best.evaluate(xv, yv, verbose=0, return_dict=True)
print("best F1 in training:", ckpt.best_model_score)
print("the loaded model's: ", again["f1_score"])
assert abs(again["f1_score"] - max(history.history["val_f1_score"])) < 1e-6
assert again["auroc"] > 0.9
