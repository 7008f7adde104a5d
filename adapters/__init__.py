"""Adapters for other libraries: one file a library."""
