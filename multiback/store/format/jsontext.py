"""Strict JSON in which NaN and the infinities survive.

Python writes a bare ``NaN``, which is invalid JSON and which other readers refuse. Here
the three values become the strings "NaN", "Infinity" and "-Infinity"; a string that
equals one of them gets a tilde in front, so nothing is lost.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from multiback.errors import ArgumentError

# A document is parsed in memory. There a value takes up to 200 bytes, whatever its
# text takes; so both are bounded. A vocabulary of five million words is within both.
MAX_DOCUMENT = 256 << 20
MAX_VALUES = 8 << 20

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LOOKS_SPECIAL = re.compile(r"~*(NaN|Infinity|-Infinity)", re.ASCII)
_MARKED = re.compile(rb"NaN|Infinity|\\")


def dump(value: Any, *, argument: str, indent: int | None = None) -> bytes:
    r"""Write a value as one JSON document in ASCII, without a line break at its end.

    Keys keep their order: in a model's configuration it can carry meaning.

    Args:
        value: None, booleans, numbers, strings, NumPy scalars, and sequences and
            string-keyed mappings of these. Tuples come back as lists.
        argument: What to call the value in an error.
        indent: Spaces per level, or None for one line.

    Returns:
        The document's bytes.

    Raises:
        ArgumentError: The value holds something that JSON cannot.

    Examples:
        >>> dump({"loss": float("nan"), "note": "NaN"}, argument="record")
        b'{"loss":"NaN","note":"~NaN"}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        plain = _encode(value, argument)
        text = json.dumps(plain, allow_nan=False, indent=indent, separators=separators)
    except RecursionError as error:
        raise ArgumentError(
            f"{argument} is nested too deeply for JSON, or contains itself. Flatten it."
        ) from error
    return text.encode("ascii")


def load(raw: bytes) -> Any:
    """Read what `dump` wrote.

    Raises:
        ValueError: The bytes are not strict JSON, name a key twice, or are nested
            beyond what Python can read.

    Examples:
        >>> load(b'{"loss":"-Infinity","note":"~NaN"}')
        {'loss': -inf, 'note': 'NaN'}
    """
    value = load_strict(raw)
    # Most documents hold nothing to decode, and the walk takes as long as the parsing.
    # An escape could spell one of the names.
    if not _MARKED.search(raw):
        return value
    try:
        return _decode(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def load_strict(raw: bytes) -> Any:
    """Read plain JSON; a key that stands twice or a bare NaN is a `ValueError`."""
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def size_fault(raw: bytes) -> str | None:
    """Say why a document is too large to be read back, or return None.

    Writer and reader both ask this, so that what was saved can be loaded.

    >>> size_fault(b'{"loss":0.5}')
    """
    if len(raw) > MAX_DOCUMENT:
        return f"at most {MAX_DOCUMENT} bytes, not {len(raw)}"
    # Signs inside texts count too: that is the same for writer and reader.
    values = sum(map(raw.count, (b",", b"[", b"{")))
    if values > MAX_VALUES:
        return f"at most {MAX_VALUES} values, not {values}"
    return None


def _encode(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _special_name(value)
    if isinstance(value, str):
        return f"~{value}" if _LOOKS_SPECIAL.fullmatch(value) else value
    if isinstance(value, Mapping):
        return {
            _key(key, where): _encode(item, f"{where}[{key!r}]")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise ArgumentError(
        f"{where} must hold only what JSON can (None, booleans, numbers, strings, "
        f"lists, dicts), but is a {type(value).__name__}. Convert it, or pass arrays "
        f"as tensors."
    )


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    raise ArgumentError(
        f"{where} must have strings as keys, but has {key!r}. JSON would turn it "
        f"into a string without an error. Pass str(key)."
    )


def _special_name(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _decode(value: Any) -> Any:
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]
        return value[1:] if _LOOKS_SPECIAL.fullmatch(value) else value
    if isinstance(value, dict):
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        [(twice, _)] = counts.most_common(1)
        raise ValueError(f"the key {twice!r:.80} stands there twice")
    return fields


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"a bare {name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
