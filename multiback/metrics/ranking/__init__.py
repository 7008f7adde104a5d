"""Metrics of scores that rank."""
