"""A process is killed in its fifth epoch; the same script, run again, continues.

python kill_and_resume.py
"""

import os
import signal
import subprocess
import sys

import keras
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

import multiback as mb

keras.utils.set_random_seed(1)
x, benign = load_breast_cancer(return_X_y=True)
x, xv, y, yv = train_test_split(scale(x), 1 - benign, test_size=0.4, random_state=0)
model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1, "sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=[mb.metrics.F1Score()])


def stop_hard(epoch, _logs):
    trained.append(epoch + 1)
    if "--killed" in sys.argv and epoch + 1 == 5:
        os.kill(os.getpid(), signal.SIGKILL)


trained = []
if "--killed" not in sys.argv:  # Another process runs this script, and is killed.
    subprocess.run([sys.executable, __file__, "--killed"], check=False)

ckpt = mb.ModelCheckpoint("runs/killed", monitor="val_f1_score", resume="auto")
with ckpt:
    history = model.fit(
        x,
        y,
        validation_data=(xv, yv),
        epochs=8,
        callbacks=[ckpt, keras.callbacks.LambdaCallback(on_epoch_begin=stop_hard)],
        verbose=0,
    )
print("epochs of this process:", trained)
print("epochs of the run:     ", len(mb.history("runs/killed")))
print("best F1 of the run:    ", ckpt.best_model_score)
assert trained in ([4, 5, 6, 7, 8], [5, 6, 7, 8])
assert len(history.history["loss"]) == 8
assert abs(ckpt.best_model_score - max(history.history["val_f1_score"])) < 1e-6
