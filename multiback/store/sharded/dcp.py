"""Read what torch's distributed checkpoint writes in its safetensors layout.

Each process wrote one file of the pieces that it held; the header says where in its
array each piece belongs. Nothing here needs torch, and nothing is unpickled: its other
layout has a pickle for an index, which is why that one is not used.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiback.errors import CorruptCheckpointError
from multiback.store.format.jsontext import load_strict
from multiback.store.format.tensor_file import Array
from multiback.store.format.tensor_header import (
    LENGTH_BYTES,
    MAX_HEADER,
    TensorInfo,
    parse_header,
    parse_metadata,
)
from multiback.store.sharded.blocks import PartReader
from multiback.store.sharded.regions import Region, Regions, common, size_of, slices

# torch's names; a test notices a change.
_PLACES, _OFFSETS = "DCP_SHARDING_INFO", "saved_offsets"


def read_parts(
    reader: PartReader, regions: Regions
) -> tuple[dict[str, Array], dict[str, list[Array]]]:
    """Read the regions of some arrays, all others whole, and only the needed bytes.

    Return the others, and the parts that the folder has. No array takes more memory
    than its pieces.
    """
    found: dict[str, list[_StoredPiece]] = defaultdict(list)
    for name in reader.files:
        try:
            for info, at, begin in _pieces_of(reader, name):
                found[info.name].append(_StoredPiece(name, info, at, begin))
        except ValueError as error:
            raise CorruptCheckpointError(
                f"{reader.folder / name} must be a whole safetensors file that says "
                f"where its pieces belong, but {error}. Load another checkpoint."
            ) from error
    try:
        parts = {
            key: [_part(reader, key, found[key], region) for region in regions[key]]
            for key in regions.keys() & found.keys()
        }
        whole = {
            key: _part(reader, key, stored, _bounds(stored))
            for key, stored in found.items()
            if key not in regions
        }
    except ValueError as error:
        raise CorruptCheckpointError(
            f"{reader.folder} must hold all pieces of each array, but {error}. Load "
            f"another checkpoint."
        ) from error
    return whole, parts


@dataclass(frozen=True)
class _StoredPiece:
    """A piece of an array in a file, from one byte on."""

    file: str
    info: TensorInfo
    at: tuple[int, ...]
    begin: int

    @property
    def region(self) -> Region:
        """The region of the array that this piece covers."""
        return tuple(
            (at, at + size) for at, size in zip(self.at, self.info.shape, strict=True)
        )


def _pieces_of(
    reader: PartReader, name: str
) -> Iterator[tuple[TensorInfo, tuple[int, ...], int]]:
    """Yield each array of a file, where it belongs and where its bytes begin."""
    rest = reader.files[name].size - LENGTH_BYTES
    length = int.from_bytes(reader.read(name, 0, LENGTH_BYTES), "little")
    if length > min(rest, MAX_HEADER):
        raise ValueError(f"its header claims {length} bytes of {rest}")
    data = LENGTH_BYTES + length
    raw = bytes(reader.read(name, LENGTH_BYTES, data))
    found = parse_header(raw, rest - length)
    offsets = _offsets(parse_metadata(raw))
    for info in found:
        at = offsets.get(info.name, [0] * len(info.shape))
        yield info, _place(info.name, at, len(info.shape)), data + info.begin


def _bounds(stored: list[_StoredPiece]) -> Region:
    """Return the region from the origin to the last edge of any piece."""
    ends = ([end for _, end in one.region] for one in stored)
    return tuple((0, max(each)) for each in zip(*ends, strict=False))


def _part(
    reader: PartReader, key: str, stored: list[_StoredPiece], region: Region
) -> Array:
    """Read a region from an array's pieces, which must fill it."""
    dtype = stored[0].info.dtype
    if {(one.info.dtype, len(one.at)) for one in stored} != {(dtype, len(region))}:
        raise ValueError(f"the pieces of {key!r} differ in dtype or dimensions")
    overlaps = [(one, common(one.region, region)) for one in stored]
    touched = [(one, there) for one, there in overlaps if there is not None]
    # Before anything is allocated: the pieces must cover the region.
    if sum(size_of(there) for _, there in touched) != size_of(region):
        raise ValueError(f"the pieces of {key!r} do not fill the part {list(region)}")
    if [(one.region, there) for one, there in touched] == [(region, region)]:
        return _read_piece(reader, touched[0][0], region)
    part = np.empty([end - begin for begin, end in region], dtype)
    is_filled = np.zeros(part.shape, np.bool_)
    origin = [begin for begin, _ in region]
    for one, there in touched:
        part[slices(there, origin)] = _read_piece(reader, one, there)
        is_filled[slices(there, origin)] = True
    if not is_filled.all():
        raise ValueError(f"the pieces of {key!r} overlap")
    return part


def _read_piece(reader: PartReader, one: _StoredPiece, region: Region) -> Array:
    """Read a part of a piece: only the rows that it needs."""
    info = one.info
    if not info.shape or 0 in info.shape:
        raw = reader.read(one.file, one.begin, one.begin + info.end - info.begin)
        return _array(raw, info.dtype).reshape(info.shape)
    row = (info.end - info.begin) // info.shape[0]
    first, last = (edge - one.at[0] for edge in region[0])
    raw = reader.read(one.file, one.begin + first * row, one.begin + last * row)
    rows = _array(raw, info.dtype).reshape(last - first, *info.shape[1:])
    return rows[slices(region, (region[0][0], *one.at[1:]))]


def _array(raw: memoryview, dtype: np.dtype[Any]) -> Array:
    """Return bytes as numbers; they are written little-endian."""
    if sys.byteorder == "big" and dtype.itemsize > 1:
        dtype = dtype.newbyteorder("<")
    return np.require(np.frombuffer(raw, np.uint8).view(dtype), requirements="A")


def _offsets(metadata: Mapping[str, Any]) -> dict[str, Any]:
    text = metadata.get(_PLACES, "{}")
    places = load_strict(text.encode()) if isinstance(text, str) else None
    if not isinstance(places, dict):
        raise ValueError(f"its {_PLACES} is no object")  # noqa: TRY004  (one error for all faults of a file)
    return {
        key: place.get(_OFFSETS) if isinstance(place, dict) else None
        for key, place in places.items()
    }


def _place(key: str, offsets: object, dimensions: int) -> tuple[int, ...]:
    if (
        not isinstance(offsets, list)
        or len(offsets) != dimensions
        or not all(type(each) is int and 0 <= each < 1 << 48 for each in offsets)
    ):
        raise ValueError(f"the offsets of {key!r} are {offsets!r:.80}")
    return tuple(offsets)
