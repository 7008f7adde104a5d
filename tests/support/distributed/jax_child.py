"""Train under JAX on several devices, which may be in two processes.

jax_child RANK FOLDER PORT CASE...; without a port this process is alone.
"""

import os
import sys
from pathlib import Path

RANK, ROOT, PORT = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
SIZE = 2
# Four devices in all.
FLAGS = f" --xla_force_host_platform_device_count={2 if PORT != '0' else 4}"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + FLAGS

import jax
import keras
import numpy as np

if PORT != "0":
    jax.distributed.initialize(
        f"127.0.0.1:{PORT}",
        num_processes=SIZE,
        process_id=RANK,
        initialization_timeout=60,
    )

from orbax.checkpoint._src.multihost import multihost
from support.distributed.trained_model import X, Y, bytes_read, network, state_of
from support.distributed.trained_model import tell as tell_as

import multiback as mb
from multiback.distributed import jax as processes
from multiback.errors import StoreError
from multiback.store import RunDirectory

CASE = ""


def tell(**facts):
    tell_as(**{f"{CASE}.{key}": value for key, value in facts.items()})


def distribute(devices, among=None):
    """Divide the kernels of whatever is built next over the first so many devices."""
    # Forgets the distribution too.
    keras.backend.clear_session()
    chosen = (among or keras.distribution.list_devices())[:devices]
    mesh = keras.distribution.DeviceMesh((1, devices), ("batch", "model"), chosen)
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*wide.*kernel"] = (None, "model")
    layout[".*narrow.*kernel"] = (None, "model")
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name="batch", auto_shard_dataset=False
        )
    )


def kernel_shards(model):
    value = model.layers[0].kernel.value
    return [
        len(value.sharding.device_set),
        list(value.addressable_shards[0].data.shape),
    ]


def meshes(folder):
    """Train on four devices, continue with two, then with one, then without a mesh."""
    losses, restored, shards, saved = [], [], [], []
    for epochs, devices in ((2, 4), (3, 2), (4, 1), (5, None)):
        if devices is None:
            keras.backend.clear_session()
        else:
            distribute(devices)
        model = network()
        if saved:
            mb.restore(model, folder / "run", which="last")
            restored.append(state_of(model) == saved[-1])
            model = network()
        checkpoint = mb.ModelCheckpoint(
            folder / "run",
            monitor="loss",
            mode="min",
            resume="auto",
            format="orbax",
            callbacks=[],
        )
        history = model.fit(
            X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=[checkpoint]
        )
        shards.append(kernel_shards(model))
        saved.append(state_of(model))
        losses = history.history["loss"]
    tell(losses=losses, restored=restored, shards=shards, state=saved[-1])


def gathered(variable):
    from jax.experimental import multihost_utils

    value = variable.value
    if value.is_fully_addressable or value.is_fully_replicated:
        return np.asarray(value)
    return np.asarray(multihost_utils.process_allgather(value, tiled=True))


def whole_state(model):
    held = {id(v): v for v in (*model.variables, *model.optimizer.variables)}
    metrics = {id(v) for v in model.metrics_variables}
    return [gathered(v).tobytes().hex() for k, v in held.items() if k not in metrics]


def change(model, seed):
    """Give every variable other values, the same on both processes."""
    rng = np.random.default_rng(seed)
    metrics = {id(v) for v in model.metrics_variables}
    for v in (*model.variables, *model.optimizer.variables):
        if id(v) not in metrics:
            v.assign((rng.random(v.shape) * 100).astype(v.dtype))


def loop(folder, how):
    """A loop of two processes that measure different numbers."""
    distribute(4)
    model = network()
    scores = [[0.5, 0.9, 0.7, 0.1], [0.9, 0.1, 0.2, 0.95]][RANK]
    with mb.Checkpointer(
        folder / "run", "f1", mode="max", save_last=False, format=how
    ) as checkpointer:
        saved = []
        for seed, score in enumerate(scores):
            change(model, seed)
            saved.append(checkpointer.step(model, {"f1": score}))
            if saved[-1]:
                best_state = whole_state(model)
        checkpointer.wait()
        tell(
            saved=saved,
            best=checkpointer.best_model_path,
            score=checkpointer.best_model_score,
            run_id=checkpointer.run_id,
            state=best_state,
            shards=kernel_shards(model),
        )
    again = network()
    mb.restore(again, folder / "run")
    tell(restored=whole_state(again) == best_state, again=kernel_shards(again))
    loaded = mb.load_best(folder / "run")
    tell(loaded=whole_state(loaded) == best_state)


def fit(folder, how):
    """`fit` in both processes, and once more."""
    distribute(4)
    paths = []
    for epochs in (2, 3):
        model = network()
        checkpoint = mb.ModelCheckpoint(
            folder / "run", monitor="loss", mode="min", resume="auto", format=how
        )
        model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=[checkpoint])
        paths.append(checkpoint.best_model_path)
    tell(paths=paths, state=whole_state(model))


def large():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((1024,)), keras.layers.Dense(2048, name="wide")]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def reading(folder):
    """Restore a state with one half in each process, and count read bytes."""
    distribute(4)
    model = large()
    change(model, 3)
    state = whole_state(model)
    with mb.Checkpointer(folder / "run", format="orbax") as checkpointer:
        checkpointer.step(model, {})
    [checkpoint] = RunDirectory(folder / "run").checkpoints()
    before = bytes_read()
    checkpoint.tensors()
    whole = bytes_read() - before
    parts, same = [], []
    devices = keras.distribution.list_devices()
    # The same halves; those of the other process; halves that are divided no more.
    for among in (devices, devices[::-1], devices[1:3]):
        distribute(len(among), among)
        again = large()
        before = bytes_read()
        mb.restore(again, checkpoint.path)
        parts.append(bytes_read() - before)
        same.append(whole_state(again) == state)
    tell(whole=whole, parts=parts, same=same)
    tree = {"kernel": model.layers[0].kernel.value, "step": 3}
    with mb.Checkpointer(folder / "tree", format="orbax") as checkpointer:
        checkpointer.step(tree, {})
    empty = {"kernel": jax.numpy.zeros_like(tree["kernel"]), "step": 0}
    found = mb.restore(empty, folder / "tree", which="last")
    tell(
        tree=[
            found["step"],
            found["kernel"].sharding == tree["kernel"].sharding,
            bool((found["kernel"] == tree["kernel"]).all()),
        ]
    )


def full(folder):
    """Rank 1 cannot write its part of the second save."""
    processes.TIMEOUT = 90.0
    # Orbax waits for five minutes.
    multihost._DEFAULT_BARRIER_TIMEOUT = 8
    distribute(4)
    model = network()
    checkpointer = mb.Checkpointer(folder / "run", save_top_k=-1, format="orbax")
    checkpointer.step(model, {})
    checkpointer.wait()
    from multiback.distributed import orbax

    whole = orbax._Save.__call__
    if RANK == 1:

        def fail(*_):
            raise StoreError("There is no room.")

        orbax._Save.__call__ = fail
    change(model, 1)
    try:
        checkpointer.step(model, {})
        checkpointer.wait()
    except StoreError as error:
        tell(error=str(error))
    orbax._Save.__call__ = whole
    checkpointer.step(model, {})
    tell(next=checkpointer.last_model_path)


CASES = {
    "meshes": meshes,
    "loop-orbax": lambda at: loop(at, "orbax"),
    "loop-safetensors": lambda at: loop(at, "safetensors"),
    "reading": reading,
    "fit-orbax": lambda at: fit(at, "orbax"),
    "full": full,
}

for CASE in sys.argv[4:]:
    (ROOT / CASE).mkdir(exist_ok=True)
    CASES[CASE](ROOT / CASE)
