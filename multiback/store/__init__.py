"""How a checkpoint lies on disk: crash-safe commits, checked reads. No Keras here."""

from multiback.errors import SlowDiskWarning
from multiback.store.background.writer import Writer
from multiback.store.checkpoint import Checkpoint
from multiback.store.diff import ArrayDifference, Difference, compare
from multiback.store.disk.files import Files
from multiback.store.format.payload import FileEntry
from multiback.store.local.run_directory import RunDirectory
from multiback.store.opening import (
    Place,
    is_remote,
    is_run_directory,
    open_checkpoint,
    open_run_directory,
)
from multiback.store.owner import Owner
from multiback.store.request import Request
from multiback.store.runs import Runs

__all__ = [
    "ArrayDifference",
    "Checkpoint",
    "Difference",
    "FileEntry",
    "Files",
    "Owner",
    "Place",
    "Request",
    "RunDirectory",
    "Runs",
    "SlowDiskWarning",
    "Writer",
    "compare",
    "is_remote",
    "is_run_directory",
    "open_checkpoint",
    "open_run_directory",
]
