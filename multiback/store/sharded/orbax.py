"""Read the arrays that Orbax writes, with TensorStore alone.

TensorStore is what Orbax itself reads and writes with. Without Orbax around it neither
JAX nor devices are needed, and no file says which code is to run.
"""

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from multiback.errors import CorruptCheckpointError, MissingPackageError
from multiback.store.format.payload import FileEntry
from multiback.store.format.tensor_file import Array
from multiback.store.sharded.blocks import PartReader
from multiback.store.sharded.regions import (
    Region,
    Regions,
    chunks_of,
    is_inside,
    slices,
    whole,
)

# A description of one array, beside its chunks.
_DESCRIPTION = "/.zarray"
# Where the database begins.
_ROOT = "manifest.ocdbt"


def read_parts(
    reader: PartReader, regions: Regions
) -> tuple[dict[str, Array], dict[str, list[Array]]]:
    """Read regions of some arrays, all others whole: chunks that they touch, verified.

    Return the others, and the parts that the folder has. What is written here is not
    compressed: arrays that claim more bytes than the files have are refused before
    anything is allocated.
    """
    library = tensorstore()
    with _orbax_errors(reader.folder):
        places = places_of(library, reader)
        for key, place in places.items():
            if key.endswith(_DESCRIPTION) and place is not None:
                reader.check(*place)
        opened = _opened(library, reader.folder, reader.files)
        found: dict[str, list[Array]] = {}
        for name, one in opened.items():
            wanted = regions.get(name, [whole(one.shape)])
            if not all(is_inside(region, one.shape) for region in wanted):
                raise ValueError(f"{name!r} has the shape {list(one.shape)}")
            _check_chunks(reader, places, name, one, wanted)
            found[name] = [
                np.asarray(one[slices(region)].read().result()) for region in wanted
            ]
    parts = {name: found.pop(name) for name in regions.keys() & found.keys()}
    return {name: all_of for name, [all_of] in found.items()}, parts


# A value's file in the database, its first byte and its end.
Place = tuple[str, int, int]


def places_of(library: Any, reader: PartReader) -> dict[str, Place | None]:
    """Return where each value of the database lies, from verified index files.

    None for a value of a few bytes, which lies beside its key. What is not a database
    raises a ValueError or a LookupError.
    """
    reader.check(_ROOT, 0, reader.files[_ROOT].size)
    store = library.KvStore.open(f"file://{reader.folder}/").result()
    about = library.ocdbt.dump(store).result()
    # The last one is the newest.
    waiting = [(b"", about["versions"][-1]["root"].get("location"))]
    found: dict[str, Place | None] = {}
    seen: set[str | None] = {None}
    while waiting:
        prefix, location = waiting.pop()
        if location in seen:
            # Each node has one parent; a database without keys has no node.
            continue
        seen.add(location)
        reader.check(*_place(location))
        for entry in library.ocdbt.dump(store, location).result()["entries"]:
            if "location" in entry:
                below = prefix + entry["subtree_common_prefix"]
                waiting.append((below, entry["location"]))
                continue
            value = entry.get("indirect_value")
            key = (prefix + entry["key"]).decode()
            found[key] = None if value is None else _place(value)
    return found


def _place(location: str) -> Place:
    """Read a location: kind, two halves of a path, first byte and length.

    >>> _place("value:ocdbt.process_0/:d/0f3a:16:4")
    ('ocdbt.process_0/d/0f3a', 16, 20)
    """
    _, base, path, begin, length = location.split(":")
    return unquote(base + path), int(begin), int(begin) + int(length)


def _check_chunks(
    reader: PartReader,
    places: Mapping[str, Place | None],
    name: str,
    array: Any,
    regions: Sequence[Region],
) -> None:
    """Verify the chunks of an array that some regions touch."""
    about = array.spec().to_json()["metadata"]
    separator = about.get("dimension_separator", ".")
    for numbers in {
        n for region in regions for n in chunks_of(region, about["chunks"])
    }:
        key = f"{quote(name, safe='')}/{separator.join(map(str, numbers)) or '0'}"
        # A chunk without a place cannot be verified, so it is not read either.
        if (place := places[key]) is not None:
            reader.check(*place)


@contextmanager
def _orbax_errors(folder: Path) -> Iterator[None]:
    """Turn TensorStore's errors into errors of this package."""
    try:
        yield
    except (
        ValueError,
        TypeError,
        RuntimeError,
        OverflowError,
        LookupError,
        AttributeError,
    ) as error:
        raise CorruptCheckpointError(
            f"{folder} must hold arrays that Orbax wrote, but {error!s:.500}. Load "
            f"another checkpoint."
        ) from error


def _opened(
    library: Any, folder: Path, files: Mapping[str, FileEntry]
) -> dict[str, Any]:
    """Open the arrays of a folder; nothing is read yet."""
    database = {"driver": "ocdbt", "base": f"file://{folder}/"}
    keys = library.KvStore.open(database).result().list().result()
    names = [
        key[: -len(_DESCRIPTION)]
        for key in map(bytes.decode, keys)
        if key.endswith(_DESCRIPTION)
    ]
    opened = {
        unquote(name): library.open(
            {
                "driver": "zarr",
                "kvstore": {**database, "path": f"{name}/"},
                # A piece that is missing is an error, not zeros.
                "fill_missing_data_reads": False,
            },
            open=True,
            read=True,
        ).result()
        for name in names
    }
    _check_sizes(opened, sum(entry.size for entry in files.values()))
    return opened


def _check_sizes(opened: Mapping[str, Any], there: int) -> None:
    """Raise if the arrays need more bytes than the files have."""
    claimed = sum(
        math.prod(map(int, one.shape)) * one.dtype.numpy_dtype.itemsize
        for one in opened.values()
    )
    if claimed > there:
        raise ValueError(f"they claim {claimed} bytes of {there}")


def tensorstore() -> Any:
    """Import TensorStore."""
    try:
        return importlib.import_module("tensorstore")
    except ImportError as error:
        raise MissingPackageError(
            f'The state is in the format "orbax", which needs Orbax: {error}. Run '
            f'pip install "multiback[orbax]"'
        ) from error
