"""Run directories with a history, made without any training."""

import numpy as np

from multiback.store import Request, RunDirectory


def commit(runs, epoch, score, *, run_id="a", name="val_f1", mode="max"):
    """Commit one checkpoint that was judged by one score."""
    return runs.commit(
        Request(
            f"epoch={epoch:03d}",
            run_id=run_id,
            epoch=epoch,
            step=10 * epoch,
            tensors={"weights/0000": np.zeros(2, np.float32)},
            documents={"variables": []},
            metrics={name: score},
            backend="jax",
            versions={"keras": "3.15.1"},
            architecture=None,
            extra={"scores": {name: score}, "modes": {name: mode}, "ranking": [name]},
        )
    )


def record(runs, epoch, metrics, *, run_id="a", time=None):
    """Append one measurement to the history."""
    runs.append_history(
        {
            "run_id": run_id,
            "epoch": epoch,
            "step": 10 * epoch,
            "time": 1e9 + 10 * epoch if time is None else time,
            "metrics": metrics,
        }
    )


def make_run(path, scores, kept=(), *, run_id="a", name="val_f1", mode="max"):
    """Make a run of some epochs; a few of their checkpoints are kept."""
    runs = RunDirectory(path)
    runs.start_run(run_id, {"monitors": [name]})
    for epoch, score in enumerate(scores, start=1):
        record(runs, epoch, {name: score, "loss": 1.0 / epoch}, run_id=run_id)
        if epoch in kept:
            commit(runs, epoch, score, run_id=run_id, name=name, mode=mode)
    runs.end_run(run_id)
    return path
