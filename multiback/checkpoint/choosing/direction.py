"""Which way is better, for a name in the logs."""

from typing import Any, Protocol, runtime_checkable

from multiback.checkpoint.choosing.names import without_number
from multiback.checkpoint.keras_metrics import CLASS_MODES, NAME_MODES, Mode
from multiback.errors import ArgumentError

__all__ = [
    "Mode",
    "check_mode",
    "direction_of",
    "find_direction",
    "register_direction",
]


def check_mode(mode: Any) -> None:
    """Raise unless an argument says which way is better, or to ask."""
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

    Example:
    >>> register_direction("psnr", "max")
    """
    if mode not in ("max", "min"):
        raise ArgumentError(f'mode= wants "max" or "min", not {mode!r}.')
    _REGISTRY[name] = mode


def find_direction(name: str) -> Mode | None:
    """Return which way is better by a name alone, or None where nothing says so.

    Args:
        name: The log name without the prefix of a validation set.

    >>> find_direction("auc_2"), find_direction("charm")
    ('max', None)
    """
    return _REGISTRY.get(name) or _REGISTRY.get(without_number(name))


def direction_of(metric: Any) -> Mode | None:
    """Return which way is better by a metric object, or None.

    A subclass of a Keras metric that computes another result may turn it round,
    so it is not taken for what it inherits from.
    """
    if isinstance(metric, HasDirection) and metric.direction in ("max", "min"):
        return metric.direction
    for kind in type(metric).__mro__:
        if kind.__module__.startswith("keras."):
            return CLASS_MODES.get(kind.__name__)
        if "result" in vars(kind):
            return None
    return None
