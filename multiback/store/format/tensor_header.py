"""The header of a safetensors file, as pure functions on bytes and shapes.

The format is eight bytes of little-endian length, a JSON header and the raw
arrays. The `safetensors` library needs the whole state as bytes to write it, or
maps the file to read it; writing the header here lets arrays be streamed and
hashed once, and reading it here checks it against the file before anything is
allocated. Every file stays readable by the library: dtypes that it has no name
for are stored as bytes, with the last axis as the item's bytes and the true dtype
in the metadata.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from multiback.errors import ArgumentError
from multiback.store.format.jsontext import load_strict

LENGTH_BYTES = 8
MAX_HEADER = 100_000_000  # The safetensors library's own limit.
DTYPES_KEY = "multiback.dtypes"
LABELS_KEY = "multiback.names"
# Hugging Face's loaders refuse "np". It says who may read it, not who wrote it.
_FORMAT = "pt"
_METADATA = "__metadata__"

NATIVE: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "F32": np.dtype(np.float32),
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F64": np.dtype(np.float64),
}
_NATIVE_NAMES = {dtype.name: name for name, dtype in NATIVE.items()}

# Fixed here, so that a file cannot make a reader look up just any attribute.
_VIEWED_NAMES = [
    "bcomplex32",
    "complex32",
    "float4_e2m1fn",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "int1",
    "int2",
    "int4",
    "uint1",
    "uint2",
    "uint4",
]
# Older versions of ml_dtypes lack some of them.
VIEWED: dict[str, np.dtype[Any]] = {
    "complex64": np.dtype(np.complex64),
    "complex128": np.dtype(np.complex128),
    **{
        name: np.dtype(getattr(ml_dtypes, name))
        for name in _VIEWED_NAMES
        if hasattr(ml_dtypes, name)
    },
}


@dataclass(frozen=True)
class TensorInfo:
    """Where one array lies: its true dtype and shape, its bytes' range."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def build_header(
    kinds: Mapping[str, tuple[str, tuple[int, ...]]],
    labels: Mapping[str, str] | None = None,
) -> tuple[bytes, list[str]]:
    """Lay out arrays in a file.

    Given each one's dtype and shape, return the file's first bytes (length and header)
    and the names in the order of their arrays. Labels, what else to call an array, are
    kept in the metadata.

    Examples:
        >>> head, order = build_header({"a": ("int8", (3,)), "b": ("float64", ())})
        >>> order
        ['b', 'a']
        >>> len(head) % 8
        0
    """
    entries: dict[str, Any] = {}
    viewed: dict[str, str] = {}
    position = 0
    # Wide items first: so each array starts at a multiple of its item's size.
    order = sorted(kinds, key=lambda name: (-_itemsize(name, *kinds[name]), name))
    for name in order:
        dtype, shape = kinds[name]
        itemsize = _itemsize(name, dtype, shape)
        if dtype in VIEWED:
            viewed[name] = dtype
            shape = (*shape, itemsize)
            dtype, itemsize = "uint8", 1
        end = position + math.prod(shape) * itemsize
        entries[name] = {
            "dtype": _NATIVE_NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [position, end],
        }
        position = end
    metadata = {"format": _FORMAT}
    if viewed:
        metadata[DTYPES_KEY] = json.dumps(viewed)
    labels = labels or {}
    if known := {name: labels[name] for name in order if name in labels}:
        metadata[LABELS_KEY] = json.dumps(known)
    text = json.dumps({_METADATA: metadata, **entries}, separators=(",", ":"))
    raw = text.encode("ascii")
    raw += b" " * (-len(raw) % LENGTH_BYTES)
    if len(raw) > MAX_HEADER:
        raise ArgumentError(
            f"tensors need a header of {len(raw)} bytes for {len(kinds)} names, and "
            f"at most {MAX_HEADER} are possible. Use fewer or shorter names."
        )
    return len(raw).to_bytes(LENGTH_BYTES, "little") + raw, order


def _itemsize(name: str, dtype: str, _shape: tuple[int, ...]) -> int:
    """Return an item's bytes; raise for a dtype that cannot be stored."""
    if name == _METADATA:
        raise ArgumentError(
            f"tensors must not be named {_METADATA!r}, which the safetensors format "
            f"keeps for itself. Choose another name."
        )
    known = (
        NATIVE[_NATIVE_NAMES[dtype]] if dtype in _NATIVE_NAMES else VIEWED.get(dtype)
    )
    if known is None:
        raise ArgumentError(
            f"tensors[{name!r}] must hold booleans, integers, floats or complex "
            f"numbers, but has dtype {dtype}. Convert it, or store it as a document."
        )
    return known.itemsize


def parse_header(raw: bytes, payload: int) -> list[TensorInfo]:
    """Read a JSON header and check it against the `payload` bytes that follow it.

    The arrays are in the order of their bytes, which cover the payload exactly: no
    overlap and no gap. Else a ValueError has the reason; the caller adds the file's
    name.

    Examples:
        >>> parse_header(b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2)
        [TensorInfo(name='a', dtype=dtype('uint8'), shape=(2,), begin=0, end=2)]
    """
    fields = load_strict(raw)
    if not isinstance(fields, dict):
        raise ValueError("the header is no JSON object")  # noqa: TRY004  (one error for all faults of a file)
    viewed = _viewed(fields.pop(_METADATA, {}))
    found = [
        _tensor_info(name, entry, viewed.pop(name, None))
        for name, entry in fields.items()
    ]
    if viewed:
        raise ValueError(f"the metadata names absent arrays: {sorted(viewed)[:3]}")
    found.sort(key=lambda info: (info.begin, info.end))
    position = 0
    for info in found:
        if info.begin != position:
            raise ValueError(
                f"{info.name!r} starts at byte {info.begin}, not at {position}"
            )
        position = info.end
    if position != payload:
        raise ValueError(f"the arrays end at byte {position}, the file at {payload}")
    return found


def parse_metadata(raw: bytes) -> dict[str, Any]:
    """Return the metadata of a header that `parse_header` has read.

    >>> parse_metadata(b'{"__metadata__":{"format":"pt"}}')
    {'format': 'pt'}
    """
    metadata: dict[str, Any] = load_strict(raw).get(_METADATA, {})
    return metadata


def _viewed(metadata: object) -> dict[str, str]:
    """Return the arrays that are stored as bytes, with their true dtypes."""
    if not isinstance(metadata, dict):
        raise ValueError("the metadata is no JSON object")  # noqa: TRY004  (as above)
    text = metadata.get(DTYPES_KEY, "{}")
    viewed = load_strict(text.encode()) if isinstance(text, str) else None
    if not isinstance(viewed, dict) or not all(
        isinstance(dtype, str) for dtype in viewed.values()
    ):
        raise ValueError(f"the metadata's {DTYPES_KEY} is no object of strings")
    return viewed


def _tensor_info(name: str, entry: object, logical: str | None) -> TensorInfo:
    """Check one array's entry on its own."""
    keys = {"dtype", "shape", "data_offsets"}
    if not isinstance(entry, dict) or set(entry) != keys:
        raise ValueError(f"{name!r} must have exactly {sorted(keys)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    dtype = NATIVE.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise ValueError(f"{name!r} has the unknown dtype {entry['dtype']!r:.40}")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:  # noqa: PLR2004  (begin and end)
        raise ValueError(f"{name!r} must have sizes and two offsets of 0 or more")
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name!r} has offsets that do not fit its shape")
    if logical is not None:
        true_dtype = VIEWED.get(logical)
        if true_dtype is None:
            raise ValueError(
                f"{name!r} has the dtype {logical!r:.40}, which is unknown here; a "
                f"newer ml_dtypes may know it"
            )
        if entry["dtype"] != "U8" or shape[-1:] != [true_dtype.itemsize]:
            raise ValueError(f"{name!r} has a shape that does not fit {logical}")
        dtype, shape = true_dtype, shape[:-1]
    return TensorInfo(name, dtype, tuple(shape), begin, end)


def _sizes(values: object) -> bool:
    """Return whether a value is a list of integers of 0 or more, of 64 bits at most."""
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 1 << 63 for value in values
    )
