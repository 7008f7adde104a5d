"""A process that takes a run, for test_owners.py: commits when it is told to.

Run as `owning_writer RUN HEARTBEAT MACHINE`; RUN may be a URL, and a MACHINE that is
not "here" is where it says that it runs. It answers each line of its standard input:
"commit" with the checkpoint's name or the error, "hold" with "held" under the lock, for
ever.
"""

import sys

import numpy as np
from support.storing import without_keras  # noqa: F401

from multiback.errors import StoreError
from multiback.store import (
    Request,
    RunDirectory,
    is_remote,
    open_run_directory,
)
from multiback.store.owning import owner


def answer(*words):
    print(*words, flush=True)


def main(run, heartbeat, machine):
    if machine != "here":
        owner._machine = lambda: machine
        owner.socket.gethostname = lambda: machine
    if is_remote(run):
        from multiback.store.remote import ownership as remote_ownership

        remote_ownership.BEAT_SECONDS = float(heartbeat)
        runs = open_run_directory(run)
    else:
        runs = RunDirectory(run, heartbeat=float(heartbeat), lock_timeout=5)
    try:
        runs.start_run("shared", {})
    except StoreError as error:
        answer("refused", error)
        return
    answer("started")
    for line in sys.stdin:
        if line == "hold\n":
            with runs._locked():
                answer("held")
                sys.stdin.read()
        try:
            tensors = {"w": np.ones(3)}
            fields = {"tensors": tensors, "epoch": 1, "step": 1, "metrics": {}}
            answer(runs.commit(Request("one", run_id="shared", **fields)).name)
        except StoreError as error:
            answer("refused", error)


main(*sys.argv[1:])
