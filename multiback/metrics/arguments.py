"""Checks that several metrics' constructors share."""

import numbers
from typing import Any

from multiback.errors import ArgumentError


def as_integer(name: str, value: Any, smallest: int, context: str = "") -> int:
    """Return an integer argument, NumPy's integers among them, as Python's.

    Args:
        name: The argument's name.
        value: What was given.
        smallest: The smallest value that is allowed.
        context: What stands before "wants", such as 'task="multiclass" '.

    Raises:
        ArgumentError: It is no integer or is too small.

    Example:
        >>> as_integer("num_classes", 3, 2)
        3
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < smallest:
        what = f"{context}wants {name}= as" if context else f"{name}= wants"
        raise ArgumentError(f"{what} an integer of at least {smallest}, not {value!r}.")
    return int(value)
