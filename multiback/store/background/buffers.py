"""Host memory that states are copied into again and again."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.store.format.tensor_file import Array
from multiback.store.format.tensor_header import build_header

# The alignment that vector units and direct memory access want.
_ALIGNMENT = 64

Kind = tuple[npt.DTypeLike, tuple[int, ...]]


class Buffer:
    """Host memory, cut into arrays; the same memory as long as it is large enough.

    The arrays lie in the order of a state file, one right behind the other: written
    from here, a state is one piece of memory.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._memory: Array = np.empty(0, np.uint8)
        self._arrays: dict[str, Array] = {}

    def arrays(
        self, kinds: Mapping[str, Kind], allocate: Callable[[int], Array]
    ) -> dict[str, Array]:
        """Return arrays of these dtypes and shapes, with their last content."""
        wanted = {
            name: (np.dtype(d), tuple(shape)) for name, (d, shape) in kinds.items()
        }
        if wanted == self._kinds:
            return self._arrays
        # Wide items come first there, so each array is aligned to its items.
        _, order = build_header({n: (d.name, s) for n, (d, s) in wanted.items()})
        places, size = {}, 0
        for name in order:
            dtype, shape = wanted[name]
            end = size + dtype.itemsize * math.prod(shape)
            places[name] = slice(size, end)
            size = end
        # Release the old memory first: two states may not fit at once.
        self._kinds, self._arrays = {}, {}
        if self._memory.size < size:
            self._memory = np.empty(0, np.uint8)
            self._memory = allocate(size)
        self._arrays = {
            name: self._memory[places[name]].view(dtype).reshape(shape)
            for name, (dtype, shape) in wanted.items()
        }
        self._kinds = wanted
        return self._arrays

    def is_in(self, arrays: Iterable[Array]) -> bool:
        """Return whether an array lies in this memory."""
        return any(np.may_share_memory(array, self._memory) for array in arrays)


def allocate_aligned(size: int) -> Array:
    """Return `size` bytes of uninitialised memory."""
    whole = np.empty(size + _ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % _ALIGNMENT
    return whole[start : start + size]
