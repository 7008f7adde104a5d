"""Remove entries of a run directory so that no reader sees a partial checkpoint."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from multiback.errors import StoreError
from multiback.store.disk.files import Files, delete_tree, store_errors, sync_directory

TEMPORARY = ".tmp-"
DELETED = ".del-"


def scratch(prefix: str) -> str:
    """Return an unused temporary name."""
    return prefix + secrets.token_hex(8)


def hide(files: Files, path: Path) -> Path:
    """Make a checkpoint invisible in one step; return its new name."""
    hidden = path.with_name(scratch(DELETED))
    with store_errors("remove", path):
        files.rename(path, hidden)
    return hidden


def delete_hidden(files: Files, hidden: Sequence[Path]) -> None:
    """Wait until the hidden names are durable, then delete them."""
    for folder in dict.fromkeys(path.parent for path in hidden):
        sync_directory(files, folder)
    for path in hidden:
        with store_errors("delete", path):
            delete_tree(files, path)


def discard(files: Files, path: Path) -> None:
    """Clean up after a failure; later garbage collection takes what remains."""
    with suppress(OSError):
        if path.name.startswith("."):
            delete_tree(files, path)
        else:
            delete_hidden(files, [hide(files, path)])


def collect(files: Files, garbage: Iterable[Path]) -> None:
    """Delete files, links and directories."""
    for path in garbage:
        with store_errors("collect", path):
            delete_tree(files, path)


def collect_if_possible(files: Files, garbage: Iterable[Path]) -> list[str]:
    """Delete as much as possible; return the problems."""
    problems = []
    for path in garbage:
        try:
            collect(files, [path])
        except StoreError as error:
            problems.append(str(error))
    return problems
