"""Keep the best by precision and recall: a callback of your own, or one line.

What people do today: a callback that saves "if both are better than before". After
one epoch with a lucky precision it never saves again, however good the model gets.
With F1 in its place it dies in the first epoch without a positive prediction, by a
division by zero; and `model.save` overwrites the only copy in place.

What to do: say what "best" means. Any expression of log names is a monitor, and a
condition goes into `where=`. An epoch without a value is never best.

    python precision_and_recall.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
keras.utils.set_random_seed(2)


class BestByHand(keras.callbacks.Callback):
    """What people write: save if both are better."""

    precision = recall = epoch = 0

    def on_epoch_end(self, epoch, logs=None):
        """Compare, remember and overwrite."""
        if logs["val_precision"] > self.precision and logs["val_recall"] > self.recall:
            self.precision, self.recall = logs["val_precision"], logs["val_recall"]
            self.epoch = epoch
            self.model.save(folder / "by_hand.keras")


by_hand = BestByHand()
f1_line = "2 * val_precision * val_recall / (val_precision + val_recall)"
by_f1 = mb.ModelCheckpoint(folder / "f1", f1_line, mode="max")
sure = mb.Monitor("val_recall", where="val_precision >= 0.9")
by_recall = mb.ModelCheckpoint(folder / "recall", sure)

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
    keras.optimizers.Adam(0.02),
    "binary_crossentropy",
    metrics=[mb.metrics.Precision(), mb.metrics.Recall()],
)
history = model.fit(
    x,
    y,
    validation_data=(xv, yv),
    epochs=12,
    callbacks=[by_hand, by_f1, by_recall],
    verbose=0,
).history

pairs = list(zip(history["val_precision"], history["val_recall"], strict=True))
f1 = [2 * p * r / (p + r) if p + r else 0.0 for p, r in pairs]
best = f1.index(max(f1))
most = max(r for p, r in pairs if p >= 0.9)
print("epoch  precision  recall      F1")
for epoch, (precision, recall) in enumerate(pairs):
    marks = "  <- by hand" * (epoch == by_hand.epoch) + "  <- by F1" * (epoch == best)
    print(f"{epoch + 1:5}  {precision:9.4f}  {recall:6.4f}  {f1[epoch]:6.4f}{marks}")
print(f"By hand: kept an F1 of {f1[by_hand.epoch]:.4f}")
print(f"One line: kept an F1 of {by_f1.best_model_score:.4f}, the highest there was")
print(f"Recall of the best at a precision of 0.9: {by_recall.best_model_score:.4f}")

reloaded = mb.load_best(folder / "f1").predict(xv, verbose=0)[:, 0] > 0.5
assert by_f1.best_model_score == max(f1) >= f1[by_hand.epoch]
assert abs(f1_score(yv, reloaded) - max(f1)) < 1e-6
assert by_recall.best_model_score == most
print("Shown: the one line kept the best F1, and scikit-learn finds it again.")
