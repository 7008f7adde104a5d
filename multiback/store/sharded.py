"""Read what torch's distributed checkpoint writes in its safetensors layout.

Each process wrote one file of the pieces that it held; the header says where in its
array each piece belongs. Nothing here needs torch, and nothing is unpickled: its other
layout has a pickle for an index, which is why that one is not used.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from multiback.errors import CorruptCheckpointError
from multiback.store.jsontext import load_strict
from multiback.store.payload import FileEntry
from multiback.store.tensor_file import Array, read_pieces

# What torch calls them; a test notices when that changes.
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
                pieces[key].append((_place(key, at, array), array))
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


def _offsets(metadata: Mapping[str, Any]) -> dict[str, Any]:
    text = metadata.get(_PLACES, "{}")
    places = load_strict(text.encode()) if isinstance(text, str) else None
    if not isinstance(places, dict):
        raise ValueError(f"its {_PLACES} is no object")  # noqa: TRY004  (one error for all faults of a file)
    return {
        key: place.get(_OFFSETS) if isinstance(place, dict) else None
        for key, place in places.items()
    }


def _place(key: str, offsets: object, array: Array) -> tuple[int, ...]:
    if (
        not isinstance(offsets, list)
        or len(offsets) != array.ndim
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
    # Of the same number of dimensions as their offsets, which `_place` has seen to.
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
