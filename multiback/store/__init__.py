"""How a checkpoint lies on disk: crash-safe commits, checked reads. No Keras here."""

from multiback.store.checkpoint import Checkpoint, open_checkpoint
from multiback.store.files import Files
from multiback.store.payload import FileEntry
from multiback.store.run_directory import RunDirectory

__all__ = ["Checkpoint", "FileEntry", "Files", "RunDirectory", "open_checkpoint"]
