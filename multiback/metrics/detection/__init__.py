"""Metrics of detected boxes."""
