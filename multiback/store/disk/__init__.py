"""Every call that changes a file on a local disk."""
