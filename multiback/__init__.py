"""multiback."""
