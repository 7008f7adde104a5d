"""Checks that several metrics' constructors share."""

import numbers
from typing import Any

import numpy as np

from multiback.errors import ArgumentError


def as_integer(name: str, value: Any, smallest: int, context: str = "") -> int:
    """Return an integer argument, NumPy's integers among them, as Python's.

    The error says the context before "wants", such as 'task="multiclass" '.

    Examples:
        >>> as_integer("num_classes", 3, 2)
        3
    """
    if not is_whole(value) or value < smallest:
        what = f"{context}wants {name}= as" if context else f"{name}= wants"
        raise ArgumentError(f"{what} an integer of at least {smallest}, not {value!r}.")
    return int(value)


def as_plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with Python's numbers in place of NumPy's, for JSON.

    Examples:
        >>> as_plain({"num_classes": np.int64(3), "threshold": 0.5})
        {'num_classes': 3, 'threshold': 0.5}
    """
    return {name: _plain(value) for name, value in arguments.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [_plain(each) for each in value]
    return value


def is_real(value: Any) -> bool:
    """Return whether an argument is a real number; True and False are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def is_whole(value: Any) -> bool:
    """Return whether an argument is a whole number; True and False are not."""
    return isinstance(value, numbers.Integral) and is_real(value)


def as_ids(
    name: str, value: Any, smallest: int, largest: int
) -> int | tuple[int, ...] | None:
    """Return an argument that is a class id, or several, with Python's integers.

    An empty list raises, and so does an id that is given twice.

    Examples:
        >>> as_ids("classes", np.array([2, 1]), 0, 2)
        (2, 1)
    """
    if value is None:
        return None
    several = isinstance(value, list | tuple | range | np.ndarray)
    ids = list(value) if several else [value]
    if not ids or not all(is_whole(i) and smallest <= i <= largest for i in ids):
        raise ArgumentError(
            f"{name}= wants an integer from {smallest} to {largest}, a list of them, "
            f"or None, not {value!r}."
        )
    if len(set(ids)) < len(ids):
        raise ArgumentError(f"{name}= wants each id once, not {value!r}.")
    return tuple(int(i) for i in ids) if several else int(value)


def check_from_logits(from_logits: Any) -> None:
    """Raise unless `from_logits` is True or False: "False" would count as True."""
    if not isinstance(from_logits, bool | np.bool_):
        raise ArgumentError(f"from_logits= wants True or False, not {from_logits!r}.")


def check_flag(name: str, value: Any) -> bool:
    """Return an argument that is True or False; "False" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name}= wants True or False, not {value!r}.")
    return bool(value)
