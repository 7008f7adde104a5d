"""Keep the best by the largest F1 of any threshold, and get that threshold back.

What people do today: monitor an F1 at 0.5, and search for a better threshold after
training, by hand. The epoch with the best F1 at 0.5 is another one than the epoch
with the best F1 of all thresholds, and the threshold is lost with the notebook.

What to do: monitor `MaxFBeta`. Its threshold is recorded with each checkpoint, and
`threshold_of` returns it beside the model of `load_best`. Any metric can be monitored
so: below also NDCG on rows of ranked classes, and the IoU of one class.

    python best_f_of_any_threshold.py [DIRECTORY]
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import f1_score, ndcg_score, precision_recall_curve

import multiback as mb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
keras.utils.set_random_seed(1)

# Malignant tumours are the positives, a third of all.
x, y = load_breast_cancer(return_X_y=True)
x, y = (x - x.mean(0)) / x.std(0), 1 - y
x, xv, y, yv = x[:200, :4], x[200:, :4], y[:200], y[200:]

model = keras.Sequential(
    [
        keras.Input((4,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=[mb.metrics.MaxFBeta()]
)
ckpt = mb.ModelCheckpoint(folder / "tumours", monitor="val_max_f_beta")
fit = {"batch_size": 20, "epochs": 6, "verbose": 0}
model.fit(x, y, validation_data=(xv, yv), callbacks=[ckpt], **fit)

best, threshold = mb.load_best(ckpt.dirpath), mb.threshold_of(ckpt.dirpath)
scores = best.predict(xv, verbose=0)[:, 0]
by_hand = f1_score(yv, scores > threshold)
precision, recall, _ = precision_recall_curve(yv, scores)
largest = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-9))
print(f"Malignant where the score is above {threshold:.3f}: F1 {by_hand:.4f}")
print(f"At 0.5 the same model has an F1 of {f1_score(yv, scores > 0.5):.4f}")
assert abs(by_hand - ckpt.best_model_score) < 1e-6
# Two scores may share a bin; capacity= keeps the scores themselves.
assert by_hand <= largest < by_hand + 0.01

# Ten digits: rank the classes of each image, and watch one class alone.
images, digits = load_digits(return_X_y=True)
images, one_hot = images / 16, np.eye(10)[digits]
x, xv, y, yv = images[:600], images[600:], one_hot[:600], one_hot[600:]
model = keras.Sequential(
    [keras.Input((64,)), keras.layers.Dense(10, activation="softmax")]
)
eight = mb.metrics.JaccardIndex(
    task="multiclass", num_classes=10, classes=8, name="iou_of_8"
)
model.compile(
    keras.optimizers.Adam(0.01),
    "categorical_crossentropy",
    metrics=[mb.metrics.NDCG(k=3), eight],
)
slots = [mb.Best("val_ndcg"), mb.Best("val_iou_of_8")]
ckpt = mb.ModelCheckpoint(folder / "digits", keep=slots)
logs = model.fit(x, y, validation_data=(xv, yv), callbacks=[ckpt], **fit).history

best = mb.load_best(ckpt.dirpath, "val_ndcg")
expected = ndcg_score(yv, best.predict(xv, verbose=0), k=3)
print(f"NDCG of the best three classes: {max(logs['val_ndcg']):.4f}")
print(f"IoU of the eights: {max(logs['val_iou_of_8']):.4f}")
assert abs(expected - max(logs["val_ndcg"])) < 1e-5
print("Shown: the threshold of the best F1 comes back with the model.")
