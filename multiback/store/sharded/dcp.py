"""Read what torch's distributed checkpoint writes in its safetensors layout.

Each process wrote one file of the pieces that it held; the header says where in its
array each piece belongs. Nothing here needs torch, and nothing is unpickled: its other
layout has a pickle for an index, which is why that one is not used.
"""

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiback.errors import CorruptCheckpointError
from multiback.store.format.jsontext import load_strict
from multiback.store.format.payload import FileEntry
from multiback.store.format.tensor_file import Array, read_pieces
from multiback.store.format.tensor_header import (
    LENGTH_BYTES,
    MAX_HEADER,
    Slot,
    parse_header,
    parse_metadata,
)
from multiback.store.sharded.blocks import PartReader
from multiback.store.sharded.regions import Box, Boxes, common, size_of, slices

# torch's names; a test notices a change.
_PLACES, _OFFSETS = "DCP_SHARDING_INFO", "saved_offsets"

Piece = tuple[tuple[int, ...], Array]


def read(folder: Path, files: Mapping[str, FileEntry]) -> dict[str, Array]:
    """Read all pieces, each file in one pass that verifies it, and join them.

    Args:
        folder: Where the files are.
        files: Each file's size and checksum.

    Returns:
        Whole arrays by name.

    Raises:
        CorruptCheckpointError: A file is not what the manifest says, or the pieces of
            an array do not make one. No array takes more memory than its pieces.
    """
    pieces: dict[str, list[Piece]] = defaultdict(list)
    for name, entry in files.items():
        path = folder / name
        metadata, arrays = read_pieces(path, entry)
        try:
            offsets = _offsets(metadata)
            for key, array in arrays.items():
                at = offsets.get(key, [0] * array.ndim)
                pieces[key].append((_place(key, at, array.ndim), array))
        except ValueError as error:
            raise CorruptCheckpointError(
                f"{path} must say where its pieces belong, but {error}. Load another "
                f"checkpoint."
            ) from error
    try:
        return {key: join(key, found) for key, found in pieces.items()}
    except ValueError as error:
        raise CorruptCheckpointError(
            f"{folder} must hold all pieces of each array, but {error}. Load another "
            f"checkpoint."
        ) from error


def read_parts(
    reader: PartReader, boxes: Boxes
) -> tuple[dict[str, Array], dict[str, list[Array]]]:
    """Read parts of some arrays, and only the needed bytes of each file.

    Args:
        reader: Reads the folder.
        boxes: What is wanted of the arrays that are not wanted whole.

    Returns:
        All other arrays, and the parts of these that the folder has.

    Raises:
        CorruptCheckpointError: As for `read`, as far as it is read.
    """
    found: dict[str, list[_Lying]] = defaultdict(list)
    for name in reader.files:
        try:
            for slot, at, begin in _slots(reader, name):
                found[slot.name].append(_Lying(name, slot, at, begin))
        except ValueError as error:
            raise CorruptCheckpointError(
                f"{reader.folder / name} must be a whole safetensors file that says "
                f"where its pieces belong, but {error}. Load another checkpoint."
            ) from error
    try:
        parts = {
            key: [_part(reader, key, found[key], box) for box in boxes[key]]
            for key in boxes.keys() & found.keys()
        }
        whole = {
            key: join(
                key, [(one.at, _read_piece(reader, one, one.box)) for one in lying]
            )
            for key, lying in found.items()
            if key not in boxes
        }
    except ValueError as error:
        raise CorruptCheckpointError(
            f"{reader.folder} must hold all pieces of each array, but {error}. Load "
            f"another checkpoint."
        ) from error
    return whole, parts


@dataclass(frozen=True)
class _Lying:
    """A piece of an array in a file, from one byte on."""

    file: str
    slot: Slot
    at: tuple[int, ...]
    begin: int

    @property
    def box(self) -> Box:
        """The region of the array that this piece covers."""
        return tuple(
            (at, at + size) for at, size in zip(self.at, self.slot.shape, strict=True)
        )


def _slots(
    reader: PartReader, name: str
) -> Iterator[tuple[Slot, tuple[int, ...], int]]:
    """Yield each array of a file, where it belongs and where its bytes begin."""
    rest = reader.files[name].size - LENGTH_BYTES
    length = int.from_bytes(reader.read(name, 0, LENGTH_BYTES), "little")
    if length > min(rest, MAX_HEADER):
        raise ValueError(f"its header claims {length} bytes of {rest}")
    data = LENGTH_BYTES + length
    raw = bytes(reader.read(name, LENGTH_BYTES, data))
    slots = parse_header(raw, rest - length)
    offsets = _offsets(parse_metadata(raw))
    for slot in slots:
        at = offsets.get(slot.name, [0] * len(slot.shape))
        yield slot, _place(slot.name, at, len(slot.shape)), data + slot.begin


def _part(reader: PartReader, key: str, lying: list[_Lying], box: Box) -> Array:
    """Read a box from an array's pieces, which must fill it."""
    dtype = lying[0].slot.dtype
    if {(one.slot.dtype, len(one.at)) for one in lying} != {(dtype, len(box))}:
        raise ValueError(f"the pieces of {key!r} differ in dtype or dimensions")
    overlaps = [(one, common(one.box, box)) for one in lying]
    touched = [(one, there) for one, there in overlaps if there is not None]
    # Before anything is allocated: the pieces must cover the box.
    if sum(size_of(there) for _, there in touched) != size_of(box):
        raise ValueError(f"the pieces of {key!r} do not fill the part {list(box)}")
    part = np.empty([end - begin for begin, end in box], dtype)
    is_filled = np.zeros(part.shape, np.bool_)
    origin = [begin for begin, _ in box]
    for one, there in touched:
        part[slices(there, origin)] = _read_piece(reader, one, there)
        is_filled[slices(there, origin)] = True
    if not is_filled.all():
        raise ValueError(f"the pieces of {key!r} overlap")
    return part


def _read_piece(reader: PartReader, one: _Lying, box: Box) -> Array:
    """Read a part of a piece: only the rows that it needs."""
    slot = one.slot
    if not slot.shape or 0 in slot.shape:
        raw = reader.read(one.file, one.begin, one.begin + slot.end - slot.begin)
        return _array(raw, slot.dtype).reshape(slot.shape)
    row = (slot.end - slot.begin) // slot.shape[0]
    first, last = (edge - one.at[0] for edge in box[0])
    raw = reader.read(one.file, one.begin + first * row, one.begin + last * row)
    rows = _array(raw, slot.dtype).reshape(last - first, *slot.shape[1:])
    return rows[slices(box, (box[0][0], *one.at[1:]))]


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


def join(key: str, pieces: list[Piece]) -> Array:
    """Put the pieces of one array together.

    >>> join("w", [((2,), np.array([3])), ((0,), np.array([1, 2]))])
    array([1, 2, 3])

    Raises:
        ValueError: They leave a gap, overlap, or differ in dtype or dimensions.
    """
    (first, array), *others = pieces
    if not others and not any(first):
        return array
    # `_place` has checked that offsets and pieces have the same dimensions.
    if {(one.dtype, one.ndim) for _, one in pieces} != {(array.dtype, array.ndim)}:
        raise ValueError(f"the pieces of {key!r} differ in dtype or dimensions")
    shape = tuple(
        max(at[axis] + piece.shape[axis] for at, piece in pieces)
        for axis in range(array.ndim)
    )
    if math.prod(shape) != sum(piece.size for _, piece in pieces):
        raise ValueError(f"the pieces of {key!r} do not fill its shape {list(shape)}")
    whole = np.empty(shape, array.dtype)
    is_filled = np.zeros(shape, np.bool_)
    for at, piece in pieces:
        where = tuple(
            slice(begin, begin + size)
            for begin, size in zip(at, piece.shape, strict=True)
        )
        whole[where] = piece
        is_filled[where] = True
    if not is_filled.all():
        raise ValueError(f"the pieces of {key!r} overlap")
    return whole
