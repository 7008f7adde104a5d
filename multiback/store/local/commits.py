"""Write a checkpoint's files, the manifest last, and wait for the disk."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from multiback.errors import StoreError
from multiback.store.checkpoint import STATE
from multiback.store.disk.files import Files, store_errors
from multiback.store.disk.removal import TEMPORARY, discard, scratch
from multiback.store.format.jsontext import dump
from multiback.store.format.manifest import (
    MANIFEST,
    Manifest,
    manifest_bytes,
    parse_manifest,
)
from multiback.store.format.payload import FileEntry, copied, verify_file, write_file
from multiback.store.format.tensor_file import write_tensors
from multiback.store.request import Request
from multiback.store.sharded.blocks import BLOCKS, blocks_document
from multiback.store.sharded.formats import settle


def write_checkpoint(
    files: Files,
    directory: Path,
    request: Request,
    sequence: int,
    name_it: Callable[[], str],
) -> Manifest:
    """Make a directory with a checkpoint's files, all of them on the disk.

    Args:
        files: How to change the file system.
        directory: A name that no reader looks at and no one else has.
        request: What to write.
        sequence: The commit's number in the run directory.
        name_it: Says under which name it will be seen; asked when all but the manifest
            is written, for somebody may take a name meanwhile.

    Returns:
        The manifest, as a reader will see it.

    Raises:
        StoreError: The operating system refused; what was written is still there.
    """
    with store_errors("create the directory", directory):
        files.make_directory(directory)
    entries = {STATE: write_tensors(files, directory / STATE, request.tensors)}
    for name, content in request.contents.items():
        entries[name] = write_file(files, directory / name, [content])
    for name, source in request.extra_files.items():
        entries[name] = write_file(files, directory / name, copied(source))
    if request.write_state is not None:
        folder = directory / request.state_format
        with store_errors("write into", folder):
            request.write_state(folder)
        if not folder.exists():
            with store_errors("create the directory", folder):
                files.make_directory(folder)
        settled, blocks = settle(files, folder)
        content = dump(blocks_document(blocks), argument="blocks")
        name = f"{BLOCKS}.json"
        entries |= settled | {name: write_file(files, directory / name, [content])}
    architecture = request.architecture_content
    manifest = Manifest(
        run_id=request.run_id,
        sequence=sequence,
        epoch=request.epoch,
        step=request.step,
        metrics=request.metrics,
        created=time.time(),
        backend=request.backend,
        versions=request.versions,
        files=entries,
        architecture=request.architecture_name,
        architecture_checksum=(
            None if architecture is None else FileEntry.of(architecture).xxh3
        ),
        extra=request.extra,
        state_format=request.state_format,
        saved_as=name_it(),
    )
    content = manifest_bytes(manifest)
    write_file(files, directory / MANIFEST, [content])
    with store_errors("fsync the directory", directory):
        files.sync_directory(directory)
    return parse_manifest(content)


def write_architecture(files: Files, directory: Path, request: Request) -> None:
    """Write the architecture's file unless it is there, intact."""
    content, name = request.architecture_content, request.architecture_name
    if content is None or name is None:
        return
    path = directory / name
    with suppress(StoreError):
        verify_file(path, FileEntry.of(content))
        return
    temporary = directory / scratch(TEMPORARY)
    try:
        write_file(files, temporary, [content])
        with store_errors("name the finished file", path):
            files.replace(temporary, path)
    except BaseException:
        discard(files, temporary)
        raise
    with store_errors("fsync the directory", directory):
        files.sync_directory(directory)
