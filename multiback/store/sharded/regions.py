"""Boxes: the parts of arrays that a process holds, as pure functions on numbers.

A box is a range of each dimension. Arrays lie on the disk in pieces, which are boxes
too; where they and a box overlap is what has to be read.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

Box = tuple[tuple[int, int], ...]
# The boxes to read of some arrays, by name.
Boxes = Mapping[str, Sequence[Box]]


def whole(shape: Sequence[int]) -> Box:
    """Return the box that is all of an array.

    >>> whole((4, 2))
    ((0, 4), (0, 2))
    """
    return tuple((0, int(size)) for size in shape)


def size_of(box: Box) -> int:
    """Count the elements of a box.

    >>> size_of(((0, 4), (1, 2)))
    4
    """
    return math.prod(end - begin for begin, end in box)


def slices(box: Box, origin: Sequence[int] = ()) -> tuple[slice, ...]:
    """Return a box as an index, counted from an origin.

    >>> slices(((4, 6),), (4,))
    (slice(0, 2, None),)
    """
    start = tuple(origin) or (0,) * len(box)
    return tuple(
        slice(begin - at, end - at) for (begin, end), at in zip(box, start, strict=True)
    )


def common(one: Box, other: Box) -> Box | None:
    """Return where two boxes overlap; None where they do not.

    >>> common(((0, 4), (0, 2)), ((2, 6), (1, 9)))
    ((2, 4), (1, 2))
    >>> common(((0, 4),), ((4, 6),)) is None
    True
    """
    found = tuple(
        (max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True)
    )
    return None if any(begin >= end for begin, end in found) else found


def is_inside(box: Box, shape: Sequence[int]) -> bool:
    """Return whether a box is a part of an array.

    >>> is_inside(((0, 4),), (4,)), is_inside(((0, 4),), (3,)), is_inside((), (3,))
    (True, False, False)
    """
    return len(box) == len(shape) and all(
        0 <= begin <= end <= size for (begin, end), size in zip(box, shape, strict=True)
    )


def chunks_of(box: Box, chunk: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the numbers of the chunks of a regular grid that a box touches.

    >>> list(chunks_of(((2, 5), (0, 3)), (4, 3)))
    [(0, 0), (1, 0)]
    """
    return itertools.product(
        *(
            range(begin // size, -(-end // size))
            for (begin, end), size in zip(box, chunk, strict=True)
        )
    )
