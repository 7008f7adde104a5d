"""Take things away from a run directory so that no reader ever sees a half."""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from multiback.errors import StoreError
from multiback.store.disk.files import Files, delete_tree, store_errors, sync_directory

TEMPORARY = ".tmp-"
DELETED = ".del-"


def scratch(prefix: str) -> str:
    """Return a name that no one has."""
    return prefix + secrets.token_hex(8)


def hide(files: Files, path: Path) -> Path:
    """Make a checkpoint invisible in one step; return its new name."""
    hidden = path.with_name(scratch(DELETED))
    with store_errors("remove", path):
        files.rename(path, hidden)
    return hidden


def delete_hidden(files: Files, hidden: Sequence[Path]) -> None:
    """Wait until some siblings are invisible for good, then delete them."""
    for folder in dict.fromkeys(path.parent for path in hidden):
        sync_directory(files, folder)
    for path in hidden:
        with store_errors("delete", path):
            delete_tree(files, path)


def discard(files: Files, path: Path) -> None:
    """Clean up after a failure; what cannot be deleted now is garbage later."""
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
    """Delete what can be deleted; return why the rest cannot."""
    problems = []
    for path in garbage:
        try:
            collect(files, [path])
        except StoreError as error:
            problems.append(str(error))
    return problems
