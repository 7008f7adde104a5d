"""Where other ecosystems meet multiback: one file a library."""
