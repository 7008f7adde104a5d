"""Train, keep the best three by F1, load the best, get the same number again.

What people do today: `keras.callbacks.ModelCheckpoint("best.keras", ...)`. It keeps
one file; a misspelt monitor overwrites it every epoch with no more than a warning;
and a program that is stopped while it saves leaves half a file.

What to do: `mb.ModelCheckpoint`, and `mb.load_best` on the same directory.

    python quickstart.py [DIRECTORY]
"""

import sys
import tempfile

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
keras.utils.set_random_seed(1)

x, y = load_breast_cancer(return_X_y=True)
y = 1 - y  # Malignant tumours, the ones to find, are class 0 in scikit-learn.
x, xv, y, yv = train_test_split(scale(x), y, test_size=0.4, random_state=0, stratify=y)

model = keras.Sequential(
    [
        keras.Input((30,)),
        keras.layers.Dense(16, "relu"),
        keras.layers.Dense(1, "sigmoid"),
    ]
)
model.compile(
    "adam",
    "binary_crossentropy",
    metrics=[mb.metrics.Precision(), mb.metrics.Recall(), mb.metrics.F1Score()],
)
ckpt = mb.ModelCheckpoint(folder, monitor="val_f1_score", save_top_k=3)
history = model.fit(
    x, y, validation_data=(xv, yv), epochs=12, callbacks=[ckpt], verbose=0
)

print(f"Kept of 12 epochs, the three best and the last, in {folder}:")
for path, score in ckpt.best_k_models.items():
    print(f"  {score:.4f}  {path.removeprefix(folder)}")

best = mb.load_best(folder)  # Compiled, optimizer state included.
again = best.evaluate(xv, yv, verbose=0, return_dict=True)
print(f"F1 in training {ckpt.best_model_score:.6f}")
print(f"F1 as reloaded {again['f1_score']:.6f}")

ranked = sorted(history.history["val_f1_score"], reverse=True)
assert list(ckpt.best_k_models.values())[:3] == ranked[:3]
assert abs(again["f1_score"] - ckpt.best_model_score) < 1e-6
assert int(best.optimizer.iterations) > 0
print("Shown: the best three were kept, and the best one gives its score again.")
