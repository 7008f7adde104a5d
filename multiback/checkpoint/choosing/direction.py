"""Which way is better, for a name in the logs or for a metric object."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from multiback.errors import ArgumentError

__all__ = [
    "CLASS_MODES",
    "NAME_MODES",
    "Mode",
    "check_mode",
    "direction_of",
    "find_direction",
    "made_by_keras",
    "register_direction",
    "snake_case",
    "without_number",
]


Mode = Literal["max", "min"]

# Keras keeps the direction of its metrics in a private attribute.
_MORE_IS_BETTER = """
    AUC Accuracy BinaryAccuracy BinaryIoU CategoricalAccuracy ConcordanceCorrelation
    F1Score FBetaScore IoU MeanIoU OneHotIoU OneHotMeanIoU PearsonCorrelation Precision
    PrecisionAtRecall R2Score Recall RecallAtPrecision SensitivityAtSpecificity
    SparseCategoricalAccuracy SparseTopKCategoricalAccuracy SpecificityAtSensitivity
    TopKCategoricalAccuracy TrueNegatives TruePositives
"""
_LESS_IS_BETTER = """
    BinaryCrossentropy CategoricalCrossentropy CategoricalHinge FalseNegatives
    FalsePositives Hinge KLDivergence LogCoshError MeanAbsoluteError
    MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    RootMeanSquaredError SparseCategoricalCrossentropy SquaredHinge
"""


def snake_case(name: str) -> str:
    """Name a class as Keras names its metrics.

    >>> snake_case("MeanIoU"), snake_case("R2Score")
    ('mean_io_u', 'r2_score')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


CLASS_MODES: Mapping[str, Mode] = {
    **dict.fromkeys(_MORE_IS_BETTER.split(), "max"),
    **dict.fromkeys(_LESS_IS_BETTER.split(), "min"),
}
NAME_MODES: Mapping[str, Mode] = {
    **{snake_case(name): mode for name, mode in CLASS_MODES.items()},
    "acc": "max",
    "kl_divergence": "min",
    "log_cosh": "min",
    "logcosh": "min",
    "loss": "min",
    "mae": "min",
    "mape": "min",
    "mse": "min",
    "msle": "min",
    "rmse": "min",
}
_NUMBER = re.compile(r"_\d+$")


def without_number(name: str) -> str:
    """Drop the suffix that Keras adds when a model is rebuilt: `auc_2` to `auc`."""
    return _NUMBER.sub("", name)


def made_by_keras(stem: str) -> bool:
    """Return whether a name, perhaps with prefixes, ends as Keras names a metric."""
    parts = stem.split("_")
    return any("_".join(parts[start:]) in NAME_MODES for start in range(len(parts)))


def check_mode(mode: Any) -> None:
    """Raise unless an argument is "max", "min" or "auto"."""
    if mode not in ("auto", "max", "min"):
        raise ArgumentError(f'mode= wants "auto", "max" or "min", not {mode!r}.')


@runtime_checkable
class HasDirection(Protocol):
    """A metric that knows which way is better, as multiback's metrics do."""

    direction: Mode


_REGISTRY: dict[str, Mode] = dict(NAME_MODES)


def register_direction(name: str, mode: Mode) -> None:
    """Let `mode="auto"` know which way is better for a log name.

    Args:
        name: The name without a prefix such as `val_`.
        mode: "max" or "min".

    Raises:
        ArgumentError: `mode` is something else.

    Examples:
        >>> register_direction("psnr", "max")
    """
    if mode not in ("max", "min"):
        raise ArgumentError(f'mode= wants "max" or "min", not {mode!r}.')
    _REGISTRY[name] = mode


def find_direction(name: str) -> Mode | None:
    """Return which way is better by a name alone, or None if unknown.

    Args:
        name: The log name without the prefix of a validation set.

    >>> find_direction("auc_2"), find_direction("charm")
    ('max', None)
    """
    found = _REGISTRY.get(name) or _REGISTRY.get(without_number(name))
    # The names of losses of several outputs.
    return found or ("min" if name.endswith("_loss") else None)


def direction_of(metric: Any) -> Mode | None:
    """Return which way is better by a metric object, or None.

    A subclass of a Keras metric may compute another result, so it does not inherit the
    direction.
    """
    if isinstance(metric, HasDirection) and metric.direction in ("max", "min"):
        return metric.direction
    for kind in type(metric).__mro__:
        if kind.__module__.startswith("keras."):
            return CLASS_MODES.get(kind.__name__)
        if "result" in vars(kind):
            return None
    return None
