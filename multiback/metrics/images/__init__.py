"""Metrics of images and volumes that are predicted, pixel by pixel."""
