"""Name the numbers in what a torchmetrics metric computes."""

import copy
import importlib
import warnings
from collections.abc import Mapping
from typing import Any

from multiback.adapters.bridge import Spec
from multiback.adapters.torchmetrics.to_keras.inputs import Task, arrange
from multiback.errors import ArgumentError

Tensor = Any

# Two numbers of rows; a result with as many numbers as rows changes its shape.
_ROWS = (4, 6)


def flatten(result: Any) -> list[tuple[str, Any]]:
    """Return a suffix and a number for each number, `""` where there is one.

    Elements have their index, the values of a mapping their key.

    >>> flatten({"raw": 1.0, "bounds": (0.0, 2.0)})
    [('_raw', 1.0), ('_bounds_0', 0.0), ('_bounds_1', 2.0)]
    """
    if isinstance(result, Mapping):
        parts = [(f"_{key}", value) for key, value in result.items()]
    elif isinstance(result, list | tuple):
        parts = [(f"_{index}", value) for index, value in enumerate(result)]
    elif getattr(result, "ndim", 0):
        if result.numel() == 1:
            return [("", result.flatten()[0])]
        parts = [(f"_{index}", value) for index, value in enumerate(result)]
    else:
        return [("", result)]
    return [
        (key + suffix, number)
        for key, value in parts
        for suffix, number in flatten(value)
    ]


def layout(
    metric: Any, update: Any, task: Task, y_true: Spec, y_pred: Spec
) -> tuple[str, ...]:
    """Name the numbers that a metric will compute, by trying a copy of it.

    Args:
        metric: A torchmetrics metric.
        update: Adds `(metric, target, preds)`.
        task: What is classified.
        y_true: What the targets look like.
        y_pred: What the predictions look like.

    Returns:
        One suffix a number. A metric that made-up data does not suit is taken to
        compute one number.

    Raises:
        ArgumentError: The result's shape depends on the data.
    """
    found = []
    for rows in _ROWS:
        tried = copy.deepcopy(metric)
        tried.reset()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                update(tried, *arrange(task, *_made_up(rows, task, y_true, y_pred)))
                result = tried.compute()
        except Exception:  # noqa: BLE001 - any metric may refuse made-up data its way
            return ("",)
        found.append(tuple(suffix for suffix, _ in flatten(result)))
    if found[0] != found[1] or not found[0]:
        name = type(metric).__name__
        raise ArgumentError(
            f"as_keras() wants a metric whose result has one shape; that of {name} "
            "depends on the data. If it is a curve, give it thresholds=; if it keeps "
            'one number a sample, take its mean (multidim_average="global", '
            'reduction="mean").'
        )
    return found[0]


def _made_up(
    rows: int, task: Task, y_true: Spec, y_pred: Spec
) -> tuple[Tensor, Tensor]:
    """Return targets and predictions that nearly every metric takes."""
    torch = importlib.import_module("torch")
    generator = torch.Generator().manual_seed(0)

    def numbers(spec: Spec) -> Tensor:
        shape = (rows, *spec.shape)
        if task != "other" or not spec.dtype.startswith("float"):
            # Both labels in every column.
            size = torch.Size(shape).numel()
            return (torch.arange(size).reshape(shape) // max(size // rows, 1)) % 2
        return torch.rand(shape, generator=generator) * 0.8 + 0.1

    if not y_pred.dtype.startswith("float"):
        return numbers(y_true), numbers(y_pred)
    scores = torch.rand((rows, *y_pred.shape), generator=generator) * 0.8 + 0.1
    if task == "multiclass" and scores.ndim > 1:
        scores = scores / scores.sum(-1, keepdim=True)
    return numbers(y_true), scores
