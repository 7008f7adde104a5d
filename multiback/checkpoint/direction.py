"""Which way is better, for a name in the logs."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from multiback.checkpoint.names import without_number
from multiback.errors import ArgumentError

Mode = Literal["max", "min"]


@runtime_checkable
class HasDirection(Protocol):
    """A metric that knows which way is better, as multiback's metrics do."""

    direction: Mode


# Keras's own classes. Keras keeps the same knowledge in a private attribute.
_KERAS: dict[str, Mode] = {
    **dict.fromkeys(
        (
            "AUC",
            "Accuracy",
            "BinaryAccuracy",
            "BinaryIoU",
            "CategoricalAccuracy",
            "ConcordanceCorrelation",
            "F1Score",
            "FBetaScore",
            "IoU",
            "MeanIoU",
            "OneHotIoU",
            "OneHotMeanIoU",
            "PearsonCorrelation",
            "Precision",
            "PrecisionAtRecall",
            "R2Score",
            "Recall",
            "RecallAtPrecision",
            "SensitivityAtSpecificity",
            "SparseCategoricalAccuracy",
            "SparseTopKCategoricalAccuracy",
            "SpecificityAtSensitivity",
            "TopKCategoricalAccuracy",
            "TrueNegatives",
            "TruePositives",
        ),
        "max",
    ),
    **dict.fromkeys(
        (
            "BinaryCrossentropy",
            "CategoricalCrossentropy",
            "CategoricalHinge",
            "FalseNegatives",
            "FalsePositives",
            "Hinge",
            "KLDivergence",
            "LogCoshError",
            "MeanAbsoluteError",
            "MeanAbsolutePercentageError",
            "MeanSquaredError",
            "MeanSquaredLogarithmicError",
            "Poisson",
            "RootMeanSquaredError",
            "SparseCategoricalCrossentropy",
            "SquaredHinge",
        ),
        "min",
    ),
}


def _snake_case(name: str) -> str:
    """Name a class as Keras names its metrics: `MeanIoU` to `mean_io_u`."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


_REGISTRY: dict[str, Mode] = {
    **{_snake_case(name): mode for name, mode in _KERAS.items()},
    "acc": "max",
    "loss": "min",
    "mae": "min",
    "mape": "min",
    "mse": "min",
    "msle": "min",
    "rmse": "min",
}


def register_direction(name: str, mode: Mode) -> None:
    """Let `mode="auto"` know which way is better for a log name.

    Args:
        name: The name without a prefix such as `val_`.
        mode: "max" or "min".

    Raises:
        ArgumentError: `mode` is something else.

    Example:
    >>> register_direction("psnr", "max")
    """
    if mode not in ("max", "min"):
        raise ArgumentError(f'mode= wants "max" or "min", not {mode!r}.')
    _REGISTRY[name] = mode


def find_direction(name: str, metric: Any = None) -> Mode | None:
    """Return which way is better, or None where nothing says so.

    Args:
        name: The log name without the prefix of a validation set.
        metric: The metric object behind the name, if it is known.
    """
    if isinstance(metric, HasDirection):
        return metric.direction
    known: Mapping[str, Mode] = _KERAS
    if metric is not None and type(metric).__name__ in known:
        return known[type(metric).__name__]
    return _REGISTRY.get(name) or _REGISTRY.get(without_number(name))
