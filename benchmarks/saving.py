"""What saving costs, side by side with others and with what the machine can do.

    KERAS_BACKEND=jax python benchmarks/saving.py [MEGABYTES] [ROUNDS] [OTHERS]

One model with Adam, its state MEGABYTES large. The rounds are interleaved: each way
once, in another order each time, then all again; other libraries stop after OTHERS
rounds, and after 60 seconds no further round begins. Each figure is a median with the
lowest and the highest round, against the limit of the same round.

    blocks   training waits so long, as a multiple of one fresh copy of the state
    total    until it is on the disk, or until the library says that it is done, as a
             multiple of copy + raw write + fsync
    loads    back into host arrays, checksums verified where there are some, as a
             multiple of raw read + copy + hash
    memory   the highest resident size during it, above that before, in copies of the
             state; Linux only

The limit does what any writer must do who may lose nothing: it writes a new file while
the old one is there, waits for the disk, changes the names, and ends the old one. To
truncate one file and write it again would be quicker, for its memory is at hand, and a
crash in the middle would leave neither.

Before each turn as much memory as both need is touched and given back, by arrays and by
the cache of a file. In a virtual machine whose host takes back what is free, the first
touch of 0.3 GB takes from 0.3 to 1.5 s, a second later again, and a program right after
one that freed some does not pay it: that decided earlier figures, and not what
a way does.

multiback, Orbax and torch's distributed checkpoint fsync what they write; Keras and
Lightning leave that to the kernel. Then what was promised, with a verdict each. Ten
steps beside a save are compared with the ten before and the ten after, and so are ten
beside a plain write and fsync of as many bytes, and ten beside nothing. A core must be
free: how many processors the steps keep busy alone stands there too.
"""

import contextlib
import ctypes
import gc
import mmap
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

# One thread for the steps, so that a core is free for what is written beside them:
# within an operation, and for operations that do not need each other.
for variable, value in {
    "OMP_NUM_THREADS": "1",
    "NPROC": "1",  # For JAX, whose pool of threads has no other name.
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}.items():
    os.environ.setdefault(variable, value)

import keras  # noqa: E402 - after the settings above
import numpy as np  # noqa: E402
from ways_to_save import (  # noqa: E402
    AsyncDcp,
    AsyncLightning,
    Keras,
    Lightning,
    Limit,
    Multiback,
    OneBuffer,
    Orbax,
    variables,
)

import multiback as mb  # noqa: E402

SECONDS = 60
STEPS = 10
OURS = ("Limit", "Multiback", "OneBuffer")
# In states: a copy and a file, or a file in memory and what is made of it.
TOUCHED = 2
BACKEND = keras.backend.backend()
IS_TORCH = BACKEND == "torch"
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


def status(name):
    """Return a size of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def settle(size):
    """Give free memory back, and let so many bytes be at hand, so turns are alike."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    np.empty(int(size), np.uint8)[:: mmap.PAGESIZE] = 1
    # A file's cache is made of other free memory than a large array is.
    piece = memoryview(bytes(1 << 20))
    with tempfile.TemporaryFile(dir=Path.cwd(), buffering=0) as stream:
        for _ in range(int(size) >> 20):
            stream.write(piece)


def measure(way, state):
    """Save and load once; return seconds, and bytes of memory."""
    settle(TOUCHED * state)
    # Keras and Lightning leave files to the kernel: the next fsync would write it.
    os.sync()
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")
    before, start = status("VmRSS"), time.perf_counter()
    wait = way.save()
    blocks = time.perf_counter() - start
    wait()
    total = time.perf_counter() - start
    memory = status("VmHWM") - before
    del wait
    settle(TOUCHED * state)
    start = time.perf_counter()
    if way.load is not None:
        way.load()
    loads = time.perf_counter() - start if way.load is not None else float("nan")
    return blocks, total, loads, memory / 1e6


def copies(model, folder, buffers, state):
    """Return the most memory that saves one right after the other take, in bytes."""
    settle(0)
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
    """Time steps beside a save and beside a plain write, each between steps alone."""
    folder.mkdir()
    ours, plain = Multiback(model, folder / "ours"), Limit(model, folder / "plain")

    def write():
        thread = threading.Thread(target=plain.save())
        thread.start()
        return thread.join

    def steps():
        begun = time.perf_counter()
        for _ in range(STEPS):
            model.train_on_batch(x, x)
        return time.perf_counter() - begun

    beside = {"save": ours.save, "write": write, "nothing": lambda: lambda: None}
    ratios = {name: [] for name in beside}
    alone, busy, blocked, total = [], [], [], []
    # What drifts in a machine slows the neighbours as well: before, after.
    before = steps()
    dice = random.Random(0)  # noqa: S311 - no secret
    for block in range(10):
        turns = list(beside)
        dice.shuffle(turns)
        for name in turns:
            start = time.perf_counter()
            wait = beside[name]()
            blocks = time.perf_counter() - start
            seconds = steps()
            wait()
            both = time.perf_counter() - start
            used = time.process_time()
            after = steps()
            used = time.process_time() - used
            if block:  # The first one also allocates what stays.
                ratios[name].append(2 * seconds / (before + after))
                alone.append(after)
                busy.append(used / after)
                if name == "save":
                    blocked.append(blocks)
                    total.append(both)
            before = after
    ours.close()
    return ratios, alone, busy, blocked, total


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
        f" {'kept' if kept else 'missed'}"
    )


def opened(kinds, model, folder, state):
    """Make each way and let it save once: the first also allocates what stays."""
    ways, first = {}, {}
    for kind in kinds:
        try:
            ways[kind.__name__] = kind(model, Path(folder, kind.__name__))
            first[kind.__name__] = measure(ways[kind.__name__], state)[3]
        except Exception as error:  # noqa: BLE001 - another library's, to be shown
            ways.pop(kind.__name__, None)
            print(f"{kind.__name__} does not run: {error!r:.150}")
    return ways, first


def measured(ways, rounds, others, state):
    """Measure in turns; return the rounds of each."""
    rows = {name: [] for name in ways}
    end = time.perf_counter() + SECONDS
    dice = random.Random(0)  # noqa: S311 - no secret
    for done in range(rounds):
        if done > 1 and time.perf_counter() > end:
            break
        turns = list(ways if done < others else OURS)
        # Shuffled: after each other in one order, one has always what another freed.
        dice.shuffle(turns)
        for name in turns:
            rows[name].append(measure(ways[name], state))
    for way in ways.values():
        way.close()
    return rows


def main(megabytes, rounds, others):
    """Measure and print."""
    warnings.simplefilter("ignore")
    model, x = make_model(megabytes)
    state = sum(v.numpy().nbytes for v in variables(model))
    kinds = [Limit, Multiback, OneBuffer]
    kinds += [Keras, Orbax] if others else []
    kinds += [Lightning, AsyncLightning, AsyncDcp] if others and IS_TORCH else []
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as folder:
        # Once before: the first save of a process imports and caches what stays.
        copies(model, Path(folder, "warm"), 1, state)
        two, one = (
            copies(model, Path(folder, f"memory-{n}"), n, state) for n in (2, 1)
        )
        ways, first = opened(kinds, model, folder, state)
        rows = measured(ways, rounds, others, state)
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
            [mine[i] / limit[i] for mine, limit in zip(values, limits, strict=False)]
            for i in range(3)
        ]
        for name, values in rows.items()
    }
    for name, values in rows.items():
        most = max(first[name], *(value[3] for value in values)) * 1e6 / state
        cells = [*map(spread, ratios[name]), f"{most:.2f}"]
        print(f"{name:14}" + "".join(f"{cell:>20}" for cell in cells))
    print("promised:")
    promise("blocking / one fresh copy", ratios["Multiback"][0], 1.3)
    if "Keras" in rows:
        pairs = zip(rows["Keras"], rows["Multiback"], strict=False)
        times = [their[0] / our[0] for their, our in pairs]
        promise("Keras's .keras save / blocking", times, 5, least=True)
    promise("total / (copy + raw write + fsync)", ratios["Multiback"][1], 1.3)
    promise("loading / (raw read + copy + hash)", ratios["Multiback"][2], 1.3)
    slack = 64e6 / state
    promise("memory, two buffers, copies of the state", [two[1]], round(2 + slack, 2))
    promise("memory, one buffer, copies of the state", [one[1]], round(1 + slack, 2))
    beside, alone, busy, blocked, both = steps
    promise(f"{STEPS} steps beside a save / alone", beside["save"], 1.05)
    for name, what in {
        "write": "a plain write",
        "nothing": "nothing: the noise",
    }.items():
        print(f"    the same beside {what:26} {spread(beside[name]):>20}")
    print(f"  {STEPS} steps alone take {spread(alone)} s ", end="")
    print(f"and keep {spread(busy)} processors busy;")
    print(f"  a save blocks {spread(blocked, 3)} s; it and the steps ", end="")
    print(f"beside it take {spread(both)} s")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [300, 9, 2][len(arguments) :]))
