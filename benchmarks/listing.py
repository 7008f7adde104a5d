"""How long a run directory takes to list, and to commit into, as it grows.

    python benchmarks/listing.py [COUNT ...]

Manifests are as `fit` writes them for a small model: five metrics, three files. They
are written straight into place, and left at rest until they can be believed
unchanged. The commit that is timed leaves out fsync, so it shows what the store
itself does. Medians of three; on a busy machine the processor's time says more.

    first list   a new process lists the directory
    processor    its time on the processor, user and system
    next list    the same object lists it again
    commit       the same object commits one more checkpoint
    ls           `multiback ls`, a program from its start to its end: of 5,000
                 checkpoints at most 2 s are promised
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from multiback.store import FileEntry, Files, Request, RunDirectory
from multiback.store.format.manifest import MANIFEST, Manifest, manifest_bytes

METRICS = ("loss", "val_f1_score", "val_loss", "val_precision", "val_recall")
PROMISED = {5_000: 2000}  # Milliseconds of `ls`.
VERSIONS = {"python": "3.11.7", "keras": "3.13.0", "numpy": "2.3", "jax": "0.8"}
AN_HOUR_AGO = time.time() - 3600


class UnsyncedFiles(Files):
    """Leave out what only the disk's speed decides."""

    def sync(self, descriptor):
        """Trust the kernel."""

    def sync_directory(self, path):
        """Trust the kernel."""


def fields(index):
    """Return what a manifest and a commit have in common."""
    return {
        "run_id": "20261122-150000-abcdef",
        "epoch": index,
        "step": 100 * index,
        "metrics": dict.fromkeys(METRICS, index / 10_000),
        "backend": "jax",
        "versions": VERSIONS,
        "extra": {
            "scores": {"val_f1_score": index / 10_000},
            "modes": {"val_f1_score": "max"},
            "monitor": "val_f1_score",
            "weights_only": False,
        },
    }


def name(index):
    """Return a name as the default template makes it."""
    return f"epoch={index:05d}-step={index * 100}-val_f1_score={index / 10_000:.4f}"


def place(folder, index):
    """Write a manifest straight into place."""
    manifest = Manifest(
        sequence=index,
        created=AN_HOUR_AGO + index,
        files={
            file: FileEntry(1000, "0" * 32)
            for file in ("state.safetensors", "variables.json", "trainer.json")
        },
        architecture=f"arch-{'0' * 32}.json",
        architecture_checksum="0" * 32,
        **fields(index),
    )
    path = Path(folder, "checkpoints", name(index), MANIFEST)
    path.parent.mkdir(parents=True)
    path.write_bytes(manifest_bytes(manifest))
    os.utime(path, (AN_HOUR_AGO, AN_HOUR_AGO))


def milliseconds(call, times=3):
    """Return the median time of a few calls, by the clock and on the processor."""
    clock, processor = [], []
    for _ in range(times):
        start, busy = time.perf_counter(), time.process_time()
        call()
        processor.append(1000 * (time.process_time() - busy))
        clock.append(1000 * (time.perf_counter() - start))
    return statistics.median(clock), statistics.median(processor)


def main(counts):
    """Grow one directory and print a line for each size."""
    columns = ("first list", "processor", "next list", "commit", "ls")
    print(f"{'checkpoints':>11}" + "".join(f"{column:>13}" for column in columns))
    with tempfile.TemporaryDirectory() as folder:
        written = 0
        for count in counts:
            while written < count:
                written += 1
                place(folder, written)
            time.sleep(2.1)
            runs = RunDirectory(folder, UnsyncedFiles())
            first, busy = milliseconds(lambda: RunDirectory(folder).checkpoints())
            assert len(runs.checkpoints()) == written
            assert runs.skipped == []
            again, _ = milliseconds(runs.checkpoints)

            def one_more(runs=runs):
                nonlocal written
                written += 1
                runs.commit(
                    Request(
                        name(written),
                        tensors={"weights/0000": np.full(16, written, np.float32)},
                        **fields(written),
                    )
                )

            commit, _ = milliseconds(one_more)
            program = [sys.executable, "-m", "multiback", "ls", folder]
            ls, _ = milliseconds(
                lambda program=program: subprocess.run(
                    program, check=True, stdout=subprocess.DEVNULL
                )
            )
            limit = PROMISED.get(count)
            says = ""
            if limit is not None:
                says = f"  at most {limit}: {'kept' if ls <= limit else 'missed'}"
            print(
                f"{count:>11,}{first:>10.0f} ms{busy:>10.0f} ms"
                f"{again:>10.0f} ms{commit:>10.1f} ms{ls:>10.0f} ms{says}",
                flush=True,
            )


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [1_000, 2_000, 5_000, 10_000])
