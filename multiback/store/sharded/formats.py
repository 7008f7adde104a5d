"""The state of a checkpoint in a format other than ours: a folder and its reader.

Orbax and torch write files of any kind into a folder of the checkpoint; the manifest
has the size and checksum of each, and no other file may be in the folder. The blocks
that are read are verified (`blocks.py`); `verify` reads every file.
"""

import importlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from multiback.errors import CorruptCheckpointError, StoreError
from multiback.store.disk.files import Files, closing, store_errors, sync_directory
from multiback.store.format.manifest import SAFETENSORS
from multiback.store.format.names import path_fault
from multiback.store.format.payload import FileEntry
from multiback.store.format.tensor_file import Array
from multiback.store.sharded.blocks import PartReader, digests_of
from multiback.store.sharded.regions import Regions

# Whole arrays; for arrays that are read in parts, one part for each region.
Parts = tuple[dict[str, Array], dict[str, list[Array]]]
ReadParts = Callable[[PartReader, Regions], Parts]

# By module: a format's library is imported only where it is read. Each has
# `read_parts(reader, regions)`.
_READERS = MappingProxyType(
    {"dcp": "multiback.store.sharded.dcp", "orbax": "multiback.store.sharded.orbax"}
)
FORMATS = (SAFETENSORS, *_READERS)


def read_parts(name: str, reader: PartReader, regions: Regions) -> Parts:
    """Read some arrays of a state's folder in parts, and all others whole.

    What is read is verified, with what shares a block with it; nothing else is. Regions
    of names that the folder does not have are skipped.
    """
    if name not in _READERS:
        raise StoreError(
            f"{reader.folder} must be in one of the formats {', '.join(FORMATS)}, but "
            f"is in {name!r:.40}. A newer multiback may know it."
        )
    read: ReadParts = importlib.import_module(_READERS[name]).read_parts
    check_folder(reader.folder, reader.files)
    return read(reader, regions)


def check_folder(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Raise unless a folder holds just these files, all regular, and no link.

    Their contents are not read.
    """
    try:
        found = {path.relative_to(folder).as_posix() for path in _walk(folder)}
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise CorruptCheckpointError(
            f"{folder} must be a folder of {len(files)} files, but cannot be read: "
            f"{error.strerror or error}. Load another checkpoint."
        ) from error
    if odd := sorted(found ^ files.keys()):
        there = odd[0] in found
        raise CorruptCheckpointError(
            f"{folder / odd[0]} {'is in no manifest' if there else 'is missing'}: the "
            f"folder must hold what the manifest says and nothing else. Load another "
            f"checkpoint."
        )


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; raise unless each is a file or a folder."""
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise _link(folder)
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise _link(path)


def _link(path: Path) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        f"{path} must be a file or a folder, but is a link or a device. Load another "
        f"checkpoint."
    )


def settle(files: Files, folder: Path) -> tuple[dict[str, FileEntry], dict[str, str]]:
    """Wait until all files of another writer are on the disk, and describe them.

    By size and checksum, by the path from the checkpoint's directory; and by the
    blocks' checksums, by the path in the folder. What has no place in a checkpoint
    raises.
    """
    entries: dict[str, FileEntry] = {}
    blocks: dict[str, str] = {}
    folders = {folder}
    with store_errors("read", folder):
        for path in _walk(folder):
            name = path.relative_to(folder.parent).as_posix()
            if fault := path_fault(name):
                raise StoreError(
                    f"{path} was written as a part of the state, but has no name that "
                    f"can be used everywhere: {fault}. Please report this."
                )
            inside = path.relative_to(folder).as_posix()
            entries[name], blocks[inside] = digests_of(path)
            descriptor = os.open(path, os.O_RDONLY)
            with closing(files, descriptor, path):
                files.sync(descriptor)
            folders |= {p for p in path.parents if p.is_relative_to(folder)}
        for each in sorted(folders, reverse=True):
            sync_directory(files, each)
    return entries, blocks
