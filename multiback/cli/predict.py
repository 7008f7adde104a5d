"""Predict with a checkpoint in another process, under another backend."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

import multiback.metrics  # noqa: F401 - registers what a model may hold
from multiback.checkpoint import load
from multiback.errors import StateError


def predict_to_file(checkpoint: Path, inputs: Path, outputs: Path) -> None:
    """Load a checkpoint and write its predictions of one `.npy` file as another."""
    model: keras.Model = load(checkpoint)
    np.save(outputs, model.predict(np.load(inputs, allow_pickle=False), verbose=0))


def predict_under(backend: str, checkpoint: str, inputs: np.ndarray) -> np.ndarray:
    """Predict with a checkpoint under another backend, in a process of its own.

    If that fails, the StateError ends with its message.
    """
    with tempfile.TemporaryDirectory(prefix="multiback-") as folder:
        given, wanted = Path(folder, "x.npy"), Path(folder, "predictions.npy")
        np.save(given, inputs)
        result = subprocess.run(  # noqa: S603 - this program, under another backend
            [
                *(sys.executable, "-m", "multiback", "predict"),
                *(checkpoint, str(given), str(wanted)),
            ],
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise StateError(
                f"{checkpoint} could not be loaded under {backend}: "
                f"{result.stderr.strip()[-2000:]}"
            )
        predictions: np.ndarray = np.load(wanted, allow_pickle=False)
        return predictions
