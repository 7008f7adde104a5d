"""The zip archive that `torch.save` writes, read with bounded memory.

An array is an uncompressed member of the archive, in its memory layout, with a CRC-32;
`data.pkl` describes the arrays. An archive with any other layout may be hostile and is
refused before it is read.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from multiback.adapters.lightning.own_files.pickled import Tensor

# The most that is read at once: the directory of an archive of a hundred thousand
# arrays takes half of it.
MAX_PIECE = 16 << 20
# 300 bytes a tensor.
MAX_PICKLE = 64 << 20
MAX_SCALARS = 4096
_PIECE = 1 << 20
# zipfile's errors for invalid archives.
_BROKEN = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)

DTYPES: dict[str, Any] = {
    "BFloat16Storage": ml_dtypes.bfloat16,
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ShortStorage": "int16",
}


def dtype_of(tensor: Tensor) -> str:
    """Name a tensor's dtype as NumPy does.

    >>> from multiback.adapters.lightning.own_files.pickled import Storage
    >>> dtype_of(Tensor(Storage("HalfStorage", "0", 6), 0, (2, 3)))
    'float16'
    """
    known = DTYPES.get(tensor.storage.kind)
    return "unknown" if known is None else np.dtype(known).name


class _Pieces:
    """A file that is read in pieces of limited size."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.seek, self.tell = self._file.seek, self._file.tell
        self.seekable, self.close = self._file.seekable, self._file.close

    def read(self, count: int = -1) -> bytes:
        # Without a count zipfile wants the last bytes of a file.
        piece = self._file.read(min(count, MAX_PIECE) if count >= 0 else MAX_PIECE)
        if count > MAX_PIECE or (count < 0 and self._file.read(1)):
            raise ValueError(f"its directory has more than {MAX_PIECE >> 20} MiB")
        return piece


class Archive:
    """A `torch.save` archive of this size, whose directory was checked."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._members = {one.filename: one for one in archive.infolist()}
        pickles = [n for n in self._members if n.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or len(self._members) != len(archive.infolist()):
            raise ValueError("not one data.pkl, as torch.save writes it")
        self._folder = pickles[0].removesuffix("data.pkl")
        stored = all(
            one.compress_type == zipfile.ZIP_STORED
            and not one.flag_bits & 1
            and one.file_size == one.compress_size
            for one in self._members.values()
        )
        # Overlapping members would exceed the file's size.
        if not stored or sum(m.file_size for m in self._members.values()) > size:
            raise ValueError("members that are compressed or overlap, unlike torch's")

    def pickle(self) -> bytes:
        """Read the description of the arrays."""
        member = self._members[f"{self._folder}data.pkl"]
        if member.file_size > MAX_PICKLE:
            raise ValueError(f"a data.pkl of more than {MAX_PICKLE >> 20} MiB")
        return b"".join(self._read(member))

    def _read(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._archive.open(member) as file:
            while piece := file.read(_PIECE):
                yield piece

    def scalar(self, value: object) -> float | None:
        """Return a number, or a tensor's without dimensions, or None."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, Tensor) or value.shape:
            return None
        member = self._members.get(f"{self._folder}data/{value.storage.key}")
        kind = DTYPES.get(value.storage.kind)
        if member is None or kind is None or member.file_size > MAX_SCALARS:
            return None
        order = self._members.get(f"{self._folder}byteorder")
        numbers = np.frombuffer(b"".join(self._read(member)), np.dtype(kind))
        if order is not None and order.file_size <= MAX_SCALARS:
            written = b"".join(self._read(order))
            numbers = numbers.byteswap() if written == b"big" else numbers
        if value.offset >= len(numbers) or numbers.dtype.kind == "c":
            return None
        return float(numbers[value.offset])

    def missing(self, tensor: Tensor) -> bool:
        """Return whether a tensor's bytes are missing."""
        member = self._members.get(f"{self._folder}data/{tensor.storage.key}")
        kind = DTYPES.get(tensor.storage.kind, "uint8")
        wanted = tensor.storage.count * np.dtype(kind).itemsize
        return member is None or member.file_size < wanted

    def damage(self, progress: Callable[[int], None] | None = None) -> list[str]:
        """Read every member; name those that differ from their CRC-32."""
        wrong = []
        for member in self._members.values():
            try:
                for piece in self._read(member):
                    if progress is not None:
                        progress(len(piece))
            except (*_BROKEN, OSError):
                wrong.append(member.filename)
        return wrong


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a regular file as an archive; a ValueError if torch wrote it otherwise."""
    file = _Pieces(path)
    try:
        try:
            with zipfile.ZipFile(file) as archive:
                yield Archive(archive, path.stat().st_size)
        except _BROKEN as error:
            raise ValueError(f"no readable zip archive ({error})") from error
    finally:
        file.close()
