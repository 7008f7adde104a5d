"""`multiback ...` in a shell."""

from multiback.cli.app import main

__all__ = ["main"]
