"""Ask how sure an epoch's lead is before you choose it.

What people do today: they take the epoch whose F1 is the largest, though a validation
set of 200 rows tells an F1 to about 0.03, and the next epoch may be .001 below it.

What to do: let `Best(..., within="1se")` take the epoch with the lowest loss of those
that the data cannot tell from the best. Let `mb.compare` say whether the test rows tell
two epochs apart: on the same rows, which is much surer than two scores side by side.

    python which_epoch.py [DIRECTORY]
"""

import sys
import tempfile

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import multiback as mb

folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
keras.utils.set_random_seed(0)

x, y = load_breast_cancer(return_X_y=True)
x = StandardScaler().fit_transform(x).astype("float32")
x, x_test, y, y_test = train_test_split(x, y, test_size=0.4, random_state=0)
x, x_val, y, y_val = train_test_split(x, y, test_size=0.5, random_state=0)

model = keras.Sequential(
    [
        keras.Input((30,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
metrics = [mb.metrics.F1Score(), mb.metrics.AUROC()]
model.compile(keras.optimizers.Adam(0.005), "binary_crossentropy", metrics=metrics)
near = mb.Best("val_f1_score", within="1se", then=["val_loss"])
checkpoint = mb.ModelCheckpoint(
    folder, keep=[near, mb.Every(epochs=1)], filename="{epoch:03d}"
)
history = model.fit(
    *(x, y),
    validation_data=(x_val, y_val),
    epochs=30,
    verbose=0,
    callbacks=[checkpoint],
)

scores = history.history["val_f1_score"]
highest = f"epoch={scores.index(max(scores)) + 1:03d}"
chosen = checkpoint.best_model_path.rsplit("epoch=", 1)[1]
print(f"{highest} has the highest val_f1_score, {max(scores):.4f}")
print(f"epoch={chosen} is chosen: within one standard error, and the lowest val_loss")

# Rows that nothing was chosen by.
accuracy = [mb.metrics.Accuracy()]
best, test = f"{folder}/best", (x_test, y_test)
two = mb.compare(f"{folder}/{highest}", best, test, metrics=accuracy)
print(two)
three = mb.compare(f"{folder}/epoch=001", best, test, metrics=accuracy)
print(three)

assert two.differences[0].better is None
assert "cannot be told apart by these 228 rows" in str(two)
assert three.differences[0].better == "b"
print("Shown: 228 rows cannot tell two epochs apart, and can tell the first from both.")
