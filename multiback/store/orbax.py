"""Read the arrays that Orbax writes, with TensorStore alone.

TensorStore is what Orbax itself reads and writes with. Without Orbax around it neither
JAX nor devices are needed, and no file says which code is to run.
"""

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from multiback.errors import CorruptCheckpointError, MissingPackageError
from multiback.store.payload import FileEntry, verify_file
from multiback.store.tensor_file import Array

# A description of one array, beside its chunks.
_DESCRIPTION = "/.zarray"


def read(folder: Path, files: Mapping[str, FileEntry]) -> dict[str, Array]:
    """Read all arrays, once every file was verified.

    Args:
        folder: Where the files are.
        files: Each file's size and checksum.

    Returns:
        Whole arrays by name.

    Raises:
        CorruptCheckpointError: A file is not what the manifest says, or no such
            database. What is written here is not compressed: arrays that claim more
            bytes than the files have are refused before anything is allocated.
        MissingPackageError: TensorStore is not installed.
    """
    library = tensorstore()
    for name, entry in files.items():
        verify_file(folder / name, entry)
    database = {"driver": "ocdbt", "base": f"file://{folder}/"}
    try:
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
        return {name: np.asarray(one.read().result()) for name, one in opened.items()}
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise CorruptCheckpointError(
            f"{folder} must hold arrays that Orbax wrote, but {error!s:.500}. Load "
            f"another checkpoint."
        ) from error


def _check_sizes(opened: Mapping[str, Any], there: int) -> None:
    """Refuse arrays that need more bytes than there are."""
    claimed = sum(
        math.prod(map(int, one.shape)) * one.dtype.numpy_dtype.itemsize
        for one in opened.values()
    )
    if claimed > there:
        raise ValueError(f"they claim {claimed} bytes of {there}")


def tensorstore() -> Any:
    """Import TensorStore.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        return importlib.import_module("tensorstore")
    except ImportError as error:
        raise MissingPackageError(
            f'The state is in the format "orbax", which needs Orbax: {error}. Run '
            f'pip install "multiback[orbax]"'
        ) from error
