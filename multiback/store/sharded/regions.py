"""Regions: the parts of arrays that a process holds, as pure functions on numbers.

A region is a range of each dimension. Arrays lie on the disk in pieces, which are
regions too; where a piece and a region overlap is what has to be read.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

Region = tuple[tuple[int, int], ...]
# The regions to read of some arrays, by name.
Regions = Mapping[str, Sequence[Region]]


def whole(shape: Sequence[int]) -> Region:
    """Return the region that is all of an array.

    >>> whole((4, 2))
    ((0, 4), (0, 2))
    """
    return tuple((0, int(size)) for size in shape)


def size_of(region: Region) -> int:
    """Count the elements of a region.

    >>> size_of(((0, 4), (1, 2)))
    4
    """
    return math.prod(end - begin for begin, end in region)


def slices(region: Region, origin: Sequence[int] = ()) -> tuple[slice, ...]:
    """Return a region as an index, counted from an origin.

    >>> slices(((4, 6),), (4,))
    (slice(0, 2, None),)
    """
    start = tuple(origin) or (0,) * len(region)
    return tuple(
        slice(begin - at, end - at)
        for (begin, end), at in zip(region, start, strict=True)
    )


def common(one: Region, other: Region) -> Region | None:
    """Return where two regions overlap; None where they do not.

    >>> common(((0, 4), (0, 2)), ((2, 6), (1, 9)))
    ((2, 4), (1, 2))
    >>> common(((0, 4),), ((4, 6),)) is None
    True
    """
    found = tuple(
        (max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True)
    )
    return None if any(begin >= end for begin, end in found) else found


def is_inside(region: Region, shape: Sequence[int]) -> bool:
    """Return whether a region is a part of an array.

    >>> is_inside(((0, 4),), (4,)), is_inside(((0, 4),), (3,)), is_inside((), (3,))
    (True, False, False)
    """
    return len(region) == len(shape) and all(
        0 <= begin <= end <= size
        for (begin, end), size in zip(region, shape, strict=True)
    )


def chunks_of(region: Region, chunk: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the numbers of the chunks of a regular grid that a region touches.

    >>> list(chunks_of(((2, 5), (0, 3)), (4, 3)))
    [(0, 0), (1, 0)]
    """
    return itertools.product(
        *(
            range(begin // size, -(-end // size))
            for (begin, end), size in zip(region, chunk, strict=True)
        )
    )
