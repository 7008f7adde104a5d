"""Metrics of how the items of each query, or the labels of each row, are ranked."""
