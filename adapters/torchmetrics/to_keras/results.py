"""Name the numbers in a torchmetrics metric's result."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from multiback.adapters.bridge import Spec
from multiback.adapters.torchmetrics.to_keras.inputs import TASKS, Inputs
from multiback.errors import ArgumentError

Tensor = Any

# Two numbers of rows, and two sizes for unknown axes: a result whose shape depends on
# the data differs between the two.
_TRIES = ((4, 32), (6, 40))


def flatten(result: Any) -> list[tuple[str, Any]]:
    """Return a suffix and a value for each number, `""` for a single one.

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
    metric: Any, update: Any, inputs: Inputs, y_true: Spec, y_pred: Spec
) -> tuple[str, ...]:
    """Name the numbers that a metric will compute, by trying a copy of it.

    `update` adds `(metric, target, preds)`. There is one suffix a number; a metric that
    made-up data does not suit is taken to compute one.
    """
    if y_true.shape is None or y_pred.shape is None:
        return ("",)
    found = []
    for rows, unknown in _TRIES:
        tried = copy.deepcopy(metric)
        tried.reset()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made_up = _made_up(rows, unknown, inputs, y_true, y_pred)
                update(tried, *inputs.arrange(*made_up))
                result = tried.compute()
        except ArgumentError:
            raise
        except Exception:  # noqa: BLE001 - any metric may refuse made-up data its way
            return ("",)
        found.append(tuple(suffix for suffix, _ in flatten(result)))
    if found[0] != found[1] or not found[0]:
        raise ArgumentError(
            f"as_keras() wants a metric whose result has one shape; that of "
            f"{inputs.name} depends on the data. If it is a curve, give it "
            "thresholds=; if it keeps one number a sample, take its mean "
            '(multidim_average="global", reduction="mean").'
        )
    return found[0]


def _made_up(
    rows: int, unknown: int, inputs: Inputs, y_true: Spec, y_pred: Spec
) -> tuple[Tensor, Tensor]:
    """Return targets and predictions that nearly every metric takes."""
    import torch

    generator = torch.Generator().manual_seed(0)
    task = inputs.domain

    def shape(spec: Spec) -> tuple[int, ...]:
        return (rows, *(unknown if size is None else size for size in spec.shape or ()))

    def numbers(spec: Spec) -> Tensor:
        if task in (
            *TASKS,
            "segmentation",
            "perplexity",
            "panoptic",
        ) or not spec.dtype.startswith("float"):
            # Both labels in every column.
            size = torch.Size(shape(spec)).numel()
            return (torch.arange(size).reshape(shape(spec)) // max(size // rows, 1)) % 2
        return torch.rand(shape(spec), generator=generator) * 0.8 + 0.1

    if not y_pred.dtype.startswith("float"):
        return numbers(y_true), numbers(y_pred)
    scores = torch.rand(shape(y_pred), generator=generator) * 0.8 + 0.1
    if task == "multiclass" and scores.ndim > 1:
        scores = scores / scores.sum(-1, keepdim=True)
    return numbers(y_true), scores
