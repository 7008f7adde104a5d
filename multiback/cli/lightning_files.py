"""Directories of Lightning's own ModelCheckpoint: listed, never changed.

For a run directory of multiback the adapter is not loaded.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from multiback.errors import ArgumentError, CorruptCheckpointError
from multiback.store import Checkpoint, Place

if TYPE_CHECKING:
    from multiback.adapters.lightning.own_files.directory import LightningDirectory
    from multiback.adapters.lightning.own_files.file import LightningFile

_SUFFIX = ".ckpt"

# The checkpoints that read-only commands show, of either library.
Listed: TypeAlias = "Checkpoint | LightningFile"


def lightning_directory(place: Place) -> "LightningDirectory | None":
    """Open a directory, no URL, that holds Lightning's files and no multiback run."""
    if "://" in str(place) or not Path(place).is_dir() or _is_ours(Path(place)):
        return None
    from multiback.adapters.lightning.own_files.directory import (  # noqa: PLC0415 - see above
        LightningDirectory,
    )

    found = LightningDirectory(place)
    return None if found.is_empty() else found


def _is_ours(path: Path) -> bool:
    """Return whether a directory is a run directory, or a checkpoint in one.

    Lightning has folders called `checkpoints` too, but without directories in them,
    except those of strategies that shard a model.
    """
    if any((path / name).exists() for name in ("runs.jsonl", "manifest.json")):
        return True
    try:
        with os.scandir(path / "checkpoints") as inside:
            folders = [Path(entry.path) for entry in inside if entry.is_dir()]
    except OSError:
        return False
    return any(
        one.suffix != _SUFFIX or (one / "manifest.json").exists() for one in folders
    )


def lightning_file(place: Place) -> "LightningFile | None":
    """Read one of Lightning's files; return None if its name is not such a file's."""
    path = Path(place)
    if path.suffix != _SUFFIX or "://" in str(place) or not path.is_file():
        return None
    from multiback.adapters.lightning.own_files.directory import (  # noqa: PLC0415 - see above
        LightningDirectory,
    )

    path = path.resolve()
    folder = LightningDirectory(path.parent)
    for one in folder.checkpoints("."):
        if one.path == path:
            return one
    reasons = [why for where, why in folder.skipped if where == path]
    raise CorruptCheckpointError(
        "".join(reasons[:1]) or f"{path} is not listed where it lies."
    )


def refuse_lightning(place: Place) -> None:
    """Raise where a command supports only multiback's checkpoints."""
    path = Path(place)
    is_file = path.suffix == _SUFFIX and "://" not in str(place) and path.exists()
    if is_file or lightning_directory(place) is not None:
        raise ArgumentError(
            f"{place} is Lightning's, and this command is of multiback's own "
            "checkpoints: of Lightning's there are `multiback ls`, `show`, `best` and "
            "`verify`. Load it with your LightningModule's load_from_checkpoint, or "
            "train with multiback.adapters.lightning.ModelCheckpoint."
        )
