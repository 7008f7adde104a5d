"""What saving costs, side by side with others and with what the machine can do.

    KERAS_BACKEND=jax python benchmarks/saving.py [MEGABYTES] [ROUNDS]

One model with Adam, its state MEGABYTES large. The rounds are interleaved: each way
once, then all again. Printed are medians, the lowest and the highest round.

    blocks   training waits so long
    total    until it is on the disk, or until the library says that it is done
    memory   the highest resident size during it, above that before; Linux only
    loads    back into host arrays, checksums verified where there are some

The limits: `copy` copies the state into fresh host arrays, `write` writes the same
bytes and fsyncs, `read` reads them, copies and hashes. Only multiback fsyncs what it
writes; the others leave that to the kernel. Last, how much slower the steps are while
a save is written beside them.
"""

import contextlib
import ctypes
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import xxhash

import multiback as mb

BACKEND = keras.backend.backend()
CLEAR_REFS = Path("/proc/self/clear_refs")


def make_model(megabytes):
    """Return a trained model whose weights and Adam slots have that size."""
    width = int((megabytes * 1e6 / (4 * 3 * 4)) ** 0.5)
    layers = [keras.layers.Dense(width, activation="relu") for _ in range(4)]
    model = keras.Sequential([keras.Input((width,)), *layers])
    model.compile("adam", "mse", jit_compile=False)
    x = np.ones((64, width), "float32")
    model.train_on_batch(x, x)
    return model, x


def variables(model):
    """Return all of the state."""
    return [*model.variables, *model.optimizer.variables]


def status(name):
    """Return a size of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def settle():
    """Give free memory back, so that rounds are alike."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Way:
    """One way to save; `save` returns a function that waits, `load` may be absent."""

    load = None

    def __init__(self, model, folder):
        self.model, self.folder = model, folder
        folder.mkdir()

    def close(self):
        """End what runs."""


class Multiback(Way):
    """This package, into buffers that are warm after the first round."""

    buffers = 2

    def __init__(self, model, folder):
        super().__init__(model, folder)
        self.ckpt = mb.Checkpointer(folder, buffers=self.buffers)

    def save(self):
        self.ckpt.step(self.model, {})
        return self.ckpt.wait

    def load(self):
        self.ckpt.wait().tensors()

    def close(self):
        self.ckpt.finish()


class OneBuffer(Multiback):
    """The same with one buffer."""

    buffers = 1


class Keras(Way):
    """`keras.callbacks.ModelCheckpoint`."""

    def save(self):
        callback = keras.callbacks.ModelCheckpoint(str(self.folder / "m.keras"))
        callback.set_model(self.model)
        callback.on_epoch_end(0, {})
        return lambda: None

    def load(self):
        keras.saving.load_model(self.folder / "m.keras")


class Orbax(Way):
    """`keras.callbacks.OrbaxCheckpoint`, in the background too."""

    def __init__(self, model, folder):
        super().__init__(model, folder)
        self.callback = keras.callbacks.OrbaxCheckpoint(str(folder), max_to_keep=1)
        self.callback.set_model(model)
        self.epoch = -1

    def save(self):
        self.epoch += 1
        self.callback.on_epoch_end(self.epoch, {})
        return self.callback.wait_until_finished


class TorchSave(Way):
    """What Lightning's default does: `torch.save` of tensors in this thread."""

    def save(self):
        import torch

        torch.save(
            {str(i): v.value for i, v in enumerate(variables(self.model))},
            self.folder / "m.ckpt",
        )
        return lambda: None

    def load(self):
        import torch

        torch.load(self.folder / "m.ckpt")


class AsyncDcp(Way):
    """torch's distributed checkpoint, `async_save`, in one process."""

    def __init__(self, model, folder):
        super().__init__(model, folder)
        import torch.distributed as dist

        if not dist.is_initialized():
            store = dist.FileStore(str(folder.parent / "store"), 1)
            dist.init_process_group("gloo", store=store, rank=0, world_size=1)

    def save(self):
        import torch.distributed.checkpoint as dcp

        state = {str(i): v.value.detach() for i, v in enumerate(variables(self.model))}
        shutil.rmtree(self.folder, ignore_errors=True)
        future = dcp.async_save(state, checkpoint_id=str(self.folder))
        return future.result


class Limit(Way):
    """A fresh copy, then the plainest write, read and hash of the same bytes."""

    def save(self):
        arrays = [v.numpy() for v in variables(self.model)]

        def write():
            descriptor = os.open(
                self.folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            )
            for array in arrays:
                view = memoryview(np.ascontiguousarray(array)).cast("B")
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            os.close(descriptor)

        return write

    def load(self):
        content = (self.folder / "raw").read_bytes()
        np.frombuffer(content, np.uint8).copy()
        xxhash.xxh3_128(content).digest()


def measure(way):
    """Save and load once; return seconds, and bytes of memory."""
    settle()
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")
    before, start = status("VmRSS"), time.perf_counter()
    wait = way.save()
    blocks = time.perf_counter() - start
    wait()
    total = time.perf_counter() - start
    memory = status("VmHWM") - before
    del wait
    settle()
    start = time.perf_counter()
    if way.load is not None:
        way.load()
    loads = time.perf_counter() - start if way.load is not None else float("nan")
    return blocks, total, loads, memory / 1e6


def slowdown(model, x, folder):
    """Compare steps with and without a save beside them, block by block."""
    ckpt = mb.Checkpointer(folder)
    ratios, blocked = [], []
    for _ in range(7):
        seconds = {}
        for saves in (False, True):
            if saves:
                start = time.perf_counter()
                ckpt.step(model, {})
                blocked.append(time.perf_counter() - start)
            start = time.perf_counter()
            for _ in range(10):
                model.train_on_batch(x, x)
            seconds[saves] = time.perf_counter() - start
            ckpt.wait()
        ratios.append(seconds[True] / seconds[False])
    ckpt.finish()
    return ratios[1:], blocked[1:], seconds[False]


def spread(values, scale=1.0):
    """Write a median and the extremes."""
    values = [value / scale for value in values]
    return f"{statistics.median(values):6.2f} ({min(values):.2f}-{max(values):.2f})"


def main(megabytes, rounds):
    """Measure and print."""
    warnings.simplefilter("ignore")
    model, x = make_model(megabytes)
    state = sum(v.numpy().nbytes for v in variables(model))
    kinds = [Limit, Multiback, OneBuffer, Keras, Orbax]
    kinds += [TorchSave, AsyncDcp] if BACKEND == "torch" else []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        ways, first = {}, {}
        for kind in kinds:
            try:
                ways[kind.__name__] = kind(model, Path(folder, kind.__name__))
                # The first also allocates what stays.
                first[kind.__name__] = measure(ways[kind.__name__])[3]
            except Exception as error:  # noqa: BLE001 - another library's, to be shown
                ways.pop(kind.__name__, None)
                print(f"{kind.__name__} does not run: {error!r:.150}")
        rows = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                rows[name].append(measure(way))
        for way in ways.values():
            way.close()
        copy, total, loads, _ = (list(c) for c in zip(*rows["Limit"], strict=True))
        print(f"{BACKEND}, state {state / 1e6:.0f} MB, {rounds} rounds, ", end="")
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print(f"limits: copy {spread(copy)} s, copy + write + fsync {spread(total)} s,")
        print(f"        read + copy + hash {spread(loads)} s")
        print("as ratios to these limits, and memory in MB:")
        heads = ("blocks", "total", "loads", "memory")
        print(" " * 12 + "".join(f"{head:>22}" for head in heads))
        for name, values in rows.items():
            if name == "Limit":
                continue
            # Round by round: what slows the machine slows both.
            ratios = [
                [
                    mine[i] / limit[i]
                    for mine, limit in zip(values, rows["Limit"], strict=True)
                ]
                for i in range(3)
            ]
            most = max(first[name], *(value[3] for value in values))
            cells = [*map(spread, ratios), f"{most:.0f}"]
            print(f"{name:12}" + "".join(f"{cell:>22}" for cell in cells), flush=True)
        ratios, blocked, ten = slowdown(model, x, Path(folder, "steps"))
    print(f"10 steps take {ten:.2f} s; beside a save {spread(ratios)} times as long,")
    print(f"and before them a save blocks for {spread(blocked)} s")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [300, 5][len(arguments) :]))
