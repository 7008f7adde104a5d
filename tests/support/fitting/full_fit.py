"""The process that test_full_disk.py starts in a mount namespace of its own.

Run as `full_fit FOLDER HOW WHERE STEP`: it mounts a small disk on FOLDER and trains
with a disk that is full but for a few pages, STEP pages more each time. It prints what
became of each checkpoint as JSON. HOW is what the disk's errors are to be, "warn" or
"raise"; WHERE it is saved "here", or in the "background".
"""

import json
import sys
import warnings
from pathlib import Path

import keras
from support.fitting.problem import Says, fit
from support.small_disk import fill, mount

import multiback as mb
from multiback.errors import StoreError
from multiback.store import RunDirectory

# A checkpoint here takes 23.
PAGES = 34


def model():
    keras.utils.set_random_seed(3)
    layers = [keras.Input((4,)), keras.layers.Dense(1000), keras.layers.Dense(1)]
    made = keras.Sequential(layers)
    made.compile("adam", "mse", jit_compile=False)
    return made


def saving(folder, where, **arguments):
    return mb.ModelCheckpoint(
        Path(folder, "run"),
        mb.Monitor("score", mode="max", early=False),
        save_on_background=where == "background",
        **arguments,
    )


def train(callback, fills, epochs):
    """Train with each epoch better than the one before."""
    says = Says(score=[float(epoch) for epoch in range(epochs)])
    fit(model(), says, fills, callback, epochs=epochs)


class Fills(keras.callbacks.Callback):
    """Before an epoch is saved leave so many pages free; None for all."""

    def __init__(self, folder, callback, free, epoch_over):
        super().__init__()
        self.folder, self.callback = folder, callback
        self.free, self.epoch_over = free, epoch_over
        self.ballast, self.before = [], []

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        self.callback.wait()
        self.clear(epoch)
        self.before = epochs_in(self.callback.dirpath)
        if self.free(epoch) is not None:
            self.ballast = fill(self.folder, "bytes", self.free(epoch))

    def clear(self, epochs):
        """Make room again, and say what came of the last epoch."""
        for path in self.ballast:
            path.unlink()
        self.ballast = []
        if epochs:
            self.epoch_over(epochs, self.before)


def epochs_in(run):
    """Verify what is there, and return the epochs."""
    runs = RunDirectory(run)
    found = runs.checkpoints()
    for one in found:
        one.verify()
    assert not [*runs.skipped, *runs.path.rglob(".tmp-*")]
    return [one.epoch for one in found]


def say(**facts):
    print(json.dumps(facts))


def warned(folder, where, step):
    """Train to the end whatever the disk says, with room in every second epoch."""
    callback = saving(folder, where, on_save_error="warn")

    def free(epoch):
        return epoch // 2 * step if epoch % 2 else None

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")

        def epoch_over(epochs, before):
            texts = [str(one.message) for one in heard]
            heard.clear()
            told = "".join(text for text in texts if "was not saved" in text)
            there = epochs_in(callback.dirpath)
            pages = free(epochs - 1)
            say(pages=pages, epoch=epochs, before=before, there=there, told=told)

        fills = Fills(folder, callback, free, epoch_over)
        epochs = 2 * len(range(0, PAGES, step)) + 1
        train(callback, fills, epochs)
        fills.clear(epochs)


def raised(folder, where, step):
    """Train until the disk says something; resume where there is room again."""
    for pages in range(0, PAGES, step):
        callback = saving(folder, where, resume="auto")
        before = epochs_in(callback.dirpath)
        # A first epoch with room, and a second without.
        epochs = max([0, *before]) + 2
        fills = Fills(
            folder,
            callback,
            # Now, and not as they will be in the next round.
            lambda epoch, last=epochs - 1, pages=pages: (
                pages if epoch == last else None
            ),
            lambda *_: None,
        )
        told = ""
        try:
            train(callback, fills, epochs)
        except StoreError as error:
            told = str(error)
        fills.clear(epochs)
        there = epochs_in(callback.dirpath)
        say(pages=pages, epoch=epochs, before=[epochs - 1], there=there, told=told)


def main(folder, how, where, step):
    mount(folder)
    {"warn": warned, "raise": raised}[how](folder, where, int(step))


main(*sys.argv[1:])
