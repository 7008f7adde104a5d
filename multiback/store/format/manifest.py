"""The manifest's bytes: what they hold, and how they are checked.

A manifest is a JSON object whose first line is its own checksum, over every byte
after that line; so any changed byte shows, even a space. Keys that this version
does not know are ignored; what an older reader would misread gets a new
`FORMAT_VERSION`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import xxhash

from multiback.store.format.jsontext import dump, load
from multiback.store.format.names import MAX_STORED_NAME, name_fault, path_fault
from multiback.store.format.payload import FileEntry

FORMAT = "multiback-checkpoint"
# Version 2 has the state of `state_format` in a folder of that name. What has none is
# written as version 1, which older readers know.
FORMAT_VERSION = 2
SAFETENSORS = "safetensors"
MANIFEST = "manifest.json"
MAX_MANIFEST = 64 << 20


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
    """Read a manifest.

    Raises:
        ValueError: The reason why these bytes are no manifest that can be trusted.
    """
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
        run_id=_of(fields, "run_id", str),
        sequence=_of(fields, "sequence", int),
        epoch=_of(fields, "epoch", int),
        step=_of(fields, "step", int),
        metrics={
            name: _number(value, f"metrics[{name!r}]")
            for name, value in _of(fields, "metrics", dict).items()
        },
        created=_number(fields.get("created"), "created"),
        backend=_of(fields, "backend", str),
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
    """Take a field of exactly this type: True is no sequence number."""
    value = fields.get(key)
    if type(value) is not kind:
        raise ValueError(f"its {key} must be of type {kind.__name__}: {value!r:.40}")
    return value


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
