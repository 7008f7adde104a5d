"""The process that test_full_disk.py starts in a mount namespace of its own.

Run as `filled_disk FOLDER WHAT`: it mounts a small disk on FOLDER, leaves a little
more "bytes" or "files" free each time, and prints what became of each save as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
from support.small_disk import fill, mount
from support.storing import without_keras  # noqa: F401

from multiback.errors import StoreError
from multiback.store import Request, RunDirectory


def main(folder, what):
    mount(folder)
    runs = RunDirectory(Path(folder, "run"))
    runs.start_run("a", {})

    def commit(name, value):
        return runs.commit(
            Request(
                name,
                run_id="a",
                tensors={"kernel": np.full(20_000, value, np.float32)},
                documents={"trainer": {"value": value}},
                epoch=value,
                step=0,
                metrics={},
                architecture={"layers": value},
            )
        )

    commit("first", 0)
    for free in range(40):
        ballast = fill(folder, what, free)
        before = {one.name for one in runs.checkpoints()}
        told = None
        try:
            runs.remove(commit(f"free-{free}", free), run_id="a")
        except StoreError as error:
            told = {"text": str(error), "errno": error.errno}
        for path in ballast:
            path.unlink(missing_ok=True)
        after = [one.name for one in runs.checkpoints()]
        for one in runs.checkpoints():
            one.verify()
        runs.start_run("a", {})
        litter = [*runs.path.rglob(".tmp-*"), *runs.path.rglob(".del-*")]
        retried = commit("retried", 100 + free)
        retried.verify()
        runs.remove(retried, run_id="a")
        runs.collect_garbage()
        print(
            json.dumps(
                {
                    "free": free,
                    "error": told,
                    "same": sorted(before) == sorted(after),
                    "litter": len(litter),
                    "skipped": len(runs.skipped),
                }
            )
        )


main(*sys.argv[1:])
