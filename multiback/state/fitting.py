"""Whether a stored array fits a variable: pure functions on values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class DeviceValue:
    """A value that is already on its devices, sharded as its variable is.

    It replaces a host array where no process has the whole.
    """

    value: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


StateDict: TypeAlias = Mapping[str, np.ndarray]
Values: TypeAlias = Mapping[str, np.ndarray | DeviceValue]

_SHOWN = 10


def fitted(value: np.ndarray | DeviceValue, dtype: np.dtype) -> Any:
    """Return what to assign to a variable of a dtype; None if a value would change."""
    if isinstance(value, DeviceValue):
        return value.value if value.dtype == dtype else None
    return cast_exactly(value, dtype)


def cast_exactly(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Copy an array to a dtype; None when a value would change.

    Backends keep the same state in different dtypes (a seed is uint32 on JAX, int32 on
    torch, int64 on TensorFlow), so the dtype itself is not a criterion.

    >>> cast_exactly(np.array([7], "int64"), np.dtype("int32"))
    array([7], dtype=int32)
    >>> cast_exactly(np.array([-1], "int64"), np.dtype("uint32")) is None
    True
    """
    if array.dtype == dtype:
        return np.array(array)
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        back = cast.astype(array.dtype)
    # Two's complement brings -1 back from uint32 unchanged: compare the signs too.
    same = (back == array) & ((cast < 0) == (array < 0)) | (
        (array != array) & (cast != cast)  # noqa: PLR0124 - NaN in both
    )
    return cast if bool(np.all(same)) else None


def rounded(value: np.ndarray | DeviceValue, dtype: np.dtype) -> np.ndarray | None:
    """Round an array of floats to a narrower float dtype; None for other dtypes.

    >>> rounded(np.array([0.1], "float32"), dtype_of("bfloat16"))
    array([0.100098], dtype=bfloat16)
    """
    if isinstance(value, DeviceValue) or not (
        is_float(value.dtype) and is_float(dtype)
    ):
        return None
    with np.errstate(over="ignore"):
        return np.asarray(value.astype(dtype))


def is_float(dtype: np.dtype) -> bool:
    """Return whether a dtype is of floats, also of ml_dtypes."""
    try:
        ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]  # It has no types
    except ValueError:
        return False
    return True


def dtype_of(name: str) -> np.dtype:
    """Return a dtype by the name that NumPy or ml_dtypes has for it.

    >>> dtype_of("float8_e4m3fn")
    dtype(float8_e4m3fn)
    """
    return np.dtype(getattr(ml_dtypes, name, name))


def listing(problems: Sequence[str]) -> str:
    """Return the first few problems, one a line, and count the rest.

    >>> print(listing(["a", "b"]))
    <BLANKLINE>
      - a
      - b
    """
    lines = [f"\n  - {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"\n  - and {len(problems) - _SHOWN} more")
    return "".join(lines)
