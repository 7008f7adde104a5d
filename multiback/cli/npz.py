"""Arrays for a model, from a NumPy archive."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from multiback.errors import ArgumentError

PARTS = ("x", "y", "sample_weight")
Data = tuple[Any, ...]


def read_groups(path: Path) -> Any | None:
    """Return the array `groups` of an `.npz` file, or None."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive).get("groups")


def read_data(path: Path, further: tuple[str, ...] = ()) -> Data:
    """Return `(x, y)` or `(x, y, sample_weight)` from an `.npz` file.

    `numpy.savez` wrote arrays `x`, `y` and perhaps `sample_weight`; several inputs or
    outputs are arrays `x/NAME` or `y/NAME`. `further` arrays may be in it.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        arrays = dict(archive) if isinstance(archive, np.lib.npyio.NpzFile) else None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        # NumPy suggests unpickling for unknown files.
        why = f": {error}" if isinstance(error, OSError) else ""
        raise ArgumentError(
            f"--data wants an .npz file of plain arrays, but {path} cannot be read as "
            f"one{why}. Write it with numpy.savez(FILE, x=x, y=y)."
        ) from error
    if arrays is None:
        raise ArgumentError(
            f"--data wants an .npz file with arrays x and y, but {path} holds one "
            "array; write both with numpy.savez(FILE, x=x, y=y)."
        )
    archive.close()
    unknown = [
        name for name in arrays if name.partition("/")[0] not in (*PARTS, *further)
    ]
    parts = [_part(arrays, name) for name in PARTS]
    if unknown or parts[0] is None or parts[1] is None:
        raise ArgumentError(
            "--data wants arrays x, y and perhaps sample_weight, or x/NAME and y/NAME "
            f"of several inputs and outputs, but {path} holds "
            f"{', '.join(sorted(arrays)) or 'none'}."
        )
    return tuple(parts if parts[2] is not None else parts[:2])


def _part(arrays: dict[str, Any], name: str) -> Any:
    """Return one array, several by name, or None."""
    if name in arrays:
        return arrays[name]
    named = {
        key.removeprefix(f"{name}/"): array
        for key, array in arrays.items()
        if key.startswith(f"{name}/")
    }
    return named or None
