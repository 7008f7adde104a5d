"""Does a stored array fit a variable? Pure functions on NumPy values."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

StateDict: TypeAlias = Mapping[str, np.ndarray]

_SHOWN = 10


def cast_exactly(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Copy an array to a dtype; None when a value would change.

    Backends keep the same state in different dtypes (a seed is uint32 on JAX,
    int32 on torch, int64 on TensorFlow), so the dtype itself is no criterion.

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


def listing(problems: Sequence[str]) -> str:
    """Write the first few problems, one a line, and count the rest.

    >>> print(listing(["a", "b"]))
    <BLANKLINE>
      - a
      - b
    """
    lines = [f"\n  - {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"\n  - and {len(problems) - _SHOWN} more")
    return "".join(lines)
