"""The model whose metrics `multiback crosscheck` and `audit` check."""

from collections.abc import Sequence

import keras

import multiback.adapters.sklearn  # noqa: F401 - registers what a model may hold
from multiback.checkpoint import load
from multiback.cli.commands.export import objects_in
from multiback.errors import StateError
from multiback.store import Checkpoint


def compiled_model(checkpoint: Checkpoint, modules: Sequence[str]) -> keras.Model:
    """Load a model as it was compiled; the checkpoint is verified on the way.

    `modules` are the user's, imported first for layers and metrics.
    """
    model = load(checkpoint.path, custom_objects=objects_in(modules))
    if not isinstance(model, keras.Model):
        raise StateError(
            f"{checkpoint.path} holds arrays and no Keras model, so there are no "
            "metrics to check. Pass a checkpoint that ModelCheckpoint wrote."
        )
    if not model.compiled:
        raise StateError(
            f"{checkpoint.path} was saved without how the model was compiled, so there "
            "are no metrics to check. Compile it in Python, and call crosscheck or "
            "audit of multiback.adapters.torchmetrics."
        )
    return model
