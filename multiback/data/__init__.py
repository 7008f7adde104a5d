"""Data whose position in an epoch can be saved and restored."""

from multiback.data.resumable import Resumable

__all__ = ["Resumable"]
