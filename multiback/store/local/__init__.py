"""Run directories on a local disk."""
