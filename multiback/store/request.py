"""What a commit will write, checked before the disk is touched."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from multiback.errors import ArgumentError, StoreError
from multiback.store.checkpoint import STATE
from multiback.store.format.jsontext import dump, load, size_fault
from multiback.store.format.manifest import (
    MANIFEST,
    MAX_MANIFEST,
    MAX_METRICS,
    MAX_TEXT,
    SAFETENSORS,
    Manifest,
    manifest_bytes,
    parse_manifest,
)
from multiback.store.format.names import name_fault
from multiback.store.format.payload import FileEntry
from multiback.store.format.tensor_file import Array, check_tensors
from multiback.store.sharded.blocks import BLOCKS

_BLOCKS = f"{BLOCKS}.json"


@dataclass(frozen=True, eq=False)
class Request:
    """One checkpoint to commit; checked when it is made, before the disk is touched.

    Args:
        name: The directory's name. If any run has taken it, "-v2", "-v3" and so on is
            appended: nothing is ever overwritten.
        run_id: The run that owns it.
        tensors: NumPy arrays by name. They must not change until they are written.
        labels: What else to call an array, by its name: other readers of the file
            find it in the metadata.
        epoch: Stored as given.
        step: Stored as given.
        metrics: Numbers by name; NaN and infinities are kept.
        documents: JSON documents by name, without ".json"; they may change afterwards.
        extra_files: Files to copy, by the name to give them.
        backend: The Keras backend, or "".
        versions: Library versions.
        architecture: Anything JSON; stored once in the run directory under its
            checksum and shared by the checkpoints that name it.
        extra: Anything JSON, for the manifest.
        state_format: What `write_state` writes; the name of its folder.
        write_state: Writes more arrays into a folder that does not exist yet, in a
            format of its own, for `formats.py` to read.

    Attributes:
        contents: The documents' bytes by file name.
        architecture_content: The architecture's bytes, or None.

    Raises:
        ArgumentError: Something in it cannot be stored.
        StoreError: A document or the manifest is larger than readers take.

    Examples:
        >>> import numpy as np
        >>> arrays = {"kernel": np.ones((2, 2))}
        >>> asked = Request(
        ...     "first", run_id="a", tensors=arrays, epoch=1, step=100, metrics={}
        ... )
        >>> asked.name, asked.contents
        ('first', {})
    """

    name: str
    _: KW_ONLY
    run_id: str
    tensors: Mapping[str, Array]
    epoch: int
    step: int
    metrics: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    extra_files: Mapping[str, Path] = field(default_factory=dict)
    backend: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    architecture: Any | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    state_format: str = SAFETENSORS
    write_state: Callable[[Path], object] | None = field(default=None, repr=False)
    contents: Mapping[str, bytes] = field(init=False, repr=False)
    architecture_content: bytes | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check everything, and store it as it is now."""
        check_name("name", self.name)
        tensors = dict(self.tensors)
        labels = {
            _text("labels", name): _text(f"labels[{name!r}]", label)
            for name, label in self.labels.items()
        }
        check_tensors(tensors, labels)
        if len(self.metrics) > MAX_METRICS:
            raise ArgumentError(
                f"metrics= wants at most {MAX_METRICS} numbers, not "
                f"{len(self.metrics)}. Leave some out."
            )
        check_name("state_format", self.state_format)
        _check_file_names(self.documents, self.extra_files, self.state_format)
        vars(self).update(
            run_id=check_run_id(self.run_id),
            tensors=tensors,
            labels=labels,
            contents={
                f"{name}.json": _document(content, f"documents[{name!r}]")
                for name, content in self.documents.items()
            },
            extra_files={name: Path(file) for name, file in self.extra_files.items()},
            epoch=_whole("epoch", self.epoch),
            step=_whole("step", self.step),
            metrics={key: _number(key, value) for key, value in self.metrics.items()},
            backend=_text("backend", self.backend),
            versions={
                _text("versions", key): _text(f"versions[{key!r}]", value)
                for key, value in self.versions.items()
            },
            architecture_content=(
                None
                if self.architecture is None
                else _document(self.architecture, "architecture")
            ),
            # Find out now, not after gigabytes were written.
            extra=load(dump(self.extra, argument="extra")),
        )
        self._check_manifest()

    def _check_manifest(self) -> None:
        """Refuse what a reader of the manifest would refuse."""
        raw = manifest_bytes(
            Manifest(
                run_id=self.run_id,
                sequence=1,
                epoch=self.epoch,
                step=self.step,
                metrics=self.metrics,
                created=0.0,
                backend=self.backend,
                versions=self.versions,
                files={},
                architecture=None,
                architecture_checksum=None,
                extra=self.extra,
                state_format=self.state_format,
            )
        )
        # The other half is for the names of the files.
        if len(raw) > MAX_MANIFEST // 2:
            raise StoreError(
                f"extra=, metrics= and versions= want at most {MAX_MANIFEST // 2} "
                f"bytes, not {len(raw)}. Put more into documents=."
            )
        try:
            parse_manifest(raw)
        except ValueError as error:
            raise ArgumentError(
                f"A manifest wants what can be read back, but {error}. Shorten it."
            ) from error

    @property
    def architecture_name(self) -> str | None:
        """The architecture's file name, which is its content's checksum."""
        if self.architecture_content is None:
            return None
        return f"arch-{FileEntry.of(self.architecture_content).xxh3}.json"


def check_name(argument: str, name: object) -> None:
    """Raise unless a name can be a directory's on every operating system."""
    if fault := name_fault(name):
        raise ArgumentError(
            f"{argument} must be a plain file name, but is {name!r:.220}: {fault}. "
            f"Choose another name."
        )


def check_run_id(run_id: object) -> str:
    """Raise unless a run id is a text of usable length."""
    if isinstance(run_id, str) and 0 < len(run_id) <= MAX_TEXT:
        return run_id
    raise ArgumentError(
        f"run_id= wants 1 to {MAX_TEXT} characters, not {run_id!r:.80}. Name the run."
    )


def _document(content: Any, argument: str) -> bytes:
    """Write a document; refuse one that no reader would take."""
    raw = dump(content, argument=argument)
    if fault := size_fault(raw):
        # Not the caller's fault where a state grew: `on_save_error="warn"` holds.
        raise StoreError(
            f"{argument} wants {fault}: it could not be read back. Keep what is large "
            f"as arrays, or in a file beside the checkpoints."
        )
    return raw


def _check_file_names(
    documents: Mapping[str, Any], extra: Mapping[str, Path], folder: str
) -> None:
    """Raise if two files have one name; case is ignored, as on some systems."""
    taken = {name.casefold(): name for name in (STATE, MANIFEST, _BLOCKS, folder)}
    asked = [(f"documents[{name!r}]", name, ".json") for name in documents]
    asked += [(f"extra_files[{name!r}]", name, "") for name in extra]
    for argument, name, suffix in asked:
        check_name(argument, name)
        folded = f"{name}{suffix}".casefold()
        if folded in taken:
            raise ArgumentError(
                f"{argument} must have a file name of its own, but "
                f"{taken[folded]!r} is taken. Choose another name."
            )
        taken[folded] = f"{name}{suffix}"


def _whole(argument: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(
            f"{argument} must be a whole number, but is {value!r}. Pass an int."
        ) from None


def _number(name: Any, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(
            f"metrics[{name!r}] must be a number, but is {value!r:.80}. Convert it "
            f"to a float."
        ) from None


def _text(argument: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise ArgumentError(f"{argument} must be a string, but is {value!r}. Convert it.")
