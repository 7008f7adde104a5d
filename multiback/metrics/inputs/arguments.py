"""Checks that several metrics' constructors share."""

import difflib
import inspect
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

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


def as_plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with Python's numbers for NumPy's, which JSON does not know.

    Example:
        >>> as_plain({"num_classes": np.int64(3), "threshold": 0.5})
        {'num_classes': 3, 'threshold': 0.5}
    """
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in arguments.items()
    }


def refuse_unknown(cls: type, unknown: Mapping[str, Any]) -> None:
    """Raise where a class was given arguments that it does not have.

    Args:
        cls: A class, some of whose arguments are those of its bases.
        unknown: What no base took.

    Raises:
        ArgumentError: There are some. It names what was meant, or all that there are.
    """
    if not unknown:
        return
    known = dict.fromkeys(
        name
        for base in cls.__mro__
        if base.__module__.startswith("multiback.") and "__init__" in vars(base)
        for name, one in inspect.signature(base).parameters.items()
        if one.kind is one.KEYWORD_ONLY or name == "task"
    )
    given = next(iter(unknown))
    near = difflib.get_close_matches(given, known, n=1)
    raise ArgumentError(
        f"{cls.__name__} has no argument {given}=. "
        + (f"Did you mean {near[0]}=?" if near else f"It has {', '.join(known)}.")
    )


def is_real(value: Any) -> bool:
    """Tell whether an argument is a real number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def check_ignore_index(ignore_index: Any) -> None:
    """Raise unless `ignore_index` is a label that an int32 holds, or None."""
    if ignore_index is None:
        return
    whole = isinstance(ignore_index, numbers.Integral) and is_real(ignore_index)
    # The smallest int32 stands for what is no label at all.
    if not whole or not -(2**31) < ignore_index < 2**31:
        raise ArgumentError(
            f"ignore_index= wants an integer label of int32 or None, not "
            f"{ignore_index!r}."
        )


def check_from_logits(from_logits: Any) -> None:
    """Raise unless `from_logits` is True or False: "False" would count as True."""
    if not isinstance(from_logits, bool | np.bool_):
        raise ArgumentError(f"from_logits= wants True or False, not {from_logits!r}.")


def check_flag(name: str, value: Any) -> bool:
    """Return an argument that is True or False; "False" would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name}= wants True or False, not {value!r}.")
    return bool(value)
