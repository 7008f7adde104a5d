"""Train under torch as one of two processes: torch_child RANK WHAT FOLDER."""

import datetime as dt
import os
import signal
import sys
import tracemalloc
from pathlib import Path

import torch
import torch.distributed as dist
from support.distributed.trained_model import X, Y, bytes_read, network, state_of
from support.distributed.trained_model import tell as tell_as
from torch.nn.parallel import DistributedDataParallel

import multiback as mb
from multiback.errors import ArgumentError, StoreError
from multiback.store import RunDirectory

SIZE = 2
CASE = ""


def tell(**facts):
    tell_as(**{f"{CASE}.{key}": value for key, value in facts.items()})


def join(rank, folder, seconds):
    # A file on this machine: no port that another process may take first.
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=SIZE,
        timeout=dt.timedelta(seconds=seconds),
    )


def train(model, rank, steps):
    """Make some steps, each on this rank's part of the data."""
    wrapped = DistributedDataParallel(model)
    loss_of = torch.nn.BCELoss()
    x, y = torch.tensor(X[rank::SIZE]), torch.tensor(Y[rank::SIZE])
    for _ in range(steps):
        model.zero_grad()
        loss_of(wrapped(x, training=True), y).backward()
        variables = model.trainable_weights
        with torch.no_grad():
            model.optimizer.apply([v.value.grad for v in variables], variables)


def loop(rank, folder, how):
    """A loop under DDP; the ranks measure different numbers."""
    model = network()
    scores = [[0.5, 0.9, 0.7, 0.1], [0.9, 0.1, 0.2, 0.95]][rank]
    with mb.Checkpointer(
        folder / "run", "f1", mode="max", save_last=False, format=how
    ) as checkpointer:
        saved = []
        for score in scores:
            train(model, rank, 1)
            saved.append(checkpointer.step(model, {"f1": score}))
            if saved[-1]:
                best_state = state_of(model)
        checkpointer.wait()
        tell(
            saved=saved,
            best=checkpointer.best_model_path,
            score=checkpointer.best_model_score,
            run_id=checkpointer.run_id,
            state=best_state,
        )
    again = network()
    mb.restore(again, folder / "run")
    tell(restored=state_of(again), loaded=state_of(mb.load_best(folder / "run")))


def fit(rank, folder, how):
    """`fit` in each process, then in both again: with different validations."""
    best, held = [], []
    for epochs in (2, 3):
        model = network()
        checkpoint = mb.ModelCheckpoint(
            folder / "run",
            monitor="val_loss",
            mode="min",
            resume="auto",
            every_n_train_steps=3,
            format=how,
        )
        model.fit(
            X,
            Y,
            batch_size=8,
            epochs=epochs,
            verbose=0,
            validation_data=(X[rank::SIZE], Y[rank::SIZE]),
            callbacks=[checkpoint],
        )
        best.append([checkpoint.best_model_path, checkpoint.best_model_score])
        held.append(sorted(p.name for p in (folder / "run/checkpoints").iterdir()))
        dist.barrier()
    tell(best=best, held=held, state=state_of(model))


def shards(_, folder):
    """A tree with one half of each array in each process."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (SIZE,))
    whole = torch.arange(24.0).reshape(6, 4)
    tree = {
        "rows": distribute_tensor(whole, mesh, [Shard(0)]),
        "columns": distribute_tensor(whole.bfloat16(), mesh, [Shard(1)]),
        "all": distribute_tensor(whole, mesh, [Replicate()]),
        "step": 3,
    }
    for how in ("dcp", "safetensors"):
        with mb.Checkpointer(folder / how, format=how) as checkpointer:
            checkpointer.step(tree, {})
    empty = {
        key: value if key == "step" else torch.zeros_like(value)
        for key, value in tree.items()
    }
    back = mb.restore(empty, folder / "dcp", which="last")
    tell(
        placements=[str(back[key].placements) for key in ("rows", "columns", "all")],
        local=back["rows"].to_local().tolist(),
        same=all(
            torch.equal(back[k].full_tensor(), tree[k].full_tensor())
            for k in ("rows", "columns", "all")
        ),
        step=back["step"],
    )


def reading(_, folder):
    """Restore tensors with one half in each process, and count read bytes."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (SIZE,))
    whole = torch.arange(2.0**22).reshape(2048, 2048)
    tree = {
        "rows": distribute_tensor(whole, mesh, [Shard(0)]),
        "columns": distribute_tensor(whole, mesh, [Shard(1)]),
        "small": distribute_tensor(whole[:2, :2].clone(), mesh, [Replicate()]),
    }
    with mb.Checkpointer(folder / "run", format="dcp") as checkpointer:
        checkpointer.step(tree, {})
    [checkpoint] = RunDirectory(folder / "run").checkpoints()
    empty = {key: torch.zeros_like(value) for key, value in tree.items()}
    told = {}
    for what, read in (
        ("whole", checkpoint.tensors),
        ("part", lambda: mb.restore(empty, checkpoint.path)),
    ):
        before = bytes_read()
        tracemalloc.start()
        back = read()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        told[what] = [bytes_read() - before, peak]
    # Divided the other way.
    empty["rows"], empty["columns"] = (
        torch.zeros_like(tree[key]) for key in ("columns", "rows")
    )
    turned = mb.restore(empty, checkpoint.path)
    told["same"] = [
        torch.equal(found[key].full_tensor(), tree[key].full_tensor())
        for found in (back, turned)
        for key in tree
    ]
    told["placements"] = [str(turned[key].placements) for key in ("rows", "columns")]
    tell(**told)


def failing(rank, folder, how):
    """Rank 1 fails in the middle of the second save."""
    model = network()
    checkpointer = mb.Checkpointer(folder / "run", save_top_k=-1, format="dcp")
    checkpointer.step(model, {})
    checkpointer.wait()
    from torch.distributed import checkpoint as dcp

    whole = dcp.HuggingFaceStorageWriter.write_data
    if rank == 1:

        def fail(*_, **__):
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(28, "No space left on device")

        dcp.HuggingFaceStorageWriter.write_data = fail
    train(model, rank, 1)
    try:
        checkpointer.step(model, {})
        checkpointer.wait()
    except StoreError as error:
        tell(error=str(error))
    if how == "full":
        dcp.HuggingFaceStorageWriter.write_data = whole
        checkpointer.step(model, {})
        tell(next=checkpointer.last_model_path)
    if how == "kill":
        # The group is broken: what waits for it at the end would wait in vain.
        os._exit(0)


def differing(rank, folder):
    """The ranks ask for different things."""
    for how in ("dcp", "safetensors"), ("safetensors", "safetensors"):
        place = folder / f"{rank if how[0] == how[1] else ''}run"
        try:
            mb.Checkpointer(place, format=how[rank]).start()
        except ArgumentError as error:
            tell(**{how[0]: str(error)})


def alone(rank, folder):
    """Only rank 0 calls, and says so."""
    if rank == 0:
        with mb.Checkpointer(folder / "run", distributed=False) as checkpointer:
            checkpointer.step(network(), {})
        tell(last=checkpointer.last_model_path)
    dist.barrier()


CASES = {
    "loop-dcp": lambda *at: loop(*at, "dcp"),
    "loop-safetensors": lambda *at: loop(*at, "safetensors"),
    "fit-dcp": lambda *at: fit(*at, "dcp"),
    "shards": shards,
    "reading": reading,
    "full": lambda *at: failing(*at, "full"),
    "alone": alone,
    "differing": differing,
    "kill": lambda *at: failing(*at, "kill"),
}

if __name__ == "__main__":
    rank, root, names = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    # A rank that was killed is waited for no longer than this.
    join(rank, root, 10 if "kill" in names else 90)
    for name in names:
        CASE = name
        (root / name).mkdir(exist_ok=True)
        CASES[name](rank, root / name)
    dist.destroy_process_group()
