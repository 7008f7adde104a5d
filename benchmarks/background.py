"""How much a background commit slows a busy Python thread, and how long it takes.

python benchmarks/background.py [MEGABYTES]

raw write    the same bytes written and fsynced by nothing but os.write
commit       RunDirectory.commit, in this thread, with its checksums
background   Writer, while this thread runs a loop in Python
speed kept   that loop's speed during the commit, of its speed alone
pure Python  the speed kept beside a thread that never releases the GIL
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from multiback.store import Request, RunDirectory, Writer


def runnable():
    """Return how long this thread has run or waited for a processor (Linux only)."""
    ran, waited, _ = Path("/proc/thread-self/schedstat").read_text().split()
    return (int(ran) + int(waited)) / 1e9


def share_runnable(is_over):
    """Run a loop in Python until something is over; return the share it could run.

    The rest it waited for the GIL. Other processes do not matter: to wait for a
    processor counts as running.
    """
    start, before, rounds = time.perf_counter(), runnable(), 0
    while not is_over():
        for _ in range(1000):
            rounds += 1
    return (runnable() - before) / (time.perf_counter() - start)


def for_a_while(seconds=0.5):
    """Return the share for half a second, whatever runs beside."""
    end = time.perf_counter() + seconds
    return share_runnable(lambda: time.perf_counter() > end)


def raw_write(folder, data):
    """Write and fsync the same bytes as plainly as can be."""
    start = time.perf_counter()
    descriptor = os.open(Path(folder, "raw"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - start


def request(step, tensors):
    """Return something to commit."""
    return Request("c", run_id="a", tensors=tensors, epoch=0, step=step, metrics={})


def beside_pure_python():
    """Return the share that is left beside a thread that holds the GIL."""
    stop = threading.Event()
    thread = threading.Thread(target=share_runnable, args=(stop.is_set,))
    thread.start()
    share = for_a_while()
    stop.set()
    thread.join()
    return share


def main(megabytes):
    """Measure five times and print medians."""
    data = np.random.default_rng(0).random(megabytes << 17)
    lines = []
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as folder:
        runs = RunDirectory(folder)
        writer = Writer(runs)
        for step in range(5):
            raw = raw_write(folder, data)
            start = time.perf_counter()
            saved = runs.commit(request(step, {"w": data}))
            commit = time.perf_counter() - start
            runs.remove(saved, run_id="a")
            arrays = writer.buffer({"w": (data.dtype, data.shape)})
            arrays["w"][:] = data
            start = time.perf_counter()
            writer.submit(request(step, arrays))
            share = share_runnable(lambda: not writer.is_busy)
            background = time.perf_counter() - start
            runs.remove(writer.wait(), run_id="a")
            lines.append((raw, commit, background, share))
        writer.close()
    raw, commit, background, kept = map(statistics.median, zip(*lines, strict=True))
    print(f"{megabytes} MB, medians of {len(lines)}")
    print(f"raw write   {raw:8.2f} s")
    print(f"commit      {commit:8.2f} s  {commit / raw:.2f} times the raw write")
    print(f"background  {background:8.2f} s  {background / raw:.2f} times")
    print(f"speed kept  {100 * kept:8.1f} %")
    print(f"alone       {100 * for_a_while():8.1f} %")
    print(f"pure Python {100 * beside_pure_python():8.1f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 300)
