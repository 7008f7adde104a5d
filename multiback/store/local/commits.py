"""Write a checkpoint's files, the manifest last, and wait for the disk."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from multiback.errors import StoreError
from multiback.store.checkpoint import STATE
from multiback.store.disk.files import Files, store_errors, sync_directory
from multiback.store.disk.removal import TEMPORARY, discard
from multiback.store.format.jsontext import dump, size_fault
from multiback.store.format.manifest import (
    MANIFEST,
    MAX_MANIFEST,
    Manifest,
    manifest_bytes,
    parse_manifest,
)
from multiback.store.format.names import free_name
from multiback.store.format.payload import FileEntry, copied, verify_file, write_file
from multiback.store.format.tensor_file import write_tensors
from multiback.store.owner import digest_of
from multiback.store.request import Request
from multiback.store.sharded.blocks import BLOCKS, blocks_document
from multiback.store.sharded.formats import settle


@dataclass(frozen=True)
class Reservation:
    """A commit's number and name, and the directory that keeps them for it.

    Attributes:
        directory: Its name has the run, the number and the name, as digests.
        sequence: The commit's number in the run directory.
        name: The name that it is to get.
    """

    directory: Path
    sequence: int
    name: str

    @classmethod
    def of(
        cls,
        request: Request,
        folder: Path,
        newest: int,
        names: Iterable[str],
        others: Iterable[str],
    ) -> "Reservation":
        """Choose a free number and name. The caller holds the directory's lock.

        `names` are taken; `others` are temporary directories, of other commits among
        them.
        """
        reserved = list(filter(None, map(_RESERVED.fullmatch, others)))
        taken, kept = set(names), {match[2] for match in reserved}
        while _digest(name := free_name(request.name, frozenset(taken))) in kept:
            taken.add(name)
        numbers = (int(match[1]) for match in reserved)
        sequence = max(newest, *numbers, 0) + 1
        run = digest_of(request.run_id)
        directory = f"{TEMPORARY}{run}-{sequence}-{_digest(name)}"
        return cls(folder / directory, sequence, name)

    def renamed(self, wanted: str, names: Iterable[str]) -> "Reservation":
        """Choose another name if this one was taken in the meantime."""
        taken = {name.casefold() for name in names}
        if self.name.casefold() not in taken:
            return self
        return replace(self, name=free_name(wanted, frozenset(taken)))


_RESERVED = re.compile(
    rf"{re.escape(TEMPORARY)}[0-9a-f]{{32}}-(\d{{1,15}})-([0-9a-f]{{32}})"
)


def _digest(name: str) -> str:
    """Return the digest of a name; case is ignored, as on some systems."""
    return digest_of(name.casefold())


def write_files(
    files: Files, directory: Path, request: Request
) -> dict[str, FileEntry]:
    """Write a checkpoint's files but the manifest, all of them on the disk.

    Into an empty directory that no reader looks at; what was written before an error is
    still there.
    """
    state = write_tensors(files, directory / STATE, request.tensors, request.labels)
    entries = {STATE: state}
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
        entries |= settled
        # Without it a part is read by verifying whole files.
        if size_fault(content) is None:
            name = f"{BLOCKS}.json"
            entries[name] = write_file(files, directory / name, [content])
    return entries


def write_manifest(
    files: Files,
    directory: Path,
    request: Request,
    reserved: Reservation,
    entries: Mapping[str, FileEntry],
) -> Manifest:
    """Write the manifest, the last file, and wait for the directory."""
    path = directory / MANIFEST
    if path.exists():
        with store_errors("replace", path):
            files.unlink(path)
    architecture = request.architecture_content
    manifest = Manifest(
        run_id=request.run_id,
        sequence=reserved.sequence,
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
        saved_as=reserved.name,
    )
    content = manifest_bytes(manifest)
    if len(content) > MAX_MANIFEST:
        raise StoreError(
            f"{path} wants at most {MAX_MANIFEST} bytes, not {len(content)}, for "
            f"{len(entries)} files. Save into fewer files."
        )
    write_file(files, path, [content])
    sync_directory(files, directory)
    return parse_manifest(content)


def write_architecture(
    files: Files,
    directory: Path,
    request: Request,
    temporary_for: Callable[[str], Path],
) -> None:
    """Write the architecture's file unless it is there, intact."""
    content, name = request.architecture_content, request.architecture_name
    if content is None or name is None:
        return
    path = directory / name
    with suppress(StoreError):
        verify_file(path, FileEntry.of(content))
        return
    temporary = temporary_for(request.run_id)
    try:
        write_file(files, temporary, [content])
        with store_errors("name the finished file", path):
            files.replace(temporary, path)
    except BaseException:
        discard(files, temporary)
        raise
    sync_directory(files, directory)
