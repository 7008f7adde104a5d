"""How time and memory grow with the size of the work, beside a copy of its bytes.

    KERAS_BACKEND=torch python benchmarks/growth.py [SECTION ...] [--largest]

    rows         of a batch, 10^2 to 10^7: F1Score's and AUROC's update and result
    classes      2 to 10^4: AUROC's update of 64 rows, and result
    state        1 MB to 2 GB in 16 arrays: save and load; `--largest` ends with one
                 array of 4.4 GB, which comes back bit-equal
    checkpoints  in a directory, 10 to 10^4: first list, next list, and one more
    arrays       in a checkpoint, 10 to 10^5, of 16 numbers: save and load

Times are the processor's, medians of rounds in which the sizes' copies take turns with
the work. Work of size n takes about n^e: the exponent e is that of the top two decades.
It may be 0.05 above the exponent of a copy of the same bytes (of the same arrays, of
the same files) in the same run. Memory is the highest resident size of the work at the
largest size, above that before, in megabytes; Linux only.
"""

import argparse
import gc
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from listing import UnsyncedFiles, fields, name, place

from multiback.store import Request, RunDirectory

ABOVE = 0.05
SECONDS = 0.05  # Of one turn, at least.
CLEAR_REFS = Path("/proc/self/clear_refs")


def seconds_of(call):
    """Return the processor's time of one call."""
    start, count = time.process_time(), 0
    while not count or time.process_time() - start < SECONDS:
        call()
        count += 1
    return (time.process_time() - start) / count


def resident(which):
    """Return a size of this process in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1e3
    return math.nan


def memory_of(call):
    """Return how many megabytes a call needs at most."""
    gc.collect()
    if not CLEAR_REFS.exists():
        return math.nan
    CLEAR_REFS.write_text("5")
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def grow(section, sizes, prepare, rounds=3):
    """Measure each size and print what grows faster than its copy.

    Args:
        section: What grows.
        sizes: From small to large.
        prepare: Takes a size and returns functions by name. "copy" is compared with
            the others, or "copy: NAME" with that one.
        rounds: How often each takes its turn.
    """
    times, memory = {}, {}
    for size in sizes:
        calls = prepare(size)
        taken = {key: [] for key in calls}
        for call in calls.values():
            call()
        for _ in range(rounds):
            for key, call in calls.items():
                taken[key].append(seconds_of(call))
        for key, each in taken.items():
            times.setdefault(key, []).append(statistics.median(each))
        if size == sizes[-1]:
            memory = {key: memory_of(call) for key, call in calls.items()}
        del calls
        gc.collect()
    print(
        f"{section:12}" + "".join(f"{size:>11,}" for size in sizes) + "  exponent  MB"
    )
    exponents = {key: exponent(sizes, each) for key, each in times.items()}
    fine = True
    for key, each in times.items():
        says = ""
        if not key.startswith("copy"):
            limit = exponents.get(f"copy: {key}", exponents.get("copy")) + ABOVE
            kept = exponents[key] <= limit
            fine = fine and kept
            says = f"  at most {limit:.2f}: {'kept' if kept else 'missed'}"
        print(
            f"{key:12}"
            + "".join(f"{1e3 * t:>8.3g} ms" for t in each)
            + f"{exponents[key]:>10.2f}{memory[key]:>6.0f}{says}",
            flush=True,
        )
    return fine


def exponent(sizes, times):
    """Return the exponent over the top two decades."""
    first = min(range(len(sizes)), key=lambda k: abs(sizes[k] * 100 - sizes[-1]))
    return math.log(times[-1] / times[first]) / math.log(sizes[-1] / sizes[first])


def rows():
    """Grow a batch."""
    import multiback as mb

    def prepare(n):
        rng = np.random.default_rng(0)
        y_true, y_pred = tensors(rng.integers(0, 2, n), rng.random(n, "float32"))
        f1, auroc = mb.metrics.F1Score(), mb.metrics.AUROC()
        return {
            "copy": lambda: [copied(y_true), copied(y_pred)],
            "F1 update": lambda: f1.update_state(y_true, y_pred),
            "AUROC update": lambda: auroc.update_state(y_true, y_pred),
        }

    return grow("rows", [10**k for k in range(2, 8)], prepare)


def classes():
    """Grow the number of classes."""
    import multiback as mb

    def prepare(columns):
        rng = np.random.default_rng(0)
        scores = rng.random((64, columns), "float32")
        scores /= scores.sum(1, keepdims=True)
        y_true, y_pred = tensors(rng.integers(0, columns, 64), scores)
        metric = mb.metrics.AUROC(task="multiclass", num_classes=columns)
        metric.update_state(y_true, y_pred)
        return {
            "copy": lambda: copied(y_pred),
            "update": lambda: metric.update_state(y_true, y_pred),
            "copy: result": lambda: [copied(each) for each in metric.state.values()],
            "result": lambda: float(metric.result()),
        }

    return grow("classes", [2, 10, 100, 1000, 10_000], prepare)


def tensors(*arrays):
    """Return tensors of Keras's backend."""
    from keras import ops

    return [ops.convert_to_tensor(array) for array in arrays]


def copied(tensor):
    """Return a copy in the backend's own way, done when it returns."""
    from keras import ops

    return ops.convert_to_numpy(tensor).copy()


def saving_and_loading(section, sizes, make, folder):
    """Grow what one checkpoint holds: its size, or its number of arrays."""

    def prepare(size):
        arrays = make(size)
        place_of = Path(folder, f"{section}-{size}")
        runs = RunDirectory(place_of, UnsyncedFiles())
        number = 0

        def save():
            nonlocal number
            number += 1
            kept = runs.commit(Request(name(number), tensors=arrays, **fields(number)))
            for old in runs.checkpoints()[:-1]:
                runs.remove(old, run_id=old.run_id)
            return kept

        raw = Path(folder, "raw")

        def write():
            with raw.open("wb", buffering=0) as stream:
                for array in arrays.values():
                    stream.write(array.copy().data)

        def read():
            with raw.open("rb", buffering=0) as stream:
                return [read_into(stream, array) for array in arrays.values()]

        def load():
            return runs.checkpoints()[-1].tensors()

        save()
        return {
            "copy: save": write,
            "save": save,
            "copy: load": read,
            "load": load,
        }

    return grow(section, sizes, prepare)


def read_into(stream, like):
    """Read the bytes of one array."""
    array = np.empty_like(like)
    stream.readinto(memoryview(array).cast("B"))
    return array


def state(folder):
    """Grow the state's size."""

    def make(megabytes):
        rng = np.random.default_rng(0)
        rows = int(megabytes * 1e6 / 4 / 16)
        return {f"w/{k}": rng.random(rows, "float32") for k in range(16)}

    return saving_and_loading("MB of state", [1, 10, 100, 1000, 2000], make, folder)


def arrays(folder):
    """Grow the number of arrays."""

    def make(count):
        return {f"w/{k:06}": np.full(16, k, "float32") for k in range(count)}

    sizes = [10, 100, 1000, 10_000, 100_000]
    return saving_and_loading("arrays", sizes, make, folder)


def checkpoints(folder):
    """Grow a directory."""
    written = 0

    def prepare(count):
        nonlocal written
        place_of = Path(folder, "many")
        while written < count:
            written += 1
            place(place_of, written)
        time.sleep(2.1)  # Files at rest are believed unchanged.
        runs = RunDirectory(place_of, UnsyncedFiles())
        manifests = sorted(Path(place_of, "checkpoints").glob("*/manifest.json"))
        assert len(runs.checkpoints()) == count

        def one_more():
            kept = runs.commit(
                Request(
                    name(count + 1),
                    tensors={"w": np.full(16, 1, np.float32)},
                    **fields(count + 1),
                )
            )
            runs.remove(kept, run_id=kept.run_id)

        return {
            "copy": lambda: [path.read_bytes() for path in manifests],
            "first list": lambda: RunDirectory(place_of).checkpoints(),
            "next list": runs.checkpoints,
            "one more": one_more,
        }

    return grow("checkpoints", [10, 100, 1000, 10_000], prepare)


def largest(folder):
    """Save and load one array above 4 GiB, and compare it."""
    array = np.arange(1_100_000_000, dtype="int32")
    runs = RunDirectory(Path(folder, "largest"), UnsyncedFiles())
    start = time.process_time()
    kept = runs.commit(Request(name(1), tensors={"w": array}, **fields(1)))
    saved = time.process_time() - start
    start = time.process_time()
    found = kept.tensors()["w"]
    loaded = time.process_time() - start
    equal = bool((found == array).all())
    print(
        f"an array of {array.nbytes / 1e9:.1f} GB: saved in {saved:.1f} s, loaded in "
        f"{loaded:.1f} s, {'kept: equal' if equal else 'missed: other numbers'}"
    )
    return equal


def main():
    """Print a table for each section; return whether all is kept."""
    plain = {"rows": rows, "classes": classes}
    on_disk = {"state": state, "checkpoints": checkpoints, "arrays": arrays}
    parser = argparse.ArgumentParser()
    names = [*plain, *on_disk]
    parser.add_argument("sections", nargs="*", choices=[[], *names], default=[])
    parser.add_argument("--largest", action="store_true")
    given = parser.parse_args()
    fine = True
    for section in given.sections or names:
        with tempfile.TemporaryDirectory() as folder:
            fine &= plain[section]() if section in plain else on_disk[section](folder)
    if given.largest:
        with tempfile.TemporaryDirectory() as folder:
            fine &= largest(folder)
    return fine


if __name__ == "__main__":
    sys.exit(not main())
