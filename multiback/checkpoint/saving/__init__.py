"""Take a snapshot and hand it to the store."""
