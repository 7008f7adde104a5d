"""Keep the best by intersection over union (IoU) rather than by loss.

What people do today: monitor "val_loss", because an IoU needs `mode=` and a name that
is hard to guess (`BinaryIoU()` is called "binary_io_u"). The loss is lowest where the
probabilities are the least wrong, not where the masks overlap most.

What to do: name the metric and monitor it. Keras's own metrics need no `mode=`,
whatever they are called. The same checkpoints can be ranked by anything else that
was in the logs.

    python best_by_iou.py [DIRECTORY]
"""

import sys
import tempfile

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import jaccard_score

import multiback as mb

folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
keras.utils.set_random_seed(6)

# Find the ink of handwritten digits under noise.
images = load_digits().images[..., None] / 16
masks = (images > 0.5).astype("float32")
noisy = images + np.random.default_rng(0).normal(0, 0.5, images.shape)
x, xv, y, yv = noisy[:200], noisy[200:600], masks[:200], masks[200:600]

model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(1, 1, activation="sigmoid"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.02),
    "binary_crossentropy",
    metrics=[keras.metrics.BinaryIoU(target_class_ids=[1], name="ink")],
)
slots = [mb.Best("val_ink"), mb.Best("val_loss")]
ckpt = mb.ModelCheckpoint(folder, keep=slots)
history = model.fit(
    x,
    y,
    batch_size=16,
    validation_data=(xv, yv),
    epochs=12,
    callbacks=[ckpt],
    verbose=0,
).history

by_loss = int(np.argmin(history["val_loss"]))
print("epoch    loss     IoU")
for epoch, (loss, iou) in enumerate(
    zip(history["val_loss"], history["val_ink"], strict=True)
):
    marks = "  <- lowest loss" * (epoch == by_loss)
    marks += "  <- highest IoU" * (epoch == int(np.argmax(history["val_ink"])))
    print(f"{epoch + 1:5}  {loss:.4f}  {iou:.4f}{marks}")


def overlap(model):
    """Let scikit-learn measure it."""
    found = model.predict(xv, verbose=0) >= 0.5
    return jaccard_score(yv.ravel() > 0.5, found.ravel())


best, least_loss = mb.load_best(folder), mb.load_best(folder, "val_loss")
print(f"Best by IoU, by scikit-learn:  {overlap(best):.6f}")
print(f"Best by loss, by scikit-learn: {overlap(least_loss):.6f}")

assert ckpt.best_model_score == max(history["val_ink"])
assert abs(overlap(best) - max(history["val_ink"])) < 1e-6
assert abs(overlap(least_loss) - history["val_ink"][by_loss]) < 1e-6
print("Shown: the checkpoint with the largest overlap was kept, and loads.")
