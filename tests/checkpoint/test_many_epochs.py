"""A long training takes no more for its last epochs than for its first.

MULTIBACK_EPOCHS is how many; a torture session has 2,000.
"""

import os
import threading
import time
from pathlib import Path

import keras
import pytest
from support.fitting.problem import fit, model

import multiback as mb

EPOCHS = int(os.environ.get("MULTIBACK_EPOCHS", "60"))
FEW = EPOCHS // 5
pytestmark = pytest.mark.torture
linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="of Linux")


class Measures(keras.callbacks.Callback):
    """Note what the process holds, and the time, at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.held, self.times = [], []

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        self.held.append((pages, threading.active_count(), descriptors))
        self.times.append(time.perf_counter())


def typical(values):
    return sorted(values)[len(values) // 2]


@linux
def test_memory_threads_files_and_time_stay_as_they_were(tmp_path):
    measures = Measures()
    callback = mb.ModelCheckpoint(tmp_path, "loss", mode="min", save_top_k=2)
    fit(model("accuracy"), callback, measures, epochs=EPOCHS)
    early, late = (
        measures.held[part] for part in (slice(FEW, 2 * FEW), slice(-FEW, None))
    )
    pages, threads, descriptors = (
        [typical([one[k] for one in part]) for part in (early, late)] for k in range(3)
    )
    # Keras itself keeps its history: some bytes an epoch.
    assert pages[1] - pages[0] < 4096 + 2 * EPOCHS
    assert threads[1] <= threads[0] + 1
    assert descriptors[1] <= descriptors[0] + 2
    taken = [b - a for a, b in zip(measures.times, measures.times[1:], strict=False)]
    assert typical(taken[-FEW:]) < 3 * typical(taken[FEW : 2 * FEW])
    kept = list((tmp_path / "checkpoints").iterdir())
    assert len(kept) <= 3
    assert all((one / "trainer.json").stat().st_size < 4096 for one in kept)
