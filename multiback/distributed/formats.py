"""The interface of a state writer: it copies a state at once and writes it later."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from multiback.distributed.ranks import Ranks
from multiback.errors import (
    ArgumentError,
    MissingPackageError,
    MultibackError,
    StoreError,
)
from multiback.store import is_remote
from multiback.store.format.manifest import SAFETENSORS

Format = Literal["safetensors", "dcp", "orbax"]
Write = Callable[[Path], None]


class StateWriter(Protocol):
    """Write the arrays of a framework in a format of its own.

    Its reader is in the store, under the same name: `store/formats.py`.
    """

    def stage(self, values: Mapping[str, Any]) -> tuple[set[str], Write]:
        """Copy the values, because training continues and changes them.

        Args:
            values: The framework's arrays, or anything else, by key.

        Returns:
            The keys that this writer takes; and what writes the copies into a folder
            that does not exist yet, later and in another thread, on every process at
            once. Each process writes its own shards.
        """


@contextmanager
def writer_errors(folder: Path) -> Iterator[None]:
    """Turn any error of a framework's writer into a `StoreError`."""
    try:
        yield
    except MultibackError:
        raise
    except Exception as error:
        raise not_written(folder, error) from error


def not_written(
    folder: Path, error: BaseException, rank: int | None = None
) -> StoreError:
    """Return the error for a state that was not written."""
    where = "" if rank is None else f"rank {rank} "
    raised = StoreError(
        f"{where}could not write its part of the state into {folder}: "
        f"{str(error) or repr(error):.500}. Committed checkpoints are untouched; check "
        f"that disk and the other processes, then try again."
    )
    raised.errno = getattr(error, "errno", None)
    return raised


# Format: its backend, its module, what it imports, and how to install that.
_WRITERS = MappingProxyType(
    {
        "dcp": (
            "torch",
            "multiback.distributed.torch",
            "safetensors",
            "multiback[torch]",
        ),
        "orbax": (
            "jax",
            "multiback.distributed.orbax",
            "orbax.checkpoint",
            "multiback[orbax]",
        ),
    }
)


def check_format(format: Any, backend: str, dirpath: Any) -> None:
    """Raise unless a format can be written by this backend into this directory.

    Args:
        format: What the user asked for.
        backend: Keras's.
        dirpath: The run directory.

    Raises:
        ArgumentError: It is unknown, or of another backend, or for local paths only.
        MissingPackageError: Its library is not installed.
    """
    if format == SAFETENSORS:
        return
    if not isinstance(format, str) or format not in _WRITERS:
        raise ArgumentError(
            f'format= wants "safetensors", "dcp" (torch) or "orbax" (JAX), not '
            f"{format!r:.80}."
        )
    wanted, _, library, extra = _WRITERS[format]
    if backend != wanted:
        raise ArgumentError(
            f"format={format!r} wants Keras's backend {wanted!r}, but it is "
            f'{backend!r}. Leave format= out: "safetensors" is for every backend.'
        )
    if is_remote(dirpath):
        raise ArgumentError(
            f"format={format!r} wants a directory that every process can reach by its "
            f"path, not the URL {dirpath!r}. Give a path, or leave format= out."
        )
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise MissingPackageError(
            f"format={format!r} needs a package that is not installed: {error}. Run "
            f'pip install "{extra}"'
        ) from error


def state_writer_of(format: str, ranks: Ranks | None) -> StateWriter | None:
    """Return the state writer of a format; None for safetensors.

    To be called by every process at the same point: a writer may open a connection.

    Args:
        format: As `check_format` has let it pass.
        ranks: The processes, if there are several.
    """
    if format == SAFETENSORS:
        return None
    made: StateWriter = importlib.import_module(_WRITERS[format][1]).state_writer(ranks)
    return made
