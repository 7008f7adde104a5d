"""The manifest's bytes: what they hold, and how they are checked.

A manifest is a JSON object whose first line is its own checksum, over every byte after
that line; so any changed byte shows, even a space. Unknown keys are ignored; a change
that an older reader would misread gets a new `FORMAT_VERSION`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import xxhash

from multiback.store.format.jsontext import dump, load
from multiback.store.format.names import MAX_STORED_NAME, name_fault, path_fault
from multiback.store.format.payload import FileEntry

FORMAT = "multiback-checkpoint"
# Version 2 has the state of `state_format` in a folder of that name. A manifest without
# it is written as version 1, which older readers know.
FORMAT_VERSION = 2
SAFETENSORS = "safetensors"
MANIFEST = "manifest.json"
# Far above real use: names are printed, and all are held in memory.
MAX_MANIFEST = 16 << 20
MAX_TEXT = 1000
MAX_METRICS = 10_000
# The limits of calendars and 64-bit counters.
_LATEST, _LARGEST = 1 << 36, 1 << 63


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, checked field by field."""

    run_id: str
    sequence: int
    epoch: int
    step: int
    metrics: Mapping[str, float]
    created: float
    backend: str
    versions: Mapping[str, str]
    files: Mapping[str, FileEntry]
    architecture: str | None
    architecture_checksum: str | None
    extra: Mapping[str, Any]
    state_format: str = SAFETENSORS
    saved_as: str | None = None


def manifest_bytes(manifest: Manifest) -> bytes:
    """Write a manifest with its checksum."""
    version = 1 if manifest.state_format == SAFETENSORS else FORMAT_VERSION
    fields = {"format": FORMAT, "format_version": version, **asdict(manifest)}
    body = dump(fields, argument="manifest", indent=1)[1:] + b"\n"
    return _checksum_line(body) + body


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest, or raise a ValueError with the reason why it is not valid."""
    fields = load(raw)
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise ValueError(f"it is no {FORMAT} manifest")
    version = fields.get("format_version")
    # Before the checksum: a newer format may compute it in another way.
    if type(version) is int and version > FORMAT_VERSION:
        raise ValueError(
            f"its format version is {version}, and this multiback reads up to "
            f"{FORMAT_VERSION}; upgrade multiback"
        )
    line, _, body = raw.partition(b",")
    if line + b"," != _checksum_line(body):
        raise ValueError("its content does not match its own checksum")
    if type(version) is not int or version < 1:
        raise ValueError(f"its format version is {version!r:.40}")
    state_format = _optional_name(fields, "state_format") or SAFETENSORS
    return Manifest(
        run_id=_text(fields, "run_id"),
        sequence=_count(fields, "sequence"),
        epoch=_count(fields, "epoch"),
        step=_count(fields, "step"),
        metrics=_metrics(fields),
        created=_time(fields),
        backend=_text(fields, "backend"),
        versions=_of(fields, "versions", dict),
        files={
            name: _entry(name, value, state_format)
            for name, value in _of(fields, "files", dict).items()
        },
        architecture=_optional_name(fields, "architecture"),
        architecture_checksum=_optional_text(fields, "architecture_checksum"),
        extra=_of(fields, "extra", dict),
        state_format=state_format,
        saved_as=_optional_name(fields, "saved_as"),
    )


def _checksum_line(body: bytes) -> bytes:
    return b'{\n "checksum": "%s",' % xxhash.xxh3_128_hexdigest(body).encode("ascii")


def _of(fields: dict[str, Any], key: str, kind: type) -> Any:
    """Return a field of exactly this type: True is not a sequence number."""
    value = fields.get(key)
    if type(value) is not kind:
        raise ValueError(f"its {key} must be of type {kind.__name__}: {value!r:.40}")
    return value


def _text(fields: dict[str, Any], key: str) -> str:
    """Take a text that can be printed on a line."""
    text: str = _of(fields, key, str)
    if len(text) > MAX_TEXT:
        raise ValueError(f"its {key} has {len(text)} characters, more than {MAX_TEXT}")
    return text


def _count(fields: dict[str, Any], key: str) -> int:
    number: int = _of(fields, key, int)
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError(f"its {key} is out of range")
    return number


def _time(fields: dict[str, Any]) -> float:
    created = _number(fields.get("created"), "created")
    if not 0 <= created < _LATEST:
        raise ValueError(f"its created is out of range: {created}")
    return created


def _metrics(fields: dict[str, Any]) -> dict[str, float]:
    metrics = _of(fields, "metrics", dict)
    if len(metrics) > MAX_METRICS:
        raise ValueError(f"it has {len(metrics)} metrics, more than {MAX_METRICS}")
    for name in metrics:
        if len(name) > MAX_TEXT:
            raise ValueError(f"its metric {name!r:.40} has {len(name)} characters")
    return {name: _number(v, f"metrics[{name!r}]") for name, v in metrics.items()}


def _number(value: object, what: str) -> float:
    if type(value) is not int and type(value) is not float:
        raise ValueError(f"its {what} must be a number: {value!r:.40}")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"its {what} is out of range") from error


def _optional_text(fields: dict[str, Any], key: str) -> str | None:
    return None if fields.get(key) is None else str(_of(fields, key, str))


def _optional_name(fields: dict[str, Any], key: str) -> str | None:
    name = _optional_text(fields, key)
    if name is not None and (fault := name_fault(name, limit=MAX_STORED_NAME)):
        raise ValueError(f"its {key} is the name {name!r:.80}: {fault}")
    return name


def _entry(name: str, value: object, state_format: str) -> FileEntry:
    fault = path_fault(name)
    if fault is None and "/" in name and not name.startswith(f"{state_format}/"):
        fault = f"it is in another folder than {state_format!r:.40}"
    if fault:
        raise ValueError(f"it names the file {name!r:.80}: {fault}")
    if not isinstance(value, dict):
        raise ValueError(f"its files[{name!r}] must be an object")  # noqa: TRY004  (one error for all faults of a file)
    size = _of(value, "size", int)
    if size < 0:
        raise ValueError(f"its files[{name!r}] has the size {size}")
    return FileEntry(size, _of(value, "xxh3", str))
