"""Any multiback or Keras metric as a torchmetrics metric: `as_torchmetric`."""

from typing import Any

import keras

from multiback.adapters.torchmetrics.libraries import load_torchmetrics
from multiback.errors import ArgumentError


def as_torchmetric(metric: Any, **arguments: Any) -> Any:
    """Make a multiback or Keras metric a `torchmetrics.Metric`.

    It has one state, with the reduction that merges two of them exactly, so that
    `MetricCollection`, `merge_state`, distributed training, `state_dict` (after
    `persistent(True)`, as in torchmetrics), `.to(device)`, `clone`, `forward` and
    Lightning's `self.log` work. In a `MetricCollection` use a dictionary. Keras has
    to run on PyTorch.

    Args:
        metric: A multiback metric, or a Keras metric whose variables add up, as
            Keras's own do. It is held, but its own state is neither read nor changed.
        **arguments: Arguments of every torchmetrics metric, such as
            `dist_sync_on_step`.

    Returns:
        A torchmetrics metric. Its `update` takes `(preds, target)` and
        `sample_weight`, in the shapes in which the metric takes `y_pred` and
        `y_true` in Keras; for a metric of plain values `(values, sample_weight)`.

    Raises:
        ArgumentError: Keras runs on another backend; or the metric's states cannot be
            merged.
        MissingPackageError: torchmetrics or torch is not installed.

    Examples:
        >>> import keras, torch
        >>> from multiback.metrics import F1Score
        >>> if keras.backend.backend() == "torch":
        ...     f1 = as_torchmetric(F1Score())
        ...     f1.update(torch.tensor([0.2, 0.9, 0.4]), torch.tensor([0, 1, 1]))
        ...     assert round(float(f1.compute()), 6) == 0.666667
    """
    load_torchmetrics("as_torchmetric()")
    backend = keras.backend.backend()
    if backend != "torch":
        raise ArgumentError(
            "as_torchmetric() wants Keras to run on PyTorch, where its metrics take "
            f"torch tensors, but it runs on {backend}. Set KERAS_BACKEND=torch before "
            "Keras is imported."
        )
    from multiback.adapters.torchmetrics.to_torchmetrics import torch as foreign

    return foreign.as_foreign(metric, **arguments)
