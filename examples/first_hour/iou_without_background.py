"""Segmentation: the overlap (IoU) of the classes, without the background.

python iou_without_background.py
"""

import keras
import numpy as np

import multiback as mb

keras.utils.set_random_seed(1)
rng = np.random.default_rng(0)


def pictures(count):
    """Draw a bright square (class 1) and a dark one (class 2) on grey (class 0)."""
    x = rng.normal(0, 0.3, (count, 16, 16, 1))
    y = np.zeros((count, 16, 16), "int32")
    for image, mask in zip(x, y, strict=True):
        for kind, light in ((1, 1.0), (2, -1.0)):
            row, column = rng.integers(0, 12, 2)
            image[row : row + 4, column : column + 4] += light
            mask[row : row + 4, column : column + 4] = kind
    return x, y


x, y = pictures(64)
xv, yv = pictures(32)

model = keras.Sequential(
    [
        keras.Input((16, 16, 1)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(3, 3, padding="same"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.02),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[mb.metrics.JaccardIndex(task="multiclass", num_classes=3, classes=[1, 2])],
)
ckpt = mb.ModelCheckpoint("runs/squares", monitor="val_jaccard_index")
model.fit(x, y, validation_data=(xv, yv), epochs=6, callbacks=[ckpt], verbose=0)

best = mb.load_best("runs/squares")
predicted = best.predict(xv, verbose=0).argmax(-1)
overlaps = [
    ((predicted == kind) & (yv == kind)).sum()
    / ((predicted == kind) | (yv == kind)).sum()
    for kind in (1, 2)
]
print("best IoU in training:", ckpt.best_model_score)
print("by hand, in NumPy:   ", np.mean(overlaps))
assert abs(np.mean(overlaps) - ckpt.best_model_score) < 1e-4
