"""Find the same metric in another library."""
