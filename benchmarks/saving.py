"""What saving costs, side by side with others and with what the machine can do.

    KERAS_BACKEND=jax python benchmarks/saving.py [MEGABYTES] [ROUNDS]

One model with Adam, its state MEGABYTES large. The rounds are interleaved: each way
once, then all again; after 100 seconds no further round begins. Each figure is a
median with the lowest and the highest round.

    blocks   training waits so long, as a multiple of one fresh copy of the state
    total    until it is on the disk, or until the library says that it is done, as a
             multiple of copy + raw write + fsync
    loads    back into host arrays, checksums verified where there are some, as a
             multiple of raw read + copy + hash
    memory   the highest resident size during it, above that before, in copies of the
             state; Linux only

Only multiback fsyncs what it writes; the others leave that to the kernel. Then what was
promised, with a verdict each; the steps beside a save are made with one core free.
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

# One thread for the steps, so that a core is free for what is written beside them.
for variable, value in {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}.items():
    os.environ.setdefault(variable, value)

import keras  # noqa: E402 - after the settings above
import numpy as np  # noqa: E402
import xxhash  # noqa: E402

import multiback as mb  # noqa: E402

SECONDS = 100
STEPS = 10
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


class Lightning(Way):
    """Lightning's own way to write a checkpoint, `torch.save` in this thread."""

    def io(self):
        from lightning.pytorch.plugins.io import TorchCheckpointIO

        return TorchCheckpointIO()

    def save(self):
        io = self.io()
        state = {str(i): v.value for i, v in enumerate(variables(self.model))}
        io.save_checkpoint({"state_dict": state}, str(self.folder / "m.ckpt"))
        return io.teardown

    def load(self):
        self.io().load_checkpoint(str(self.folder / "m.ckpt"))


class AsyncLightning(Lightning):
    """The same in Lightning's background thread."""

    def io(self):
        from lightning.pytorch.plugins.io import AsyncCheckpointIO

        return AsyncCheckpointIO(super().io())


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


def copies(model, folder, buffers, state):
    """Return the most memory that saves one right after the other take, in bytes."""
    settle()
    ckpt = mb.Checkpointer(folder, buffers=buffers)
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")
    before = status("VmRSS")
    for _ in range(3):
        ckpt.step(model, {})
    ckpt.wait()
    extra = status("VmHWM") - before
    ckpt.finish()
    return extra, extra / state


def slowdown(model, x, folder):
    """Compare steps with and without a save beside them, block by block."""
    ckpt = mb.Checkpointer(folder)
    ratios, alone, blocked, saving = [], [], [], []
    for block in range(9):
        seconds = {}
        # In turn first and second: whatever drifts favours none.
        for saves in (block % 2 == 0, block % 2 == 1):
            if saves:
                start = time.perf_counter()
                ckpt.step(model, {})
                blocked.append(time.perf_counter() - start)
            begun = time.perf_counter()
            for _ in range(STEPS):
                model.train_on_batch(x, x)
            seconds[saves] = time.perf_counter() - begun
            if saves:
                ckpt.wait()
                saving.append(time.perf_counter() - start)
        ratios.append(seconds[True] / seconds[False])
        alone.append(seconds[False])
    ckpt.finish()
    return ratios[1:], alone[1:], blocked[1:], saving[1:]


def spread(values, digits=2):
    """Write a median and the extremes."""
    found = (statistics.median(values), min(values), max(values))
    return "{} ({}-{})".format(*(f"{value:.{digits}f}" for value in found))


def promise(what, values, limit, *, least=False):
    """Print what was promised beside what came."""
    middle = statistics.median(values)
    kept = middle >= limit if least else middle <= limit
    print(
        f"  {what:44} {spread(values):>20}  {'>=' if least else '<='} {limit:<5}"
        f" {'kept' if kept else 'NOT KEPT'}"
    )


def opened(kinds, model, folder):
    """Make each way and let it save once: the first also allocates what stays."""
    ways, first = {}, {}
    for kind in kinds:
        try:
            ways[kind.__name__] = kind(model, Path(folder, kind.__name__))
            first[kind.__name__] = measure(ways[kind.__name__])[3]
        except Exception as error:  # noqa: BLE001 - another library's, to be shown
            ways.pop(kind.__name__, None)
            print(f"{kind.__name__} does not run: {error!r:.150}")
    return ways, first


def measured(ways, rounds):
    """Measure in turns; return the rounds of each."""
    rows = {name: [] for name in ways}
    end = time.perf_counter() + SECONDS
    for done in range(rounds):
        if done > 1 and time.perf_counter() > end:
            break
        for name, way in ways.items():
            rows[name].append(measure(way))
    for way in ways.values():
        way.close()
    return rows


def main(megabytes, rounds):
    """Measure and print."""
    warnings.simplefilter("ignore")
    model, x = make_model(megabytes)
    state = sum(v.numpy().nbytes for v in variables(model))
    kinds = [Limit, Multiback, OneBuffer, Keras, Orbax]
    kinds += [Lightning, AsyncLightning, AsyncDcp] if BACKEND == "torch" else []
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as folder:
        # Once before: the first save of a process imports and caches what stays.
        copies(model, Path(folder, "warm"), 1, state)
        two, one = (
            copies(model, Path(folder, f"memory-{n}"), n, state) for n in (2, 1)
        )
        ways, first = opened(kinds, model, folder)
        rows = measured(ways, rounds)
        steps = slowdown(model, x, Path(folder, "steps"))
    limits = rows.pop("Limit")
    copy, total, loads, _ = (list(column) for column in zip(*limits, strict=True))
    print(f"{BACKEND}, state {state / 1e6:.0f} MB, {len(limits)} rounds, ", end="")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"limits: copy {spread(copy)} s, copy + write + fsync {spread(total)} s,")
    print(f"        read + copy + hash {spread(loads)} s")
    heads = ("blocks", "total", "loads", "memory")
    print(" " * 14 + "".join(f"{head:>20}" for head in heads))
    # Round by round: what slows the machine slows both.
    ratios = {
        name: [
            [mine[i] / limit[i] for mine, limit in zip(values, limits, strict=True)]
            for i in range(3)
        ]
        for name, values in rows.items()
    }
    for name, values in rows.items():
        most = max(first[name], *(value[3] for value in values)) * 1e6 / state
        cells = [*map(spread, ratios[name]), f"{most:.2f}"]
        print(f"{name:14}" + "".join(f"{cell:>20}" for cell in cells))
    seconds = {name: [value[0] for value in values] for name, values in rows.items()}
    pairs = zip(seconds["Keras"], seconds["Multiback"], strict=True)
    print("promised:")
    promise("blocking / one fresh copy", ratios["Multiback"][0], 1.3)
    promise("Keras's .keras save / blocking", [k / m for k, m in pairs], 5, least=True)
    promise("total / (copy + raw write + fsync)", ratios["Multiback"][1], 1.3)
    promise("loading / (raw read + copy + hash)", ratios["Multiback"][2], 1.3)
    slack = 64e6 / state
    promise("memory, two buffers, copies of the state", [two[1]], round(2 + slack, 2))
    promise("memory, one buffer, copies of the state", [one[1]], round(1 + slack, 2))
    promise(f"{STEPS} steps beside a save / alone", steps[0], 1.05)
    print(f"  {STEPS} steps alone {spread(steps[1])} s; a save blocks ", end="")
    print(f"{spread(steps[2], 3)} s and is on the disk after {spread(steps[3])} s")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [300, 5][len(arguments) :]))
