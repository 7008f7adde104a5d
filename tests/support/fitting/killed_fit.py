"""The process that test_fit_kills.py kills: fit for ever, a commit every epoch.

Its `main` takes RUN LOG SCORES; it writes a line to LOG for each epoch that
has passed the checkpoint callback.
"""

import os

import keras
from support.fitting.problem import Says, fit, model

import multiback as mb


class Notes(keras.callbacks.Callback):
    """Note each epoch that is behind us."""

    def __init__(self, log):
        super().__init__()
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        os.write(self.log, f"{epoch + 1}\n".encode())


def main(run, log, scores):
    monitor = mb.Monitor("score", mode="max", early=False)
    callback = mb.ModelCheckpoint(run, monitor, save_top_k=2, resume="auto")
    says = Says(score=[float(score) for score in scores.split(",")])
    fit(model("accuracy"), says, callback, Notes(log), epochs=len(says.values["score"]))
