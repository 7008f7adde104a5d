"""Train as one of several processes; the last may be killed inside of a commit.

fewer_child RANK FOLDER SIZE EPOCHS MEETING KILLED: MEETING is where the processes meet,
KILLED the epoch in whose commit the last process ends, once it has written its part.
"""

import dataclasses
import datetime as dt
import os
import signal
import sys
from pathlib import Path

RANK, ROOT, SIZE = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
EPOCHS, MEETING, KILLED = int(sys.argv[4]), sys.argv[5], int(sys.argv[6])
# Seconds to wait for a process that was killed.
PATIENCE = 8.0
ON_JAX = os.environ["KERAS_BACKEND"] == "jax"


def meet():
    """Join the others, and divide what is built next."""
    if ON_JAX:
        import jax

        jax.distributed.initialize(
            MEETING, num_processes=SIZE, process_id=RANK, initialization_timeout=60
        )
        import keras

        devices = keras.distribution.list_devices()
        mesh = keras.distribution.DeviceMesh((1, SIZE), ("batch", "model"), devices)
        layout = keras.distribution.LayoutMap(mesh)
        layout[".*wide.*kernel"] = (None, "model")
        keras.distribution.set_distribution(
            keras.distribution.ModelParallel(
                layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
            )
        )
        return
    import torch.distributed as dist

    dist.init_process_group(
        "gloo",
        init_method=f"file://{MEETING}",
        rank=RANK,
        world_size=SIZE,
        timeout=dt.timedelta(seconds=120),
    )


if SIZE > 1:
    meet()

from support.distributed.trained_model import X, Y, network, state_of, tell

import multiback as mb
from multiback.distributed.shared_runs import SharedRuns
from multiback.errors import StoreError


def fit(epochs, *callbacks):
    model = network()
    more = {"epochs": epochs, "verbose": 0, "callbacks": list(callbacks)}
    return model, model.fit(X, Y, batch_size=8, **more).history["loss"]


def commit(runs, request):
    """Write this process's part; the last one ends before the others learn of it."""

    write_part = request.write_state

    def write(folder):
        write_part(folder)
        if RANK == SIZE - 1:
            os.kill(os.getpid(), signal.SIGKILL)

    if request.epoch == KILLED:
        runs.ranks.timeout = PATIENCE
        request = dataclasses.replace(request, write_state=write)
    return whole(runs, request)


whole = SharedRuns.commit
if KILLED:
    SharedRuns.commit = commit
checkpoint = mb.ModelCheckpoint(
    ROOT / "run", "loss", mode="min", resume="auto", format="orbax" if ON_JAX else "dcp"
)
try:
    model, losses = fit(EPOCHS, checkpoint)
except StoreError as error:
    tell(error=str(error))
    # The group is broken: what waits for it at the end would wait in vain.
    os._exit(0)
tell(losses=losses)
if SIZE == 1:
    whole_model, losses = fit(EPOCHS)
    tell(expected=losses, equal=state_of(model) == state_of(whole_model))
