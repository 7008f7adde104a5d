"""How a checkpoint lies on disk: crash-safe commits, checked reads. No Keras here."""

from multiback.store.checkpoint import Checkpoint, open_checkpoint
from multiback.store.diff import ArrayDifference, Difference, compare
from multiback.store.files import Files
from multiback.store.payload import FileEntry
from multiback.store.request import Request
from multiback.store.run_directory import RunDirectory
from multiback.store.writer import SlowDiskWarning, Writer

__all__ = [
    "ArrayDifference",
    "Checkpoint",
    "Difference",
    "FileEntry",
    "Files",
    "Request",
    "RunDirectory",
    "SlowDiskWarning",
    "Writer",
    "compare",
    "open_checkpoint",
]
