"""Programs that write under one backend and read under another."""
