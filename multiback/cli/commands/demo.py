"""`multiback demo`: the main use on real data, in one minute."""

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from multiback import metrics
from multiback.checkpoint import ModelCheckpoint, load_best
from multiback.cli.commands.ls import checkpoint_table
from multiback.cli.predict import predict_under
from multiback.errors import MissingPackageError, StateError

BACKENDS = ("tensorflow", "jax", "torch")
# Two float32 predictions of a probability, each rounded in a few layers.
SAME = 1e-5
Data = tuple[np.ndarray, np.ndarray]


def tumours() -> tuple[Data, Data]:
    """Return scikit-learn's breast cancer data, split and standardised.

    Training and validation data: 30 measurements of a cell's nucleus, and 1 where the
    tumour is malignant (212 of 569 patients).
    """
    try:
        from sklearn.datasets import (  # noqa: PLC0415, TID251 - optional
            load_breast_cancer,
        )
        from sklearn.model_selection import (  # noqa: PLC0415, TID251 - optional
            train_test_split,
        )
    except ImportError as error:
        raise MissingPackageError(
            "The demo's data ships inside scikit-learn: "
            'pip install "multiback[sklearn]"'
        ) from error
    x, benign = load_breast_cancer(return_X_y=True)
    x, xv, y, yv = train_test_split(
        x, 1 - benign, test_size=0.4, stratify=benign, random_state=0
    )
    mean, deviation = x.mean(0), x.std(0)
    return (
        (((x - mean) / deviation).astype("float32"), y),
        (((xv - mean) / deviation).astype("float32"), yv),
    )


def synthetic() -> tuple[Data, Data]:
    """Return random data of the same shape, for a machine without scikit-learn."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(569, 30)).astype("float32")
    y = (x[:, :3].sum(1) + rng.normal(size=569) > 1).astype("int64")
    return (x[:341], y[:341]), (x[341:], y[341:])


class EpochLines(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Print one line an epoch, marking each new best."""

    def __init__(self, checkpoint: ModelCheckpoint, console: Console) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._console = console

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Print the epoch's scores."""
        names = ("val_precision", "val_recall", "val_f1_score")
        scores = "  ".join(f"{name} {(logs or {})[name]:.4f}" for name in names)
        is_best = self._checkpoint.best_model_path == self._checkpoint.last_model_path
        self._console.print(
            f"epoch {epoch + 1:>2}  {scores}" + ("  ← best" if is_best else ""),
            highlight=False,
        )


def run_demo(directory: Path, *, epochs: int, console: Console) -> None:
    """Train, keep the best by name, reload it everywhere, check its numbers."""
    console.rule("[bold]multiback demo")
    try:
        (x, y), (xv, yv) = tumours()
        console.print(
            f"Breast cancer in {len(y) + len(yv)} patients, "
            f"{int(y.sum() + yv.sum())} of them malignant (scikit-learn's data)."
        )
    except MissingPackageError as error:
        console.print(f"{error}. Continuing with made-up data.", markup=False)
        (x, y), (xv, yv) = synthetic()
    backend = keras.backend.backend()
    console.print(f"Training under {backend}, judged by val_f1_score.\n")

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(
        "adam",
        "binary_crossentropy",
        metrics=[metrics.Precision(), metrics.Recall(), metrics.F1Score()],
    )
    checkpoint = ModelCheckpoint(directory, monitor="val_f1_score", save_top_k=3)
    model.fit(
        x,
        y,
        validation_data=(xv, yv),
        epochs=epochs,
        verbose=0,
        callbacks=[checkpoint, EpochLines(checkpoint, console)],
    )

    console.print("\n[bold]The checkpoints kept[/bold] (the best three, and the last)")
    console.print(checkpoint_table(directory, checkpoint.run_id))

    best = load_best(directory)
    expected = best.predict(xv, verbose=0)
    console.print("\n[bold]The best one, reloaded[/bold] in a new process")
    for other in BACKENDS:
        console.print(_reload(other, checkpoint.best_model_path, xv, expected))

    console.print("\n[bold]Is the number right?[/bold]")
    checks = _crosscheck(best, (xv, yv), console)

    console.print("\n[bold]Why this one?[/bold] In a picture: open")
    console.print(
        f"  {_report(directory, checks)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )

    console.print("\n[bold]What to type next[/bold]")
    for line in next_lines(directory, backend):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def next_lines(directory: Path, backend: str) -> list[str]:
    """Return commands that work in the shell from which this program was started."""
    others = [
        one for one in BACKENDS if one != backend and importlib.util.find_spec(one)
    ]
    python = _typed("python", Path(sys.executable))
    started = Path(sys.argv[0])
    is_script = started.stem == "multiback" and started.exists()
    program = _typed("multiback", started) if is_script else f"{python} -m multiback"
    run = shlex.quote(str(directory))
    load = f"import multiback as mb; mb.load_best({str(directory)!r}).summary()"
    plain = run == str(directory)  # Readable in quotes of the other kind.
    load = f'"{load}"' if plain else shlex.quote(load)
    return [
        f"{program} ls {run}",
        f"{program} history {run}",
        f"KERAS_BACKEND={[*others, backend][0]} {python} -c {load}",
    ]


def _typed(name: str, path: Path) -> str:
    """Return what to type for a program: its name, if the shell finds it by that."""
    found = shutil.which(name)
    # Not resolved: the `python` of an environment is a link to one without packages.
    if found is not None and Path(found).parent == path.absolute().parent:
        return name
    near = os.path.relpath(path)
    return shlex.quote(str(path) if near.startswith("..") else near)


def _report(directory: Path, checks: Sequence[tuple[str, str]]) -> str:
    """Write the report; return its place, or how to install what draws it."""
    try:
        from multiback.cli.commands.report import (  # noqa: PLC0415 - optional
            write_report,
        )

        done = write_report([directory], directory / "report.html", checks=checks)
    except MissingPackageError as error:
        return str(error)
    return str(done["path"])


def _reload(
    backend: str, checkpoint: str, inputs: np.ndarray, expected: np.ndarray
) -> str:
    """Return how far the predictions under a backend are from the expected ones."""
    if importlib.util.find_spec(backend) is None:
        return f'  {backend:<11} not installed: pip install "multiback\\[{backend}]"'
    try:
        predictions = predict_under(backend, checkpoint, inputs)
    except StateError as error:
        return f"  {backend:<11} {error}"
    difference = float(np.abs(predictions - expected).max())
    verdict = "same predictions" if difference <= SAME else "DIFFERENT predictions"
    return f"  {backend:<11} {verdict}, largest difference {difference:.1e}"


def _crosscheck(
    model: keras.Model, data: Data, console: Console
) -> list[tuple[str, str]]:
    """Print the cross-check table, or how to install its packages; return tables."""
    try:
        from multiback.adapters.torchmetrics import (  # noqa: PLC0415 - optional
            crosscheck,
        )

        report = crosscheck(model, data)
    except MissingPackageError as error:
        console.print(f"  {error}", markup=False)
        return []
    console.print(report)
    return [("Is the number right?", str(report))]
