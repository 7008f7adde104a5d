"""Links such as `best` that lead users to a checkpoint; a cache, never the truth."""

from pathlib import Path

from multiback.errors import ArgumentError, StoreError
from multiback.store.checkpoint import Checkpoint
from multiback.store.disk.files import Files, store_errors
from multiback.store.disk.removal import TEMPORARY, discard, scratch
from multiback.store.format.payload import write_file
from multiback.store.request import check_name

_OWN_NAMES = frozenset(
    {"checkpoints", "history.jsonl", "lock", "runs.jsonl", "save-now"}
)
# The folder that every label leads to.
_TARGET = b"checkpoints/"
_OWN_PREFIXES = ("arch-", "lock-")


def check_link(directory: Path, label: str) -> None:
    """Raise if a label would replace something that is not a label."""
    check_name("label", label)
    if label.casefold() in _OWN_NAMES or label.casefold().startswith(_OWN_PREFIXES):
        raise ArgumentError(
            f"label must not be the name of the run directory's own files, but "
            f"is {label!r}. Choose another, such as 'best'."
        )
    link = directory / label
    if link.is_dir() and not link.is_symlink():
        raise StoreError(
            f"{link} must be a link or absent, but is a directory. Move it away, "
            f"or choose another label."
        )
    if link.is_file() and not link.is_symlink() and not _is_link(link):
        raise StoreError(
            f"{link} must be a link or absent, but is a file that multiback did not "
            f"write. Move it away, or choose another label."
        )


def _is_link(path: Path) -> bool:
    """Return whether a file is our text fallback for a link."""
    with store_errors("read", path), path.open("rb") as stream:
        return stream.read(len(_TARGET)) == _TARGET


def point(files: Files, link: Path, checkpoint: Checkpoint) -> None:
    """Let a link lead to a checkpoint of the directory that it lies in."""
    target = f"checkpoints/{checkpoint.name}"
    temporary = link.with_name(scratch(TEMPORARY))
    try:
        try:
            files.symlink(target, temporary)
        except OSError:
            # Windows without the right to link, FAT, some network disks.
            write_file(files, temporary, [f"{target}\n".encode()])
        with store_errors("replace", link):
            files.replace(temporary, link)
    except BaseException:
        discard(files, temporary)
        raise


def drop_links(files: Files, directory: Path) -> None:
    """Remove the links that lead to a checkpoint that is gone."""
    for path in sorted(directory.iterdir()):
        if not path.is_symlink() or path.exists():
            continue
        if path.readlink().parts[:-1] == ("checkpoints",):
            with store_errors("remove", path):
                files.unlink(path)
