"""The processes of test_shutdown.py: each ends in its own way, a commit pending.

Run as `ended_fit FOLDER ENDING...`. Each ending is a process of its own, forked once
everything is imported, for imports take seconds. Its run is FOLDER/ENDING, what it
prints FOLDER/ENDING.txt; one line "ENDING STATUS" is printed for each.
"""

import contextlib
import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
from support.fitting.problem import Says, fit, model

import multiback as mb

with contextlib.suppress(ImportError):
    # Keras looks for it in `fit`: here once, there in each process.
    import tensorflow as tf  # noqa: F401

from multiback.store import Files, RunDirectory

SCORE = mb.Monitor("score", mode="max", early=False)


class SlowFiles(Files):
    """A disk that takes its time in the background, and may be full."""

    def __init__(self, is_full):
        self.is_full = is_full
        self.reached = threading.Event()

    def sync(self, descriptor):
        if threading.current_thread().name == "multiback-writer":
            self.reached.set()
            time.sleep(0.3)
            if self.is_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().sync(descriptor)


class Ends(keras.callbacks.Callback):
    """End the process before the first batch of the second epoch."""

    def __init__(self, engine, files, how):
        super().__init__()
        self.engine, self.files, self.how = engine, files, how
        self.batches = 0

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002 - Keras's signature
        self.batches += 1
        if self.batches == 3:
            assert self.files.reached.wait(60)
            print("pending:", self.engine._saver._writer.is_busy, flush=True)
            if self.how == "error":
                raise ZeroDivisionError
            if self.how == "exit":
                sys.exit(5)
            if self.how in ("interrupt", "terminate"):
                os.kill(os.getpid(), getattr(signal, KINDS[self.how]))


KINDS = {"interrupt": "SIGINT", "terminate": "SIGTERM"}


def train(run, ending):
    """Train until the end; words of its name say which it is."""
    how, *words = ending.split("-")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    files = SlowFiles("full" in words)
    if how == "loop":
        ckpt = mb.Checkpointer(run, SCORE)
        ckpt.kept.directory = RunDirectory(run, files)
        ckpt.step({"w": np.ones(3)}, {"score": 1.0}, step=2)
        print("pending:", ckpt._saver._writer.is_busy, flush=True)
        return
    callback = mb.ModelCheckpoint(run, SCORE)
    engine = callback._checkpointer
    engine.kept.directory = RunDirectory(run, files)
    with callback if "with" in words else contextlib.nullcontext():
        # Eagerly: nothing is worth compiling for three steps.
        ends = Ends(engine, files, how)
        fit(model(run_eagerly=True), Says(score=[1.0]), callback, ends)


def forked(folder, ending):
    """Start one; in the child this returns None, and the program continues there."""
    child = os.fork()
    if child:
        return child
    output = os.open(folder / f"{ending}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    return None


def main(folder, endings):
    children = {}
    for ending in endings:
        child = forked(folder, ending)
        if child is None:
            train(folder / ending, ending)
            return
        children[ending] = child
    for ending, child in children.items():
        _, status = os.waitpid(child, 0)
        print(ending, os.waitstatus_to_exitcode(status))


main(Path(sys.argv[1]), sys.argv[2:])
