"""What a commit is asked to write, checked before the disk is touched."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiback.errors import ArgumentError
from multiback.store.checkpoint import STATE
from multiback.store.jsontext import dump
from multiback.store.manifest import MANIFEST
from multiback.store.names import name_fault
from multiback.store.payload import FileEntry
from multiback.store.tensor_file import Array, check_tensors


@dataclass(frozen=True)
class Request:
    """A commit's arguments, checked, with documents as bytes."""

    name: str
    run_id: str
    tensors: Mapping[str, Array]
    documents: Mapping[str, bytes]
    extra_files: Mapping[str, Path]
    epoch: int
    step: int
    metrics: Mapping[str, float]
    backend: str
    versions: Mapping[str, str]
    architecture: bytes | None
    extra: Mapping[str, Any]

    @property
    def architecture_name(self) -> str | None:
        """The architecture's file name, which is its content's checksum."""
        if self.architecture is None:
            return None
        return f"arch-{FileEntry.of(self.architecture).xxh3}.json"


def checked_request(
    name: str,
    *,
    run_id: str,
    tensors: Mapping[str, Array],
    documents: Mapping[str, Any],
    extra_files: Mapping[str, Path],
    epoch: int,
    step: int,
    metrics: Mapping[str, float],
    backend: str,
    versions: Mapping[str, str],
    architecture: Any | None,
    extra: Mapping[str, Any],
) -> Request:
    """Check a commit's arguments; raise `ArgumentError` at the first that is wrong."""
    check_name("name", name)
    tensors = dict(tensors)
    check_tensors(tensors)
    _check_file_names(documents, extra_files)
    # Only to find out now, not after gigabytes were written.
    dump(extra, argument="extra")
    return Request(
        name=name,
        run_id=check_run_id(run_id),
        tensors=tensors,
        documents={
            f"{document}.json": dump(content, argument=f"documents[{document!r}]")
            for document, content in documents.items()
        },
        extra_files={other: Path(source) for other, source in extra_files.items()},
        epoch=_whole("epoch", epoch),
        step=_whole("step", step),
        metrics={key: _number(key, value) for key, value in metrics.items()},
        backend=_text("backend", backend),
        versions={
            _text("versions", key): _text(f"versions[{key!r}]", value)
            for key, value in versions.items()
        },
        architecture=(
            None
            if architecture is None
            else dump(architecture, argument="architecture")
        ),
        extra=dict(extra),
    )


def check_name(argument: str, name: object) -> None:
    """Refuse a name that cannot be a directory's on every operating system."""
    if fault := name_fault(name):
        raise ArgumentError(
            f"{argument} must be a plain file name, but is {name!r:.220}: {fault}. "
            f"Choose another name."
        )


def check_run_id(run_id: object) -> str:
    """Refuse a run id that is no text."""
    if isinstance(run_id, str) and run_id:
        return run_id
    raise ArgumentError(
        f"run_id must be a string that is not empty, but is {run_id!r}. Name the run."
    )


def _check_file_names(documents: Mapping[str, Any], extra: Mapping[str, Path]) -> None:
    """Refuse two files of one name; case counts for nothing on some systems."""
    taken = {STATE.casefold(): STATE, MANIFEST.casefold(): MANIFEST}
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
