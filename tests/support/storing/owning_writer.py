"""A process that takes a run, for test_locks.py and test_notes.py.

It commits on command.

Run as `owning_writer RUN CLAIM_TIMEOUT HOW`; RUN may be a URL. HOW is "here",
"elsewhere" for a process that says it runs on another machine, or "no-locks" for one
that moreover finds no file locks. It answers each line of its standard input: "commit"
with the checkpoint's name or the error, "hold" with "held" under the directory's lock,
for ever, "fork" with the number of a child that stays.
"""

import errno
import os
import sys
import time
import warnings

import numpy as np
from support.storing import without_keras  # noqa: F401

from multiback.errors import StoreError
from multiback.store import Request, RunDirectory, is_remote, open_run_directory, owner
from multiback.store.local import file_lock


def answer(*words):
    print(*words, flush=True)


def stay():
    if (child := os.fork()) == 0:
        # Not the parent's pipes: it would seem alive.
        os.close(0)
        os.close(1)
        time.sleep(60)
        os._exit(0)
    return child


def without_locks():
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl.flock = refuse
    warnings.simplefilter("ignore")


def main(run, timeout, how):
    if how != "here":
        owner._machine = lambda: "elsewhere"
        owner.socket.gethostname = lambda: "elsewhere"
    if how == "no-locks":
        without_locks()
    if is_remote(run):
        runs = open_run_directory(run, claim_timeout=float(timeout))
    else:
        runs = RunDirectory(run, claim_timeout=float(timeout), lock_timeout=5)
    try:
        runs.start_run("shared", {})
    except StoreError as error:
        answer("refused", error)
        return
    answer("started")
    for line in sys.stdin:
        if line == "hold\n":
            with file_lock.directory_lock(runs.path / "lock", 5):
                answer("held")
                sys.stdin.read()
        if line == "fork\n":
            answer(stay())
            continue
        try:
            tensors = {"w": np.ones(3)}
            fields = {"tensors": tensors, "epoch": 1, "step": 1, "metrics": {}}
            answer(runs.commit(Request("one", run_id="shared", **fields)).name)
        except StoreError as error:
            answer("refused", error)


main(*sys.argv[1:])
