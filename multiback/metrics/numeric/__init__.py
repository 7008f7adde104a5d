"""Exact sums and counts on each backend."""
