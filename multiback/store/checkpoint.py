"""One committed checkpoint: read its manifest, verify and read its files."""

import datetime as dt
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from multiback import markup
from multiback.errors import (
    ArgumentError,
    CorruptCheckpointError,
    NoCheckpointError,
    StoreError,
)
from multiback.store.disk.files import open_regular
from multiback.store.format.jsontext import MAX_DOCUMENT, load, size_fault
from multiback.store.format.manifest import (
    MANIFEST,
    MAX_MANIFEST,
    SAFETENSORS,
    Manifest,
    parse_manifest,
)
from multiback.store.format.payload import FileEntry, Progress, read_file, verify_file
from multiback.store.format.tensor_file import (
    Array,
    file_order,
    read_tensors,
    stream_tensors,
)
from multiback.store.sharded.blocks import BLOCKS, PartReader
from multiback.store.sharded.formats import Parts, check_folder, read_parts
from multiback.store.sharded.regions import Regions, is_inside, slices

STATE = "state.safetensors"


class Source(Protocol):
    """Where the files of a checkpoint are, if not in its directory."""

    @property
    def url(self) -> str:
        """The checkpoint's URL for messages."""

    def borrow(self, name: str, entry: FileEntry) -> AbstractContextManager[Path]:
        """Provide one of its files, verified, for as long as the block runs."""

    def architecture(self, name: str, checksum: str) -> bytes:
        """Read its architecture, verified."""


# Epoch, step and a few metrics identify a checkpoint.
_SHOWN = 6


@dataclass(frozen=True)
class Checkpoint:
    """One committed checkpoint, as its manifest describes it.

    Get it from `RunDirectory.checkpoints`, `RunDirectory.commit` or
    `open_checkpoint`. Nothing but the manifest has been read until a method is
    called. Two are equal when they are the same commit at the same place.

    Attributes:
        path: The checkpoint's directory; of a remote one, where its manifest was
            copied to.
        name: The directory's name.
        run_id: The run that wrote it.
        sequence: The order of commits in the run directory, over all runs. If the
            newest checkpoint was removed, its number is used again.
        epoch: The epoch that the writer gave.
        step: The step that the writer gave.
        metrics: The metrics that the writer gave; NaN is possible.
        created: When it was committed, in seconds since 1970.
        backend: The Keras backend that wrote it, or "" if unknown.
        versions: Library versions.
        files: Size and checksum of each file but the manifest.
        architecture: The architecture's file name in the run directory, or None.
        architecture_checksum: The checksum of that file, or None.
        extra: Other values that the writer added.
        state_format: In which format the state is; "safetensors" unless another was
            asked for.
        saved_as: The name that it was committed under; None if its manifest does not
            say, as old ones do not.
        source: Where the files are, if not in the directory.
    """

    path: Path
    name: str
    run_id: str
    sequence: int
    epoch: int
    step: int
    # Not compared: NaN differs from itself, and mappings have no hash.
    metrics: Mapping[str, float] = field(compare=False)
    created: float
    backend: str
    versions: Mapping[str, str] = field(compare=False)
    files: Mapping[str, FileEntry] = field(compare=False)
    architecture: str | None
    architecture_checksum: str | None
    extra: Mapping[str, Any] = field(compare=False)
    state_format: str
    saved_as: str | None = None
    source: Source | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        """Show its place, its time and its metrics."""
        facts = {"epoch": self.epoch, "step": self.step, **self.metrics}
        shown = ", ".join(
            f"{name}={x:.4g}" if isinstance(x, float) else f"{name}={x!r}"
            for name, x in list(facts.items())[:_SHOWN]
        )
        more = ", ..." if len(facts) > _SHOWN else ""
        return f"Checkpoint({self.location!r}, {shown}{more})"

    def _repr_html_(self) -> str:
        when = dt.datetime.fromtimestamp(self.created).astimezone()
        title = f"Checkpoint {self.name}"
        facts = {
            "in": self.location.removesuffix(self.name),
            "run": self.run_id,
            "epoch": f"{self.epoch}, step {self.step}",
            "saved": f"{when:%Y-%m-%d %H:%M:%S}, on {self.backend or 'no backend'}",
        }
        return markup.facts(title, {**facts, **self.metrics})

    @property
    def location(self) -> str:
        """The directory's path, or the URL of a remote checkpoint."""
        return str(self.path) if self.source is None else self.source.url

    @property
    def is_copy(self) -> bool:
        """Whether a user copied or renamed this directory.

        Such a directory is neither counted nor removed.
        """
        return self.saved_as not in (None, self.name)

    @contextmanager
    def local_file(self, name: str) -> Iterator[Path]:
        """Provide a file of the checkpoint by its path, while the block runs.

        A remote one is downloaded, verified, and deleted in the end; a local one is not
        verified by this.

        Args:
            name: One of `files`.
        """
        entry = self._entry(name)
        if self.source is None:
            yield self.path / name
            return
        with self.source.borrow(name, entry) as path:
            yield path

    def verify(self) -> None:
        """Read every file once and compare it with the manifest.

        Raises:
            CorruptCheckpointError: A file is missing, is a link, has another size
                or another checksum, or the manifest changed since it was read.
        """
        for error in self._faults(None):
            raise error

    def damage(self, progress: Progress | None = None) -> list[StoreError]:
        """Read every file and return all errors, where `verify` raises the first.

        Args:
            progress: Called with the number of bytes read since the last call, of
                `size` in all.

        Returns:
            One error a file that is wrong; nothing if the checkpoint is intact.
        """
        return list(self._faults(progress))

    @property
    def size(self) -> int:
        """The bytes of its files, without the manifest and the architecture."""
        return sum(entry.size for entry in self.files.values())

    def stored_bytes(self) -> tuple[int, int]:
        """Return its files' bytes, and those that they take on this disk.

        Whatever the manifest says. The holes of a sparse file take none. Of a remote
        one both are what the manifest says: a download is compared with it.
        """
        if self.source is not None:
            return self.size, self.size
        size = taken = 0
        for name in self.files:
            with suppress(OSError):  # Reading it will say why.
                status = (self.path / name).stat()
                size += status.st_size
                # Some systems and some network disks count no blocks.
                blocks = 512 * getattr(status, "st_blocks", 0) or status.st_size
                taken += min(blocks, status.st_size)
        return size, taken

    def _faults(self, progress: Progress | None) -> Iterator[StoreError]:
        """Lazily yield one error per damaged file."""
        try:
            if read_checkpoint(self.path) != self:
                yield CorruptCheckpointError(
                    f"{self.path / MANIFEST} must be the manifest that was read "
                    f"before, but is another. List the run directory's checkpoints "
                    f"again."
                )
        except StoreError as error:
            yield error
        for name, entry in self.files.items():
            try:
                with self.local_file(name) as path:
                    verify_file(path, entry, progress)
            except StoreError as error:
                yield error
        try:
            self._check_folder()
        except StoreError as error:
            yield error
        try:
            self._architecture_bytes()
        except StoreError as error:
            yield error

    def _check_folder(self) -> None:
        """Raise unless the state's folder holds the files of the manifest only."""
        if self.state_format != SAFETENSORS:
            check_folder(self.path / self.state_format, self._folder_files())

    def _folder_files(self) -> dict[str, FileEntry]:
        """Return the files of the state's folder by their path in it."""
        prefix = f"{self.state_format}/"
        return {
            name.removeprefix(prefix): entry
            for name, entry in self.files.items()
            if name.startswith(prefix)
        }

    def tensors(self) -> dict[str, Array]:
        """Read all arrays, and verify the bytes that are read.

        Returns:
            The arrays by name, in fresh memory.

        Raises:
            CorruptCheckpointError: A file is not what the manifest says.
            StoreError: This checkpoint has no arrays.
        """
        return self.tensors_in_parts({})[0]

    def tensors_in_parts(self, regions: Regions) -> Parts:
        """Read some arrays only in the parts that this process holds.

        If Orbax or torch wrote the state, the blocks of 256 KiB that are read are
        verified; `verify` verifies all. Otherwise all is read.

        Args:
            regions: For each array that is not wanted whole, the regions that are.

        Returns:
            All other arrays by name; and for each of `regions` its parts, in order.

        Raises:
            CorruptCheckpointError: What is read is not what was written, or an array
                is missing or has no such parts.
            StoreError: This checkpoint has no arrays.
        """
        with self.local_file(STATE) as path:
            arrays = read_tensors(path, self._entry(STATE))
        parts: dict[str, list[Array]] = {}
        if self.state_format != SAFETENSORS:
            has_blocks = f"{BLOCKS}.json" in self.files
            reader = PartReader(
                self.path / self.state_format,
                self._folder_files(),
                self.document(BLOCKS) if has_blocks else None,
            )
            further, parts = read_parts(self.state_format, reader, regions)
            self._check_apart(arrays, {**further, **parts})
            arrays |= further
        for key in regions.keys() - parts.keys():
            if key not in arrays or not all(
                is_inside(region, arrays[key].shape) for region in regions[key]
            ):
                raise CorruptCheckpointError(
                    f"{self.path} must hold the array {key!r} with the parts "
                    f"{list(regions[key])!r:.200}, but does not. "
                    f"Load another checkpoint."
                )
            held = arrays.pop(key)
            parts[key] = [held[slices(region)] for region in regions[key]]
        return arrays, parts

    def _check_apart(self, arrays: Collection[str], further: Collection[str]) -> None:
        """Raise where the state's file and its folder hold the same array."""
        if twice := sorted(set(arrays) & set(further)):
            raise CorruptCheckpointError(
                f"{self.path / self.state_format} must not hold what {STATE} holds, "
                f"but both have {twice[:3]}. Load another checkpoint."
            )

    def stream_tensors(self) -> Iterator[tuple[str, Array]]:
        """Read one array after the other: for a state larger than the memory.

        In other formats than safetensors all arrays are read at once.

        Yields:
            Name and array, in the file's order. An array is only known to be right
            once the last one was yielded: the checksum is the whole file's.

        Raises:
            CorruptCheckpointError: The file is not what the manifest says.
            StoreError: This checkpoint has no arrays.
        """
        if self.state_format != SAFETENSORS:
            arrays = self.tensors()
            yield from ((name, arrays[name]) for name in file_order(arrays))
            return
        with self.local_file(STATE) as path:
            yield from stream_tensors(path, self._entry(STATE))

    def document(self, name: str) -> Any:
        """Read a JSON document, verified.

        Args:
            name: The document's name as it was given to `commit`, without ".json".

        Raises:
            CorruptCheckpointError: The file is not what the manifest says.
            StoreError: This checkpoint has no such document.
        """
        file_name = f"{name}.json"
        entry = self._entry(file_name)
        if entry.size > MAX_DOCUMENT:
            raise too_large(
                self.path / file_name, f"at most {MAX_DOCUMENT} bytes, not {entry.size}"
            )
        with self.local_file(file_name) as path:
            content = read_file(path, entry)
        return _parsed(self.path / file_name, content)

    def architecture_document(self) -> Any | None:
        """Read the architecture, verified, or return None."""
        content = self._architecture_bytes()
        if content is None:
            return None
        return _parsed(self._architecture_path(), content)

    def _architecture_path(self) -> Path:
        return self.path.parent.parent / str(self.architecture)

    def _architecture_bytes(self) -> bytes | None:
        """Read the architecture's file and compare it with the manifest."""
        if self.architecture is None or self.architecture_checksum is None:
            return None
        if self.source is not None:
            return self.source.architecture(
                self.architecture, self.architecture_checksum
            )
        path = self._architecture_path()
        try:
            size = path.lstat().st_size
        except OSError as error:
            raise CorruptCheckpointError(
                f"{path} must hold this checkpoint's architecture, but cannot be "
                f"read: {error.strerror}. Keep it two folders above the checkpoint."
            ) from error
        if size > MAX_DOCUMENT:
            raise too_large(path, f"at most {MAX_DOCUMENT} bytes, not {size}")
        return read_file(path, FileEntry(size, self.architecture_checksum))

    def _entry(self, file_name: str) -> FileEntry:
        if file_name in self.files:
            return self.files[file_name]
        raise StoreError(
            f"{self.path} must hold {file_name!r}, but holds {sorted(self.files)}. "
            f"Ask for one of these."
        )


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read the manifest of one checkpoint.

    Args:
        path: The checkpoint's directory, or a link to it such as `best`.

    Raises:
        ArgumentError: `path` is not a path.
        NoCheckpointError: There is no manifest.
        CorruptCheckpointError: The manifest cannot be trusted.
    """
    try:
        directory = Path(path).resolve()
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"path must be a directory's path, but is {path!r:.80}: {error}. Pass a "
            f"string or a Path."
        ) from error
    return read_checkpoint(directory)


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read the manifest of exactly this directory; see `open_checkpoint`."""
    manifest = directory / MANIFEST
    try:
        descriptor = open_regular(manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoCheckpointError(
            f"{directory} must hold a committed checkpoint, but has no {MANIFEST}. "
            f"Pass a folder inside a run directory's `checkpoints`."
        ) from error
    except OSError as error:
        raise _untrusted(manifest, error.strerror or str(error)) from error
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            size = os.fstat(descriptor).st_size
            # Read one byte more, to notice growth. Asking for the maximum would
            # allocate it.
            raw = b"" if size > MAX_MANIFEST else stream.read(size + 1)
        if size > MAX_MANIFEST:
            raise _untrusted(manifest, f"it has more than {MAX_MANIFEST} bytes")
        return described(directory, parse_manifest(raw))
    except ValueError as error:
        raise _untrusted(manifest, str(error)) from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise _untrusted(manifest, error.strerror or str(error)) from error


def described(path: Path, manifest: Manifest) -> Checkpoint:
    """Join a checkpoint's place and what its manifest says."""
    return Checkpoint(path=path, name=path.name, **vars(manifest))


def _untrusted(path: Path, reason: str) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        f"{path} must be a checkpoint's manifest, but {reason}. Load another "
        f"checkpoint, or restore this file from a copy."
    )


def too_large(path: Path, fault: str) -> CorruptCheckpointError:
    """Say that a document is larger than any of ours."""
    return CorruptCheckpointError(
        f"{path} must hold {fault}: more is never saved. Load another checkpoint."
    )


def _parsed(path: Path, content: bytes) -> Any:
    if fault := size_fault(content):
        raise too_large(path, fault)
    try:
        return load(content)
    except ValueError as error:
        raise CorruptCheckpointError(
            f"{path} must be JSON, but {error}. Load another checkpoint."
        ) from error
